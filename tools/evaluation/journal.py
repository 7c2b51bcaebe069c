"""The journal: each recording's judgements in a file, a line each, that outlives a kill.

What is read back is what was written, to the bit: an evaluation that is taken up again ends as
if it had never been interrupted. A judgement is found again by its recording (name, size, time of
change) and by a key of its engine and of how clips were cut, so adding an engine or a recording
judges only what is new, and other labels, thresholds or event rules judge nothing again.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from edgewatch.tools.evaluation.duplicates import SIDE
from edgewatch.tools.evaluation.judgement import ClipAnswer, Judgement, Seen, Signature
from edgewatch.tools.journal_file import JournalFile

VERSION = 1


class Journal:
    """Keeps what is known; on disk if it has a path. Used by one process at a time."""

    def __init__(self, path: Path | None = None) -> None:
        self._file = JournalFile(
            path,
            header="edgewatch_evaluation_journal",
            version=VERSION,
            command="edgewatch evaluate",
            take=self._take,
        )
        self._judgements: dict[tuple[str, str], Judgement] = {}
        self._seen: dict[str, Seen] = {}
        self._thumbnails: dict[str, dict[int, bytes]] = defaultdict(dict)

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

    def seen(self, recording: str) -> Seen | None:
        """Return what was seen of a recording (its key), with every thumbnail there ever was."""
        return self._seen.get(recording)

    def judgement(self, recording: str, engine: str) -> Judgement | None:
        """Return what an engine (its key) said of a recording (its key)."""
        return self._judgements.get((recording, engine))

    def forget(self, engine: str, other_than: str) -> int:
        """Drop what an engine said under another name than this; returns how much that was."""
        stale = [
            key
            for key, one in self._judgements.items()
            if key[1] == engine and one.engine != other_than
        ]
        for key in stale:
            del self._judgements[key]
        return len(stale)

    def note(self, recording: str, seen: Seen | None, judgements: Mapping[str, Judgement]) -> None:
        """Keep what became known of a recording; on return it is on disk. Raises ConfigError."""
        self._keep(recording, seen, judgements)
        self._file.append(
            {
                "recording": recording,
                "seen": None if seen is None else _seen_document(seen),
                "said": {engine: _judgement_document(one) for engine, one in judgements.items()},
            }
        )

    def _keep(self, recording: str, seen: Seen | None, judgements: Mapping[str, Judgement]) -> None:
        for engine, one in judgements.items():
            self._judgements[recording, engine] = one
        if seen is not None:
            thumbnails = self._thumbnails[recording]
            thumbnails.update(seen.thumbnails)
            self._seen[recording] = Seen(
                seen.clips,
                seen.duration_seconds,
                seen.decode_seconds,
                seen.pictures_decoded,
                seen.signature,
                thumbnails,
                seen.error,
            )

    def _take(self, document: Any) -> None:
        seen = document["seen"]
        self._keep(
            document["recording"],
            None if seen is None else _seen_of(seen),
            {engine: _judgement_of(one) for engine, one in document["said"].items()},
        )


def _judgement_document(one: Judgement) -> dict[str, Any]:
    plain = {field.name: getattr(one, field.name) for field in fields(one)}
    plain["answers"] = [list(asdict(answer).values()) for answer in one.answers]
    return plain


def _judgement_of(document: dict[str, Any]) -> Judgement:
    for series in ("engine_ms", "batch_ms"):
        document[series] = tuple(document[series])
    document["answers"] = tuple(ClipAnswer(*values) for values in document["answers"])
    return Judgement(**document)


def _seen_document(seen: Seen) -> dict[str, Any]:
    plain = {field.name: getattr(seen, field.name) for field in fields(seen)}
    plain["signature"] = _text(seen.signature.pictures.tobytes())
    plain["thumbnails"] = {str(clip): _text(jpeg) for clip, jpeg in seen.thumbnails.items()}
    return plain


def _seen_of(document: dict[str, Any]) -> Seen:
    pictures = np.frombuffer(base64.b64decode(document["signature"]), np.uint8)
    document["signature"] = Signature(pictures.reshape(-1, SIDE, SIDE))
    document["thumbnails"] = {
        int(clip): base64.b64decode(jpeg) for clip, jpeg in document["thumbnails"].items()
    }
    return Seen(**document)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
