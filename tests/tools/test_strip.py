"""The strip hides no moment that was not judged, and its axis tells the time of day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.coverage import Span, partition
from edgewatch.pipeline.types import Coverage
from edgewatch.tools.strip import Cell, axis, draw

HOUR_MS = 3_600_000
NOON_MS = round(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp() * 1000)


def test_each_cell_is_the_worst_of_its_time() -> None:
    spans: list[Span] = [
        (0, 29, "judged"),
        (29, 30, "offline"),
        (30, 52, "overload"),
        (52, 60, "offline"),
        (60, 80, "judged"),
    ]
    assert draw(spans, 0, 80, 4) == [
        Cell("judged", most=True),
        Cell("overload", most=True),
        Cell("overload", most=True),
        Cell("judged", most=True),
    ]
    assert draw(spans, 0, 80, 2) == [Cell("overload", most=False), Cell("overload", most=True)]


def test_a_window_shorter_than_the_strip_has_a_cell_for_each_millisecond() -> None:
    assert len(draw([(5, 8, "judged")], 5, 8, 80)) == 3
    assert draw([], 5, 5, 80) == []


@given(
    cuts=st.lists(st.integers(0, 200), min_size=2, max_size=10, unique=True).map(sorted),
    width=st.integers(1, 50),
    data=st.data(),
)
def test_a_cell_is_judged_only_if_all_of_its_time_was(
    cuts: list[int], width: int, data: st.DataObject
) -> None:
    kinds: st.SearchStrategy[Coverage] = st.sampled_from(("judged", "offline", "overload"))
    known: list[Span] = [(start, end, data.draw(kinds)) for start, end in pairwise(cuts)]
    cells = draw(partition(known, 0, 200), 0, 200, width)
    plain = [one[2] for one in partition(known, 0, 200) for _ in range(one[0], one[1])]
    edges = [200 * number // width for number in range(width + 1)]
    assert len(cells) == width
    for cell, (start, end) in zip(cells, pairwise(edges), strict=True):
        lost: list[str] = [one for one in plain[start:end] if one != "judged"]
        assert (cell.coverage == "judged") == (not lost)
        if lost:
            assert lost.count(cell.coverage) == max(map(lost.count, lost))
            assert cell.most == (2 * len(lost) >= end - start)


@pytest.mark.parametrize(
    ("hours", "width", "expected"),
    [
        (6, 60, "|12:00              |14:00              |16:00"),
        (24, 48, "|12:00      |18:00      |11-22      |06:00"),
        (24 * 30, 48, "        |11-27       |12-05       |12-13"),
        (0.05, 36, "|12:00      |12:01      |12:02"),
        (10 / 3600, 36, "|12:00            |12:00:05"),
        (6, 8, ""),
    ],
)
def test_marks_stand_at_round_times_of_day(hours: float, width: int, expected: str) -> None:
    assert axis(NOON_MS, NOON_MS + round(hours * HOUR_MS), width, UTC) == expected


@given(
    since_ms=st.integers(0, 4 * 10**12),
    length_ms=st.integers(1, 40 * 24 * HOUR_MS),
    width=st.integers(1, 300),
)
def test_marks_are_within_the_width_and_never_touch(
    since_ms: int, length_ms: int, width: int
) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    line = axis(since_ms, since_ms + length_ms, width, zone)
    assert len(line) <= width
    labels = line.split()
    assert all(label.startswith("|") and label.count("|") == 1 for label in labels)


def test_no_window_has_no_marks() -> None:
    assert axis(NOON_MS, NOON_MS, 80, UTC) == ""
