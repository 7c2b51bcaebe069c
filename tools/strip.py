"""Strip: a camera's coverage as one line of cells, with the times below. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from edgewatch.pipeline.coverage import Span
from edgewatch.pipeline.types import Coverage

MAX_TICKS = 9
_TICK_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600)
_DAY_SECONDS = 86_400
_LABEL_CELLS = 12
"""What a tick's mark and label take, with room on the right."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One slice of time: judged throughout, or the reason that took most of what was not."""

    coverage: Coverage
    most: bool
    """Whether this and the other reasons took at least half of the slice."""


def draw(spans: Iterable[Span], since_ms: int, until_ms: int, width: int) -> list[Cell]:
    """Lay [since, until) out in at most `width` cells of equal length.

    `spans`: a partition of that time, in order. No moment that was not judged is hidden by
    those that were: a cell is "judged" only if all of it was.
    """
    length_ms = until_ms - since_ms
    count = max(0, min(width, length_ms))
    ends_ms = [since_ms + length_ms * number // count for number in range(1, count + 1)]
    sums: list[dict[Coverage, int]] = [{} for _ in ends_ms]
    rest = zip(ends_ms, sums, strict=True)
    edge_ms, cell = since_ms, sums[0] if sums else {}
    for start_ms, end_ms, coverage in spans:
        while end_ms > edge_ms:
            if start_ms < edge_ms:
                cell[coverage] = cell.get(coverage, 0) + edge_ms - start_ms
                start_ms = edge_ms
            edge_ms, cell = next(rest)
        cell[coverage] = cell.get(coverage, 0) + end_ms - start_ms
    return [_cell(one) for one in sums]


def axis(since_ms: int, until_ms: int, width: int, zone: tzinfo | None = None) -> str:
    """Return a line with marks below the cells at round times of day, each with its label.

    `zone`: whose time of day; None: this machine's.
    """
    line = [" "] * width
    free = 0
    for tick_ms in _ticks_ms(since_ms, until_ms, min(MAX_TICKS, width // _LABEL_CELLS), zone):
        column = (tick_ms - since_ms) * width // (until_ms - since_ms)
        label = f"|{_label(tick_ms, zone)}"
        if column >= free and column + len(label) <= width:
            line[column : column + len(label)] = label
            free = column + len(label) + 1
    return "".join(line).rstrip()


def _cell(sums: dict[Coverage, int]) -> Cell:
    lost = {coverage: ms for coverage, ms in sums.items() if coverage != "judged"}
    if not lost:
        return Cell("judged", most=True)
    worst = max(lost, key=lost.__getitem__)
    return Cell(worst, most=2 * sum(lost.values()) >= sum(sums.values()))


def _ticks_ms(since_ms: int, until_ms: int, most: int, zone: tzinfo | None) -> Sequence[int]:
    """Return the times in [since, until) that are round by the clock on the wall, `most` at most.

    (A change to summer time within shifts those after it by an hour: the labels tell.)
    """
    if most < 1 or until_ms <= since_ms:
        return []
    length = (until_ms - since_ms) / 1000
    gap = next((one for one in _TICK_SECONDS if length / one <= most), None)
    if gap is None:
        days = -(-length // (_DAY_SECONDS * most))
        gap = round(days * _DAY_SECONDS)
    offset = datetime.fromtimestamp(since_ms / 1000, zone).astimezone(zone).utcoffset()
    offset_ms = 0 if offset is None else round(offset.total_seconds() * 1000)
    gap_ms = gap * 1000
    first_ms = -(-(since_ms + offset_ms) // gap_ms) * gap_ms - offset_ms
    return range(first_ms, until_ms, gap_ms)


def _label(at_ms: int, zone: tzinfo | None) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, zone)
    if moment.hour == moment.minute == moment.second == 0:
        return f"{moment:%m-%d}"
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
