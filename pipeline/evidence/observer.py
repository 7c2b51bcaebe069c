"""Who tells the gathering of evidence what happens to one camera; quick, on the event loop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import EdgewatchError
from edgewatch.pipeline.evidence.sidecar import Case, ClipFacts
from edgewatch.pipeline.types import CameraName, Clip, Event, Health, SourceInfo, Verdict
from edgewatch.pipeline.watch import Observer


class Gatherer(Protocol):
    """Who gathers the evidence."""

    def begin(self, case: Case, *, until_seconds: float) -> bool:
        """Begin to keep evidence of an event; False if there can be none."""

    def is_open(self, event_id: str) -> bool:
        """Whether evidence of an event is being gathered."""

    def add_clip(self, event_id: str, case_change: Callable[[Case], Case], clip: Clip) -> None:
        """Take one more clip of an event."""

    def extend(self, event_id: str, until_seconds: float) -> None:
        """Record on after this Unix time."""

    def show(self, event_id: str, clip: Clip) -> None:
        """Make a frame of a clip the event's thumbnail."""

    def follow(self, event: Event) -> None:
        """Take an event's next step."""

    def camera_gone(self, camera: CameraName) -> None:
        """Finish a camera's recordings at once."""

    def want_memory(self, camera: CameraName, clip_id: str, take: Callable[[bytes], None]) -> None:
        """Ask the engine what it knew when it judged a clip."""

    def keep_memory(self, event_id: str, clip_id: str, memory: bytes) -> None:
        """Keep what the engine knew before it judged an event's first clip."""


@dataclass(slots=True, eq=False)
class _Recent:
    """A clip that an event may begin with."""

    facts: ClipFacts
    clip: Clip | None
    """With its pixels, if it is anomalous."""
    memory: bytes | None = None
    """What the engine knew before it judged the clip."""


class CameraEvidence(Observer):
    """Watches one camera. Of calm clips nothing is kept but their facts.

    `on_gone(camera)` is told when the camera is removed.
    """

    def __init__(
        self, gatherer: Gatherer, plan: CameraPlan, *, on_gone: Callable[[CameraName], None]
    ) -> None:
        self._gatherer = gatherer
        self._on_gone = on_gone
        self._plan = plan
        self._info: SourceInfo | None = None
        self._recent: deque[_Recent] = deque(maxlen=plan.events.open_within)
        self._event_id: str | None = None
        self._first: _Recent | None = None
        self._shown_score = 0.0

    def replan(self, plan: CameraPlan) -> None:
        """Take new settings of the camera."""
        self._plan = plan
        self._recent = deque(self._recent, maxlen=plan.events.open_within)

    def on_info(self, camera: CameraName, info: SourceInfo) -> None:
        """Take what the source is."""
        self._info = info

    def on_health(self, health: Health) -> None:
        """End recordings of a camera that was switched off."""
        if health.state == "off":
            self._gatherer.camera_gone(health.camera)

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """End recordings of a camera that was removed."""
        self._gatherer.camera_gone(camera)
        self._on_gone(camera)

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Note a clip; one of an open event belongs to its evidence."""
        facts = ClipFacts.of(clip, verdict)
        if self._event_id is not None and self._gatherer.is_open(self._event_id):
            self._gatherer.add_clip(self._event_id, lambda case: case.with_clip(facts), clip)
            if verdict.anomalous:
                self._gatherer.extend(self._event_id, verdict.end_seconds)
                self._show_if_higher(self._event_id, clip, verdict)
            return
        recent = _Recent(facts, clip if verdict.anomalous else None)
        self._recent.append(recent)
        if verdict.anomalous:

            def take(memory: bytes) -> None:
                recent.memory = memory
                if self._first is recent and self._event_id is not None:
                    self._keep_memory(self._event_id)

            self._gatherer.want_memory(clip.camera, clip.clip_id, take)

    def on_event(self, event: Event) -> None:
        """Begin, go on with or end the evidence of an event."""
        if event.replay:
            return
        if event.type == "new" and event.event_id != self._event_id:
            self._open(event)
        else:
            self._gatherer.follow(event)
        if event.type == "end":
            self._event_id = self._first = None

    def _open(self, event: Event) -> None:
        self._event_id = event.event_id
        began = [
            one for one in self._recent if one.facts.verdict.start_seconds >= event.start_seconds
        ]
        self._recent.clear()
        if not began:
            return
        case = Case(event, self._plan, self._info, tuple(one.facts for one in began))
        if not self._gatherer.begin(case, until_seconds=began[-1].facts.verdict.end_seconds):
            return
        self._first = began[0]
        self._shown_score = 0.0
        for one in began:
            if one.clip is not None:
                self._gatherer.add_clip(event.event_id, lambda case: case, one.clip)
        peak = next(
            (one for one in began if one.facts.verdict.clip_id == event.peak_clip_id), began[-1]
        )
        if peak.clip is not None:
            self._show_if_higher(event.event_id, peak.clip, peak.facts.verdict)
        began[0].clip = None  # its pixels are not held for as long as the event goes on
        self._keep_memory(event.event_id)

    def _keep_memory(self, event_id: str) -> None:
        first = self._first
        if first is not None and first.memory is not None:
            self._gatherer.keep_memory(event_id, first.facts.verdict.clip_id, first.memory)
            first.memory = None

    def _show_if_higher(self, event_id: str, clip: Clip, verdict: Verdict) -> None:
        if verdict.score > self._shown_score:
            self._shown_score = verdict.score
            self._gatherer.show(event_id, clip)
