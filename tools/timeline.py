"""Timeline: where scores, events and labels of one recording lie in a drawing. Pure.

The drawing is 100 wide (the recording's duration) and 100 high (score 1 at the top), and is
stretched to the place there is.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from edgewatch.pipeline.types import Verdict
from edgewatch.tools.labels import Window
from edgewatch.tools.results import RecordingResult
from edgewatch.tools.spans import EventSpan

MAX_TICKS = 7
_TICK_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200)
_TOUCHING_SECONDS = 1e-3
"""Windows closer than this follow each other without a gap."""


class Scored(Protocol):
    """A clip's score and place, in the recording's own time."""

    @property
    def media_start_seconds(self) -> float:
        """Its first picture's time."""

    @property
    def media_end_seconds(self) -> float:
        """Its end."""

    @property
    def score(self) -> float:
        """P(anomaly), 0 to 1."""


Clip = TypeVar("Clip", bound=Scored)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the drawing's width."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Step(Generic[Clip]):
    """One clip's (or several neighbours' worst clip's) place in the drawing."""

    span: Span
    y: float
    verdict: Clip


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the time axis."""

    x: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Timeline(Generic[Clip]):
    """Everything the drawing of one recording shows."""

    steps: tuple[Step[Clip], ...]
    line: str
    """The scores as the data of an SVG path; interrupted where nothing was judged."""
    threshold_y: float
    events: tuple[Span, ...]
    windows: tuple[Span, ...]
    ticks: tuple[Tick, ...]
    thinned: bool
    """Whether a step stands for several clips."""


def draw(result: RecordingResult, *, max_steps: int) -> Timeline[Verdict] | None:
    """Lay out a recording; None if it has no verdict. About `max_steps` steps at most."""
    if not result.verdicts:
        return None
    return lay_out(
        result.verdicts,
        threshold=result.verdicts[-1].threshold,
        duration_seconds=result.duration_seconds,
        events=result.spans,
        windows=result.label.windows if result.label else (),
        max_steps=max_steps,
    )


def lay_out(
    clips: Sequence[Clip],
    *,
    threshold: float,
    duration_seconds: float,
    events: Sequence[EventSpan],
    windows: Sequence[Window],
    max_steps: int,
) -> Timeline[Clip]:
    """Lay out what is known of a recording; there is at least one clip."""
    verdicts = sorted(clips, key=lambda one: one.media_start_seconds)
    total = max(duration_seconds, *(one.end_seconds for one in windows), 0.1)
    size = math.ceil(len(verdicts) / max_steps)
    steps = tuple(_steps(verdicts, total, size))

    def span(start_seconds: float, end_seconds: float) -> Span:
        return _span(start_seconds, end_seconds, total)

    return Timeline(
        steps=steps,
        line=_line(steps),
        threshold_y=_y(threshold),
        events=tuple(span(one.start_seconds, one.end_seconds) for one in events),
        windows=tuple(span(one.start_seconds, one.end_seconds) for one in windows),
        ticks=tuple(Tick(_x(seconds, total), seconds) for seconds in tick_seconds(total)),
        thinned=size > 1,
    )


def tick_seconds(total_seconds: float) -> list[float]:
    """Return round times from 0 to the end, at most MAX_TICKS of them."""
    fits = (one for one in _TICK_SECONDS if total_seconds / one < MAX_TICKS)
    gap = next(fits, 0.0) or 86_400 * math.ceil(total_seconds / 86_400 / (MAX_TICKS - 1))
    return [index * gap for index in range(int(total_seconds / gap) + 1)]


def _steps(verdicts: Sequence[Clip], total: float, size: int) -> Iterator[Step[Clip]]:
    """Yield a step for each `size` neighbours; overlapping windows share their overlap."""
    for run in _unbroken(verdicts):
        edges = [run[0].media_start_seconds]
        for one, after in itertools.pairwise(run):
            edges.append((one.media_end_seconds + after.media_start_seconds) / 2)
        edges.append(run[-1].media_end_seconds)
        for first in range(0, len(run), size):
            group = run[first : first + size]
            worst = max(group, key=lambda one: one.score)
            span = _span(edges[first], edges[first + len(group)], total)
            yield Step(span, _y(worst.score), worst)


def _unbroken(verdicts: Sequence[Clip]) -> Iterator[list[Clip]]:
    """Split where footage between two windows was not judged."""
    run = [verdicts[0]]
    for verdict in verdicts[1:]:
        if verdict.media_start_seconds > run[-1].media_end_seconds + _TOUCHING_SECONDS:
            yield run
            run = []
        run.append(verdict)
    yield run


def _line(steps: Sequence[Step[Clip]]) -> str:
    """Return the path that runs along the steps' tops."""
    parts: list[str] = []
    x = -1.0
    for step in steps:
        joined = abs(step.span.x - x) < 1e-3
        parts.append(f"V{step.y:g}" if joined else f"M{step.span.x:g} {step.y:g}")
        x = round(step.span.x + step.span.width, 3)
        parts.append(f"H{x:g}")
    return "".join(parts)


def _span(start_seconds: float, end_seconds: float, total: float) -> Span:
    x = _x(start_seconds, total)
    return Span(x, round(max(0.0, _x(end_seconds, total) - x), 3))


def _x(seconds: float, total: float) -> float:
    return round(min(max(seconds / total, 0.0), 1.0) * 100, 3)


def _y(score: float) -> float:
    return round((1.0 - min(max(score, 0.0), 1.0)) * 100, 2)
