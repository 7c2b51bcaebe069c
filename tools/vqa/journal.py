"""The journal of replies: a line each, on disk before the next question is asked."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from edgewatch.config.errors import ConfigError
from edgewatch.tools.vqa.results import Reply

VERSION = 1
_HEADER = "edgewatch_replies_journal"


class ReplyJournal:
    """Keeps replies by a key of engine, question and picture; on disk if it has a path.

    Used by one process at a time. A last line that was cut off by a kill is dropped.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._replies: dict[str, Reply] = {}

    def __enter__(self) -> Self:
        """Read what is there, and keep others away. Raises ConfigError."""
        if self._path is None:
            return self
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a+b")
        except OSError as error:
            raise _unusable(self._path, error) from error
        try:
            self._lock(self._file)
            self._read(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file; what was noted stays known."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def reply(self, key: str) -> Reply | None:
        """Return what is known under a key."""
        return self._replies.get(key)

    def note(self, key: str, reply: Reply) -> None:
        """Keep a reply; on return it is on disk. Raises ConfigError."""
        self._replies[key] = reply
        if self._file is None or self._path is None:
            return
        try:
            _write(
                self._file, {"key": key, "reply": reply.text, "seconds": round(reply.seconds, 4)}
            )
        except OSError as error:
            raise _unusable(self._path, error) from error

    def _lock(self, file: IO[bytes]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"{self._path}: another evaluation is at work with it; wait for its end, or name "
                "another --report or --journal"
            ) from error

    def _read(self, file: IO[bytes]) -> None:
        file.seek(0)
        whole = 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break  # the kill came in the middle of it
            if number == 1:
                self._check_header(line)
            else:
                self._take(line, number)
            whole += len(line)
        file.truncate(whole)
        if whole == 0:
            _write(file, {_HEADER: VERSION})

    def _check_header(self, line: bytes) -> None:
        try:
            version = json.loads(line)[_HEADER]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}: is no journal of evaluate --task; name another --journal"
            ) from error
        if version != VERSION:
            raise ConfigError(
                f"{self._path}: was written by another version of edgewatch; start over with --anew"
            )

    def _take(self, line: bytes, number: int) -> None:
        try:
            document = json.loads(line)
            text = document["reply"]
            if not isinstance(text, str):
                raise TypeError("a reply is a text")
            self._replies[str(document["key"])] = Reply(text, float(document["seconds"]))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{self._path}, line {number}: is damaged; start over with --anew"
            ) from error


def _write(file: IO[bytes], document: Mapping[str, Any]) -> None:
    file.seek(0, os.SEEK_END)
    file.write(json.dumps(document, allow_nan=False).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path}: cannot be written: {error.strerror or error}; make room or name another --journal"
    )
