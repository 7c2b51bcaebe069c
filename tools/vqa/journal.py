"""The journal of replies: a line each, on disk before the next question is asked."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgewatch.tools.journal_file import JournalFile
from edgewatch.tools.vqa.results import Reply

VERSION = 1


class ReplyJournal:
    """Keeps replies by a key of engine, question and picture; on disk if it has a path.

    Used by one process at a time. A last line that was cut off by a kill is dropped.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._file = JournalFile(
            path,
            header="edgewatch_replies_journal",
            version=VERSION,
            command="evaluate --task",
            take=self._take,
        )
        self._replies: dict[str, Reply] = {}

    def __enter__(self) -> Self:
        """Read what is there, and keep others away. Raises ConfigError."""
        self._file.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; what was noted stays known."""
        self._file.__exit__(kind, error, traceback)

    def reply(self, key: str) -> Reply | None:
        """Return what is known under a key."""
        return self._replies.get(key)

    def note(self, key: str, reply: Reply) -> None:
        """Keep a reply; on return it is on disk. Raises ConfigError."""
        self._replies[key] = reply
        self._file.append({"key": key, "reply": reply.text, "seconds": round(reply.seconds, 4)})

    def _take(self, document: Any) -> None:
        text = document["reply"]
        if not isinstance(text, str):
            raise TypeError("a reply is a text")
        self._replies[str(document["key"])] = Reply(text, float(document["seconds"]))
