"""Drawing: where scores, thresholds, coverage and events lie in a picture. Pure.

Drawings are WIDTH wide (the window of time) and HEIGHT high (score 1 at the top), and are
stretched to the place there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from edgewatch.pipeline.coverage import Span, partition
from edgewatch.pipeline.types import Coverage, Event, ScoreBucket

WIDTH = 1000.0
HEIGHT = 100.0
STRIP_HEIGHT = 10
_LEAST_WIDTH = 2.0
"""What is shorter is drawn this wide: an event must never be too small to be seen."""
_TICK_SECONDS = (1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200)
_DAY_SECONDS = 86_400

Point = tuple[float, float, float]
"""(end of the clip as Unix time, score, threshold)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time, Unix seconds; start included, end excluded."""

    since_seconds: float
    until_seconds: float

    @property
    def length_seconds(self) -> float:
        """How long it is."""
        return self.until_seconds - self.since_seconds

    def x(self, seconds: float) -> float:
        """Return where a moment lies, held within the drawing."""
        share = (seconds - self.since_seconds) / self.length_seconds
        return round(min(max(share, 0.0), 1.0) * WIDTH, 2)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One coverage of a strip, from x on."""

    x: float
    width: float
    coverage: Coverage
    partly: bool
    """Less than half of each of its cells was lost to `coverage`."""
    since_seconds: float
    until_seconds: float


@dataclass(frozen=True, slots=True)
class Band:
    """All stretches of one coverage as the data of one SVG path, STRIP_HEIGHT high."""

    coverage: Coverage
    partly: bool
    path: str


@dataclass(frozen=True, slots=True)
class Mark:
    """An event's place."""

    x: float
    width: float
    event: Event


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis of time."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Spark:
    """A small curve: the data of SVG paths."""

    line: str
    area: str
    threshold: str


def y(score: float) -> float:
    """Return the height at which a score lies."""
    return round((1.0 - min(max(score, 0.0), 1.0)) * HEIGHT, 2)


def spark(points: Sequence[Point], window: Window, *, gap_seconds: float) -> Spark:
    """Draw single clips; the line breaks where two are further apart than `gap_seconds`."""
    runs: list[list[Point]] = []
    last = -math.inf
    for point in points:
        if not window.since_seconds <= point[0] <= window.until_seconds:
            continue
        if point[0] - last > gap_seconds:
            runs.append([])
        runs[-1].append(point)
        last = point[0]
    lines, areas, limits = [], [], []
    for run in runs:
        xs = [window.x(point[0]) for point in run]
        if len(run) == 1:  # a lone clip is seen as a dash
            xs, run = [max(0.0, xs[0] - _LEAST_WIDTH), xs[0]], run * 2
        path = "L".join(f"{x:g} {y(one[1]):g}" for x, one in zip(xs, run, strict=True))
        lines.append(f"M{path}")
        areas.append(f"M{xs[0]:g} {HEIGHT:g}L{path}L{xs[-1]:g} {HEIGHT:g}Z")
    if points:
        limits.append(_steps([(window.x(one[0]), one[2]) for one in points]))
    return Spark("".join(lines), "".join(areas), "".join(limits))


def curve(buckets: Sequence[ScoreBucket], window: Window) -> Spark:
    """Draw buckets, each by its highest score; where none is, nothing was judged."""
    lines, areas = [], []
    run: list[tuple[float, float, float]] = []

    def finish() -> None:
        if run:
            top = "".join(f"L{x0:g} {h:g}L{x1:g} {h:g}" for x0, x1, h in run)
            lines.append(f"M{top[1:]}")
            areas.append(f"M{run[0][0]:g} {HEIGHT:g}{top}L{run[-1][1]:g} {HEIGHT:g}Z")
            run.clear()

    for one in buckets:
        x0, x1 = window.x(one.start_seconds), window.x(one.end_seconds)
        if run and x0 - run[-1][1] > 0.5:
            finish()
        run.append((x0, x1, y(one.highest)))
    finish()
    limit = _steps([(window.x(one.end_seconds), one.threshold) for one in buckets])
    return Spark("".join(lines), "".join(areas), limit)


