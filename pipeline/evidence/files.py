"""The small files of one event: thumbnail, JSON, the engine's memory; written in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.pictures import jpeg, pixel_hash, telling_frame
from edgewatch.pipeline.evidence.sidecar import Case, document
from edgewatch.pipeline.evidence.trouble import EvidenceFailed
from edgewatch.pipeline.types import Clip, Frame

log = structlog.get_logger(__name__)

Told = Callable[[Case, int, str | None], None]
"""Told on the thread: which case the JSON tells, bytes of all files, why the disk took no JSON."""


class Submit(Protocol):
    """Hands a job to the thread, in order; False if it was left out, as too much waits."""

    def __call__(
        self, job: Callable[[], None], *, holds_bytes: int = 0, must: bool = False
    ) -> bool:
        """Hand it over."""


class CaseFiles:
    """Writes the files of one event. Methods belong to the loop and return at once."""

    def __init__(self, files: EvidenceFolder, folder: str, event_id: str, submit: Submit) -> None:
        self._files = files
        self._folder = folder
        self._event_id = event_id
        self._submit = submit
        self._hashes: dict[int, str] = {}
        """By frame index; the thread's own."""
        self._newest_index = -1
        """Of the frames handed over to be fingerprinted."""
        self._newest: Case | None = None
        """The case whose JSON is to be written next."""
        self._lock = threading.Lock()

    def fingerprint(self, frames: Sequence[Frame]) -> None:
        """Fingerprint frames, each once; frames of later calls are not older."""
        fresh = [frame for frame in frames if frame.index > self._newest_index]

        def job() -> None:
            for frame in fresh:
                self._hashes[frame.index] = pixel_hash(frame.pixels)

        if fresh and self._submit(job, holds_bytes=_bytes_of(fresh)):
            self._newest_index = fresh[-1].index

    def thumbnail(self, clip: Clip, shown: Callable[[bytes], None]) -> bool:
        """Write a clip's telling frame as the thumbnail; tell when it is there (on the thread)."""

        def job() -> None:
            data = jpeg(telling_frame(clip).pixels)
            self._write(".jpg", data)
            shown(data)

        return self._submit(job, holds_bytes=_bytes_of(clip.frames))

    def memory(self, data: bytes) -> bool:
        """Write the engine's memory."""
        return self._submit(lambda: self._write(".npz", data), holds_bytes=len(data))

    def sidecar(self, case: Case, tell: Told) -> None:
        """Write the JSON, and tell. Of cases that wait for a slow disk the newest is written."""
        with self._lock:
            waits, self._newest = self._newest is not None, case
        if not waits:
            self._submit(lambda: self._write_newest(tell), must=True)

    def _write_newest(self, tell: Told) -> None:
        with self._lock:
            case, self._newest = self._newest, None
        assert case is not None
        trouble = None
        try:
            video = self._files.path(self._folder, self._event_id, ".mp4")
            video_bytes = video.stat().st_size if video.exists() else 0
            told = document(case, self._hashes, size_bytes=video_bytes)
            self._files.write_sidecar(self._folder, self._event_id, told)
        except EvidenceFailed as error:
            trouble = str(error)
        except Exception:
            log.exception("evidence not written", event_id=self._event_id)
        tell(case, self._files.size_bytes(self._folder, self._event_id), trouble)

    def _write(self, suffix: str, data: bytes) -> None:
        self._files.write(self._files.path(self._folder, self._event_id, suffix), data)


def _bytes_of(frames: Sequence[Frame]) -> int:
    return sum(frame.pixels.nbytes for frame in frames)
