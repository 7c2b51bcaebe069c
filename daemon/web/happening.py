"""A happening: one event with all that is known of it: evidence, clips, feedback."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.drawing import Spark, Tick, Window, spark, ticks, y
from edgewatch.pipeline.evidence.gone import is_gone
from edgewatch.pipeline.types import Event, EvidenceRow, Feedback, Verdict

AROUND_SECONDS = 15.0
"""What is shown before and after the event's own clips."""
MOST_CLIPS = 400
WAIT_SECONDS = 60.0
"""An event this long over and still without a row of evidence has none."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, and what the store knows of it; equal ones look the same."""

    event: Event
    evidence: EvidenceRow | None
    feedback: Feedback | None
    verdicts: tuple[Verdict, ...]
    """Those around it, oldest first; of a very long event the newest."""
    window: Window
    scores: Spark
    threshold_y: float
    ticks: tuple[Tick, ...]
    start_x: float
    end_x: float
    waiting: bool
    """Its video is still to come."""

    @property
    def gone(self) -> bool:
        """Whether its evidence was kept, and is there no more."""
        return is_gone(self.event, self.evidence) and not self.waiting

    @property
    def prompt_hash(self) -> str:
        """What the engine was asked."""
        return next((one.prompt_hash for one in reversed(self.verdicts) if one.prompt_hash), "")

    @property
    def peak(self) -> Verdict | None:
        """The verdict of its highest score, if it is still kept."""
        peak = self.event.peak_clip_id
        return next((one for one in self.verdicts if one.clip_id == peak), None)


async def happening(context: WebContext, event_id: str) -> Happening | None:
    """Read an event; None if there is none of this id, or a drill's. Raises StoreError."""
    store = context.pipeline.store
    event = await store.event(event_id)
    if event is None or event.drill:
        return None
    now_seconds = context.clock.wall_seconds()
    end_seconds = event.end_seconds if event.end_seconds is not None else now_seconds
    window = Window(
        event.start_seconds - AROUND_SECONDS,
        max(end_seconds, event.start_seconds) + AROUND_SECONDS,
    )
    verdicts = await store.verdicts(event.camera, window.since_seconds, window.until_seconds)
    # A score that was no number is NULL on disk
    verdicts = [
        one for one in verdicts if one.replay == event.replay and isinstance(one.score, float)
    ][-MOST_CLIPS:]
    evidence = await store.evidence(event_id)
    longest_seconds = max((one.end_seconds - one.start_seconds for one in verdicts), default=0.0)
    points = [(one.end_seconds, one.score, one.threshold) for one in verdicts]
    return Happening(
        event=event,
        evidence=evidence,
        feedback=await store.feedback(event_id),
        verdicts=tuple(verdicts),
        window=window,
        scores=spark(points, window, gap_seconds=2 * longest_seconds),
        threshold_y=y(event.threshold),
        ticks=tuple(ticks(window, most=6)),
        start_x=window.x(event.start_seconds),
        end_x=window.x(end_seconds),
        waiting=_is_waiting(event, evidence, now_seconds),
    )


def _is_waiting(event: Event, evidence: EvidenceRow | None, now_seconds: float) -> bool:
    if evidence is not None:
        return evidence.state == "recording"
    # Where evidence is off, an event carries no path, neither at its start nor at its end.
    if event.end_seconds is None:
        return event.thumbnail is not None
    return event.video is not None and now_seconds - event.end_seconds < WAIT_SECONDS
