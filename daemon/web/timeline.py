"""The timeline: a stretch of one camera's time with coverage, scores and events."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.drawing import (
    Mark,
    Spark,
    Stretch,
    Tick,
    Window,
    counts_above,
    curve,
    marks,
    strip,
    ticks,
    y,
)
from edgewatch.pipeline.types import CameraName

HOURS = {"1": "1 h", "6": "6 h", "24": "24 h", "168": "7 d"}
"""The lengths there are, with their names."""
DAY_SECONDS = 86_400.0
HOUR_SECONDS = 3600.0

BUCKETS = 480
STRIP_CELLS = 480
MOMENTS = 96
"""Links into the timeline for readers without script."""
MOST_EVENTS = 500
COUNTED_AT_ONCE_SECONDS = 12 * HOUR_SECONDS
"""Scores are read in parts, so that no other reader waits long."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A link into the timeline."""

    x: float
    width: float
    at_seconds: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """Everything the drawing shows."""

    camera: str
    hours: str
    window: Window
    scores: Spark
    threshold: float | None
    """The one in force now; None for a camera that is no longer configured."""
    threshold_y: float
    above: tuple[int, ...]
    """Clips of the window that reach the thresholds 0, 0.01, ..., 1."""
    stretches: tuple[Stretch, ...]
    events: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    moments: tuple[Moment, ...]


async def timeline_of(
    context: WebContext,
    camera: str,
    hours: str,
    *,
    threshold: float | None,
    until_seconds: float | None = None,
) -> Timeline | None:
    """Read a camera's window of `hours` (one of HOURS) that ends at a Unix time, or now.

    None if there is no such length. Raises StoreError.
    """
    if hours not in HOURS:
        return None
    now_seconds = context.clock.wall_seconds()
    length_seconds = float(hours) * HOUR_SECONDS
    # At a bucket's edge, so that a look a second later shows the same buckets
    step_seconds = length_seconds / BUCKETS
    end_seconds = now_seconds if until_seconds is None else until_seconds
    end_seconds = step_seconds * (int(end_seconds / step_seconds) + 1)
    window = Window(end_seconds - length_seconds, end_seconds)
    name, store = CameraName(camera), context.pipeline.store
    buckets = await store.timeline(name, window.since_seconds, window.until_seconds, BUCKETS)
    since_ms, until_ms = round(window.since_seconds * 1000), round(window.until_seconds * 1000)
    intervals = await store.coverage(name, since_ms, until_ms)
    events = await store.events_between(
        name, window.since_seconds, window.until_seconds, MOST_EVENTS
    )
    known_seconds = min(window.until_seconds, now_seconds)
    spans = [(one.start_ms, one.end_ms, one.coverage) for one in intervals]
    return Timeline(
        camera=camera,
        hours=hours,
        window=window,
        scores=curve(buckets, window),
        threshold=threshold,
        threshold_y=y(threshold if threshold is not None else 1.0),
        above=tuple(await _counts_above(context, name, window)),
        stretches=tuple(strip(spans, window, cells=STRIP_CELLS)),
        events=tuple(marks(events, Window(window.since_seconds, known_seconds)))
        if known_seconds > window.since_seconds
        else (),
        ticks=tuple(ticks(window)),
        moments=tuple(_moments(window)),
    )


async def _counts_above(context: WebContext, camera: CameraName, window: Window) -> list[int]:
    total = counts_above(())
    since = window.since_seconds
    while since < window.until_seconds:
        until = min(since + COUNTED_AT_ONCE_SECONDS, window.until_seconds)
        scores = await context.pipeline.store.scores(camera, since, until)
        part = counts_above(score for _, score, _ in scores if score is not None)
        total = [one + other for one, other in zip(total, part, strict=True)]
        since = until
    return total


def _moments(window: Window) -> list[Moment]:
    width = 1000.0 / MOMENTS
    length_seconds = window.length_seconds / MOMENTS
    return [
        Moment(
            round(number * width, 3),
            round(width, 3),
            window.since_seconds + (number + 0.5) * length_seconds,
        )
        for number in range(MOMENTS)
    ]
