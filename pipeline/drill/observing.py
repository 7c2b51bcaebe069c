"""What a drill is told by the flow: of the camera's own clips, and of what comes of the copies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from edgewatch.pipeline.types import Clip, Event, Verdict
from edgewatch.pipeline.watch import Observer

CLIPS_KEPT = 8
"""Live clips that wait for their own verdict; an engine remembers no further back."""


class LiveClips(Observer):
    """The newest clips of the camera, and which of them were judged. On the event loop."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self.first_score: float | None = None
        """Of the real clip that the first copy is made of."""
        self._on_change = on_change
        self._clips: deque[Clip] = deque(maxlen=CLIPS_KEPT)
        self._scores: dict[str, float] = {}

    def add(self, clip: Clip) -> None:
        """Keep a clip that came."""
        self._clips.append(clip)
        self._on_change()

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Note that a clip was judged."""
        self._scores[clip.clip_id] = verdict.score
        while len(self._scores) > CLIPS_KEPT:
            del self._scores[next(iter(self._scores))]
        self._on_change()

    def take_judged(self) -> Clip | None:
        """Return the newest clip that was judged, None while there is none."""
        for clip in reversed(self._clips):
            if clip.clip_id in self._scores:
                self.first_score = self._scores[clip.clip_id]
                return clip
        return None

    def since(self, first: Clip) -> list[Clip]:
        """Return a clip and those that came after it, in order."""
        clips = list(self._clips)
        return clips[clips.index(first) :] if first in clips else []


class ShadowSteps(Observer):
    """Tells what comes of the copies: verdicts, an event, its being saved."""

    def __init__(
        self,
        on_judged: Callable[[str, float, bool], None],
        on_stage: Callable[[str], object],
    ) -> None:
        """`on_judged` gets clip id, score, and whether it reached the threshold."""
        self._on_judged = on_judged
        self._on_stage = on_stage

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Tell a copy's verdict."""
        self._on_judged(clip.clip_id, verdict.score, verdict.anomalous)

    def on_step(self, event: Event) -> None:
        """Tell that an event opens."""
        if event.type == "new":
            self._on_stage("policy")

    def on_event(self, event: Event) -> None:
        """Tell that it is saved."""
        if event.type == "new":
            self._on_stage("store")
