"""The folder of evidence: where an event's files lie, and what is done to them. Blocking.

`<camera>/<date>/<event_id>.{mp4,jpg,json,npz}`; the date is that of the event's start, UTC.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgewatch.pipeline.evidence.order import part_of
from edgewatch.pipeline.evidence.trouble import EvidenceFailed, failed
from edgewatch.pipeline.evidence.video_file import mended
from edgewatch.pipeline.types import Event

SUFFIXES = (".mp4", ".jpg", ".json", ".npz")
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640


def folder_of(event: Event) -> str:
    """Return where an event's files lie: "front/2026-11-21"."""
    begun = datetime.fromtimestamp(max(0.0, event.start_seconds), UTC)
    return f"{event.camera}/{begun:%Y-%m-%d}"


class EvidenceFolder:
    """Files below one folder. Any thread, but one at a time for one event."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, folder: str, event_id: str, suffix: str) -> Path:
        """Return where a file of an event lies."""
        return self.root / folder / f"{event_id}{suffix}"

    def write(self, path: Path, data: bytes) -> None:
        """Write a file, whole or not at all. Raises EvidenceFailed."""
        partial = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            try:
                partial.write_bytes(data)
                partial.chmod(_FILE_MODE)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise failed("/".join(path.parts[-3:]), error) from error

    def size_bytes(self, folder: str, event_id: str) -> int:
        """Return what an event's files take, an unfinished video among them."""
        total = 0
        for path in self._files(folder, event_id):
            with suppress(OSError):
                total += path.stat().st_size
        return total

    def delete(self, folder: str, event_id: str) -> None:
        """Take an event's files away, and the folder that is empty then. Raises EvidenceFailed."""
        try:
            for path in self._files(folder, event_id):
                path.unlink(missing_ok=True)
        except OSError as error:
            raise failed(f"{folder}/{event_id}", error) from error
        with suppress(OSError):  # others lie there still
            (self.root / folder).rmdir()
            (self.root / folder).parent.rmdir()

    def free_bytes(self) -> int:
        """Return what the disk has left for us. Raises EvidenceFailed."""
        try:
            return shutil.disk_usage(self.root).free
        except OSError as error:
            raise failed(self.root.name, error) from error

    def prepare(self) -> None:
        """Make the folder. Raises EvidenceFailed."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        except OSError as error:
            raise failed(self.root.name, error) from error

    def leftovers(self) -> list[tuple[str, str]]:
        """Return (folder, event id) of each video that a killed process left unfinished."""
        found = []
        for path in sorted(self.root.glob("*/*/*.mp4.part")):
            folder = path.parent.relative_to(self.root).as_posix()
            found.append((folder, path.name.removesuffix(".mp4.part")))
        for stray in self.root.glob("*/*/.*.partial"):
            with suppress(OSError):
                stray.unlink()
        return found

    def mend(self, folder: str, event_id: str) -> float:
        """Make a whole video of what a killed process left; return its length in seconds.

        Raises EvidenceFailed; what cannot be played is taken away.
        """
        whole = self.path(folder, event_id, ".mp4")
        broken, name = part_of(whole), f"{folder}/{event_id}.mp4"
        partial = whole.with_name(f".{whole.name}.partial")
        try:
            seconds = mended(broken, partial, name)
            partial.replace(whole)
            broken.unlink()
        except EvidenceFailed as error:
            partial.unlink(missing_ok=True)
            if not error.disk:
                broken.unlink(missing_ok=True)
            raise
        except OSError as error:
            raise failed(name, error) from error
        return seconds

    def read_sidecar(self, folder: str, event_id: str) -> dict[str, Any] | None:
        """Return an event's JSON; None if it is not there, or damaged."""
        try:
            told = json.loads(self.path(folder, event_id, ".json").read_bytes())
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def write_sidecar(self, folder: str, event_id: str, told: Mapping[str, Any]) -> None:
        """Write an event's JSON. Raises EvidenceFailed."""
        text = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
        self.write(self.path(folder, event_id, ".json"), text.encode())

    def has(self, folder: str, event_id: str, suffix: str) -> bool:
        """Whether a file of an event is there."""
        return os.path.exists(self.path(folder, event_id, suffix))

    def _files(self, folder: str, event_id: str) -> Iterator[Path]:
        for suffix in SUFFIXES:
            yield self.path(folder, event_id, suffix)
        yield part_of(self.path(folder, event_id, ".mp4"))