def strip(spans: Iterable[Span], window: Window, *, cells: int) -> list[Stretch]:
    """Draw coverage as `cells` equal cells, neighbours that are alike as one.

    `spans`: one camera's, disjoint and in order. A cell is "judged" only if all of it was; else
    it shows the reason that took most.
    """
    since_ms, until_ms = round(window.since_seconds * 1000), round(window.until_seconds * 1000)
    sums = _cells(partition(spans, since_ms, until_ms), since_ms, until_ms, cells)
    found: list[Stretch] = []
    for number, one in enumerate(sums):
        judged_ms, all_ms = one.get("judged", 0), sum(one.values())
        reasons = [coverage for coverage in one if coverage != "judged"]
        worst: Coverage = max(reasons, key=one.__getitem__, default="judged")
        partly = 0 < all_ms - judged_ms < judged_ms
        x0, x1 = number * WIDTH / cells, (number + 1) * WIDTH / cells
        ends = window.since_seconds + (number + 1) * window.length_seconds / cells
        if found and (found[-1].coverage, found[-1].partly) == (worst, partly):
            old = found.pop()
            found.append(
                Stretch(old.x, round(x1 - old.x, 3), worst, partly, old.since_seconds, ends)
            )
        else:
            begins = window.since_seconds + number * window.length_seconds / cells
            found.append(Stretch(round(x0, 3), round(x1 - x0, 3), worst, partly, begins, ends))
    return found


def bands(stretches: Iterable[Stretch]) -> list[Band]:
    """Join the stretches of a strip by what they show: a browser draws few paths faster."""
    paths: dict[tuple[Coverage, bool], str] = {}
    for one in stretches:
        path = f"M{one.x:g} 0h{one.width:g}v{STRIP_HEIGHT}h-{one.width:g}z"
        kind = (one.coverage, one.partly)
        paths[kind] = paths.get(kind, "") + path
    return [Band(coverage, partly, path) for (coverage, partly), path in paths.items()]


def marks(events: Iterable[Event], window: Window) -> list[Mark]:
    """Place events; one that is still going on reaches to the window's end."""
    found = []
    for event in events:
        end = window.until_seconds if event.end_seconds is None else event.end_seconds
        if end < window.since_seconds or event.start_seconds > window.until_seconds:
            continue
        x = min(window.x(event.start_seconds), WIDTH - _LEAST_WIDTH)
        found.append(Mark(x, max(_LEAST_WIDTH, round(window.x(end) - x, 2)), event))
    return found


def ticks(window: Window, *, most: int = 8, zone: tzinfo | None = None) -> list[Tick]:
    """Return marks at round times of day; `zone`: whose, None for this machine's."""
    length = window.length_seconds
    gap = next((one for one in _TICK_SECONDS if length / one <= most), None)
    if gap is None:
        gap = _DAY_SECONDS * math.ceil(length / _DAY_SECONDS / most)
    offset = datetime.fromtimestamp(window.since_seconds, zone).astimezone(zone).utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    at = math.ceil((window.since_seconds + shift) / gap) * gap - shift
    found = []
    while at < window.until_seconds:
        found.append(Tick(window.x(at), _label(at, zone)))
        at += gap
    return found


def counts_above(scores: Iterable[float], *, steps: int = 100) -> list[int]:
    """Return how many scores reach each of the thresholds 0, 1 / steps, ..., 1."""
    at = [0] * (steps + 1)
    for one in scores:
        # A hair's breadth for what binary fractions lose: 0.29 is to reach the threshold 0.29
        at[min(steps, max(0, math.floor(one * steps + 1e-9)))] += 1
    for number in range(steps - 1, -1, -1):
        at[number] += at[number + 1]
    return at


def _steps(points: Sequence[tuple[float, float]]) -> str:
    """Draw a threshold over the whole width, from the first point's on."""
    if not points:
        return ""
    path, last = f"M0 {y(points[0][1]):g}", points[0][1]
    for x, value in points[1:]:
        if value != last:
            path += f"H{x:g}V{y(value):g}"
            last = value
    return f"{path}H{WIDTH:g}"


def _cells(
    spans: Iterable[Span], since_ms: int, until_ms: int, cells: int
) -> list[dict[Coverage, int]]:
    """Sum a partition of [since, until) by cell."""
    length_ms = until_ms - since_ms
    edges = [since_ms + length_ms * number // cells for number in range(1, cells + 1)]
    sums: list[dict[Coverage, int]] = [{} for _ in edges]
    cell = 0
    for start_ms, end_ms, coverage in spans:
        while start_ms < end_ms:
            upto_ms = min(end_ms, edges[cell])
            sums[cell][coverage] = sums[cell].get(coverage, 0) + upto_ms - start_ms
            start_ms = upto_ms
            if start_ms >= edges[cell] and cell < cells - 1:
                cell += 1
    return sums


def _label(seconds: float, zone: tzinfo | None) -> str:
    at = datetime.fromtimestamp(seconds, zone)
    if at.hour == at.minute == at.second == 0:
        return f"{at:%-d %b}"
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
