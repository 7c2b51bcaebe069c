"""An event whose evidence is being gathered, and all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from edgewatch.pipeline.evidence.files import CaseFiles, Told
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.sidecar import Case
from edgewatch.pipeline.types import Clip, Event, EvidenceRow

MOST_UNWRITTEN = 64
"""Events whose JSON waits for a disk that takes none."""


class OpenCase:
    """What is known of one such event, and its files. Belongs to the loop."""

    def __init__(
        self, case: Case, folder: str, created_seconds: float, files: CaseFiles, tell: Told
    ) -> None:
        """`tell`: whom to tell, on the thread of files, of each JSON that was written."""
        self.case = case
        self.unwritten = False
        """Whether the disk did not take its last JSON."""
        self._folder = folder
        self._created_seconds = created_seconds
        self._files = files
        self._tell = tell
        self._ended = False
        self._has_thumbnail = False
        self._picture: bytes | None = None
        """The newest thumbnail, as long as nobody was told."""

    @property
    def is_recording(self) -> bool:
        """Whether its video is still being written."""
        return self.case.outcome is None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes: the event has ended, and its video is there, or none is."""
        return self._ended and not self.is_recording

    def paths(self, *, ended: bool) -> tuple[str | None, str | None]:
        """Return where its video, told at the end alone, and its thumbnail lie or will lie."""
        stem = f"{self._folder}/{self.case.event.event_id}"
        outcome = self.case.outcome
        kept = ended and (outcome is None or outcome.state == "ready")
        return f"{stem}.mp4" if kept else None, f"{stem}.jpg" if self._has_thumbnail else None

    def row(self, case: Case, size_bytes: int) -> EvidenceRow:
        """Return the row of the case as it was when its JSON was written."""
        return EvidenceRow(
            case.event.event_id,
            case.event.camera,
            "recording" if case.outcome is None else case.outcome.state,
            "" if case.outcome is None else case.outcome.detail,
            self._folder,
            size_bytes,
            self._created_seconds,
            False,
        )

    def follow(self, event: Event) -> None:
        """Take the event's next step."""
        self.case = replace(self.case, event=event)
        self._ended = self._ended or event.type == "end"
        self.write()

    def begun(self, start_seconds: float) -> None:
        """Take the Unix time at which the video begins."""
        self.case = replace(self.case, began_seconds=start_seconds)
        self.write()

    def done(self, outcome: Outcome) -> None:
        """Take what became of the video."""
        self.case = replace(self.case, outcome=outcome)
        self.write()

    def write(self) -> None:
        """Write its JSON."""
        self._files.sidecar(self.case, self._tell)

    def add(self, change: Callable[[Case], Case], clip: Clip) -> None:
        """Take one more clip; those that are told have their frames fingerprinted."""
        left_out = self.case.clips_left_out
        self.case = change(self.case)
        if self.case.clips_left_out == left_out:
            self._files.fingerprint(clip.frames)

    def remember(self, clip_id: str, memory: bytes) -> None:
        """Keep what the engine knew before it judged a clip."""
        if self._files.memory(memory):
            self.case = replace(self.case, memory_clip=clip_id)
            self.write()

    def show(self, clip: Clip, shown: Callable[[bytes], None]) -> None:
        """Make a frame of a clip the thumbnail; `shown` is called on the thread of files."""
        if self._files.thumbnail(clip, shown):
            self._has_thumbnail = True

    def pictured(self, jpeg: bytes) -> None:
        """Take the thumbnail that was written."""
        self._picture = jpeg

    def take_picture(self) -> bytes | None:
        """Hand out the thumbnail once; that of an event that is not sent waits until it is."""
        if self.case.event.suppressed_by:
            return None
        picture, self._picture = self._picture, None
        return picture


class OpenCases:
    """All such events, until their last JSON is written."""

    def __init__(self) -> None:
        self.left_out = 0
        """Events whose last JSON the disk did not take, nor is to take any more."""
        self._cases: dict[str, OpenCase] = {}

    @property
    def events(self) -> Collection[str]:
        """Their ids."""
        return self._cases.keys()

    @property
    def recording(self) -> int:
        """How many videos are being written."""
        return sum(one.is_recording for one in self._cases.values())

    def get(self, event_id: str) -> OpenCase | None:
        """Return the case of an event; None if there is none."""
        return self._cases.get(event_id)

    def going_on(self, event_id: str) -> OpenCase | None:
        """Return the case of an event if it is not over."""
        opened = self._cases.get(event_id)
        return None if opened is None or opened.is_over else opened

    def add(self, event_id: str, opened: OpenCase) -> None:
        """Take one in."""
        self._cases[event_id] = opened

    def written(self, opened: OpenCase, case: Case, *, taken: bool) -> None:
        """Take that the disk took a JSON, or not; the last one of an event closes its case."""
        opened.unwritten = not taken
        if not opened.is_over or case is not opened.case:
            return
        if not taken and self._unwritten <= MOST_UNWRITTEN:
            return  # once the disk takes it again
        self.left_out += not taken
        self._cases.pop(case.event.event_id, None)

    def write_again(self) -> None:
        """Write what the disk did not take."""
        for opened in self._cases.values():
            if opened.unwritten:
                opened.write()

    @property
    def _unwritten(self) -> int:
        return sum(one.unwritten for one in self._cases.values())
