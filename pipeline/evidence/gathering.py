"""The gathering of evidence: what the observers tell becomes videos, pictures, JSON and rows.

Belongs to the event loop. `pipeline.evidence.observer` tells it of events; the writer and the
thread of files tell it what they have done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import structlog

from edgewatch.config.sections import Evidence
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.evidence.files import CaseFiles
from edgewatch.pipeline.evidence.folder import EvidenceFolder, folder_of
from edgewatch.pipeline.evidence.home_loop import HomeLoop
from edgewatch.pipeline.evidence.job_thread import JobThread
from edgewatch.pipeline.evidence.memories import WantedMemories
from edgewatch.pipeline.evidence.open_case import OpenCase, OpenCases
from edgewatch.pipeline.evidence.order import Cut, Order
from edgewatch.pipeline.evidence.outcome import Outcome
from edgewatch.pipeline.evidence.pause import Pause
from edgewatch.pipeline.evidence.rings import Rings
from edgewatch.pipeline.evidence.rows import WaitingRows
from edgewatch.pipeline.evidence.sidecar import Case
from edgewatch.pipeline.evidence.writer import VideoWriter
from edgewatch.pipeline.types import CameraName, Clip, Event, EvidenceRow

log = structlog.get_logger(__name__)

GRACE_SECONDS = 1.5
"""What a camera gets, beyond the time after an event, to send its last pictures."""
VIDEO_SHARE = 10
"""One video takes at most this part of the space for all."""
_GONE: frozenset[str] = frozenset({"camera_lost", "disabled", "stream_ended", "restart"})
"""Ends of an event after which no picture of its camera comes."""

OnThumbnail = Callable[[CameraName, str, bytes], None]


class Gathering:
    """Gathers evidence of the events that go on, as far as there is room for it."""

    def __init__(
        self,
        settings: Evidence,
        *,
        folder: EvidenceFolder,
        files: JobThread,
        rings: Rings,
        rows: WaitingRows,
        memories: WantedMemories,
        pause: Pause,
        loop: HomeLoop,
        clock: Clock,
        on_thumbnail: OnThumbnail | None,
    ) -> None:
        self.cases = OpenCases()
        self.counts: Counter[str] = Counter()
        """Events by what came of them: ready, failed, refused."""
        self._settings = settings
        self._folder = folder
        self._files = files
        self._rings = rings
        self._rows = rows
        self._memories = memories
        self._pause = pause
        self._loop = loop
        self._clock = clock
        self._on_thumbnail = on_thumbnail
        self._stopping = False
        self.writer = VideoWriter(
            on_began=lambda event_id, seconds: loop.call(self._began, event_id, seconds),
            on_done=lambda outcome: loop.call(self._done, outcome),
            monotonic_seconds=clock.monotonic_seconds,
        )

    # -- asked -------------------------------------------------------------------------------

    @property
    def admits(self) -> bool:
        """Whether evidence of an event that began now would be kept."""
        return self._settings.enabled and self._refusal() is None

    def paths(self, event: Event) -> tuple[str | None, str | None]:
        """Return where an event's video and thumbnail are or will be; None where there is none."""
        ended = event.type == "end"
        opened = self.cases.get(event.event_id)
        if opened is not None:
            return opened.paths(ended=ended)
        if ended or not self.admits:
            return None, None
        return None, f"{folder_of(event)}/{event.event_id}.jpg"

    # -- told by the observers ---------------------------------------------------------------

    def begin(self, case: Case, *, until_seconds: float) -> bool:
        """Begin to keep evidence of an event; False if there can be none, which is on record."""
        if not self._settings.enabled:
            return False
        event, now_seconds = case.event, self._clock.wall_seconds()
        folder = folder_of(event)
        refusal = self._refusal()
        if refusal is None and not self.writer.begin(self._order(case, folder, until_seconds)):
            refusal = "too much evidence waits to be written"
        if refusal is not None:
            self.counts["refused"] += 1
            log.warning("evidence refused", event_id=event.event_id, reason=refusal)
            self._rows.keep(
                EvidenceRow(
                    event.event_id, event.camera, "failed", refusal, folder, 0, now_seconds, False
                )
            )
            return False
        files = CaseFiles(self._folder, folder, event.event_id, self._files.submit)
        opened = OpenCase(case, folder, now_seconds, files, self._tell_written)
        self.cases.add(event.event_id, opened)
        self._rows.keep(opened.row(case, 0))
        opened.write()
        return True

    def is_open(self, event_id: str) -> bool:
        """Whether evidence of an event is being gathered."""
        return self.cases.going_on(event_id) is not None

    def add_clip(self, event_id: str, case_change: Callable[[Case], Case], clip: Clip) -> None:
        """Take one more clip of an event."""
        if (opened := self.cases.going_on(event_id)) is not None:
            opened.add(case_change, clip)

    def extend(self, event_id: str, until_seconds: float) -> None:
        """Record up to `post_seconds` after this Unix time, at least."""
        if self.is_open(event_id):
            self.writer.until(event_id, until_seconds + self._settings.post_seconds)

    def show(self, event_id: str, clip: Clip) -> None:
        """Make a frame of a clip the event's thumbnail."""
        if (opened := self.cases.get(event_id)) is not None:
            opened.show(clip, lambda jpeg: self._loop.call(self._shown, event_id, jpeg))

    def follow(self, event: Event) -> None:
        """Take an event's next step; its end ends the recording."""
        if (opened := self.cases.get(event.event_id)) is None:
            return
        opened.follow(event)
        self._tell_picture(opened)
        if event.type == "end":
            self._end(event)

    def camera_gone(self, camera: CameraName) -> None:
        """Finish a camera's recordings at once: nothing more comes of it."""
        self.writer.finish_camera(camera, "camera")

    def want_memory(self, camera: CameraName, clip_id: str, take: Callable[[bytes], None]) -> None:
        """Ask the engine what it knew when it judged a clip; `take` is called with it soon."""
        if self._settings.enabled:
            self._memories.want(camera, clip_id, take)

    def keep_memory(self, event_id: str, clip_id: str, memory: bytes) -> None:
        """Keep what the engine knew before it judged an event's first clip."""
        if (opened := self.cases.get(event_id)) is not None:
            opened.remember(clip_id, memory)

    # -- told by the keeper ------------------------------------------------------------------

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True

    def interrupt(self, why: str) -> None:
        """Keep nothing for a while, and finish what is being recorded."""
        if self._pause.begin(why):
            for event_id in self.cases.events:
                self.writer.finish(event_id, "disk")

    # -- recording ---------------------------------------------------------------------------

    def _refusal(self) -> str | None:
        if self._stopping:
            return "the service was stopping"
        if self._pause.why:
            return self._pause.why
        if self.cases.recording >= self._settings.max_recordings:
            return (
                f"{self._settings.max_recordings} recordings were under way already: "
                "raise evidence.max_recordings if the machine can take more"
            )
        return None

    def _order(self, case: Case, folder: str, until_seconds: float) -> Order:
        event, ring = case.event, self._rings.of(case.plan)
        begin_seconds = event.start_seconds - self._settings.pre_seconds
        return Order(
            event_id=event.event_id,
            camera=event.camera,
            ring=ring,
            path=self._folder.path(folder, event.event_id, ".mp4"),
            begin_seconds=begin_seconds,
            until_seconds=until_seconds + self._settings.post_seconds,
            most_seconds=self._settings.max_seconds,
            most_bytes=self._settings.max_bytes // VIDEO_SHARE,
            start=ring.start_for(begin_seconds),
        )

    def _end(self, event: Event) -> None:
        end_seconds = event.start_seconds if event.end_seconds is None else event.end_seconds
        until_seconds = end_seconds + self._settings.post_seconds
        # A clock that was set must not make this wait for hours
        left_seconds = min(
            self._settings.post_seconds, max(0.0, until_seconds - self._clock.wall_seconds())
        )
        deadline_seconds = self._clock.monotonic_seconds() + left_seconds + GRACE_SECONDS
        self.writer.end(event.event_id, until_seconds, deadline_seconds)
        if event.ended_by in _GONE:
            why: Cut = "stopped" if self._stopping else "camera"
            self.writer.finish(event.event_id, why)

    def _began(self, event_id: str, start_seconds: float) -> None:
        if (opened := self.cases.get(event_id)) is not None:
            opened.begun(start_seconds)

    def _done(self, outcome: Outcome) -> None:
        if (opened := self.cases.get(outcome.event_id)) is None:
            return
        self.counts[outcome.state] += 1
        tell = log.info if outcome.state == "ready" else log.warning
        tell(
            "evidence ready" if outcome.state == "ready" else "evidence failed",
            camera=outcome.camera,
            event_id=outcome.event_id,
            seconds=round(outcome.seconds, 1),
            truncated=outcome.cut or None,
            missed_packets=outcome.missed_packets,
            reason=outcome.detail or None,
        )
        if outcome.disk:
            self.interrupt(outcome.detail)
        opened.done(outcome)

    # -- files -------------------------------------------------------------------------------

    def _shown(self, event_id: str, jpeg: bytes) -> None:
        if (opened := self.cases.get(event_id)) is not None:
            opened.pictured(jpeg)
            self._tell_picture(opened)

    def _tell_picture(self, opened: OpenCase) -> None:
        event, picture = opened.case.event, opened.take_picture()
        if picture is not None and self._on_thumbnail is not None:
            self._on_thumbnail(event.camera, event.event_id, picture)

    def _tell_written(self, case: Case, size_bytes: int, trouble: str | None) -> None:
        self._loop.call(self._written, case, size_bytes, trouble)

    def _written(self, case: Case, size_bytes: int, trouble: str | None) -> None:
        if (opened := self.cases.get(case.event.event_id)) is None:
            return
        if trouble is not None:
            self.interrupt(trouble)
        self._rows.keep(opened.row(case, size_bytes))
        self.cases.written(opened, case, taken=trouble is None)
