from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.daemon.web.drawing import (
    WIDTH,
    Window,
    counts_above,
    curve,
    marks,
    spark,
    strip,
    ticks,
    y,
)
from edgewatch.pipeline.coverage import Span
from edgewatch.pipeline.types import ScoreBucket
from tests.fakes.events import make_event

HOUR = Window(0.0, 3600.0)


def test_score_1_is_at_the_top_and_nothing_leaves_the_drawing() -> None:
    assert [y(one) for one in (0.0, 0.25, 1.0, 7.0, -1.0)] == [100.0, 75.0, 0.0, 0.0, 100.0]
    assert [HOUR.x(one) for one in (-5.0, 0.0, 900.0, 9999.0)] == [0.0, 0.0, 250.0, WIDTH]


class TestSpark:
    def test_clips_are_joined_and_a_gap_is_left_open(self) -> None:
        points = [(0.0, 0.5, 0.5), (36.0, 1.0, 0.5), (1800.0, 0.0, 0.5), (1836.0, 0.5, 0.5)]
        drawn = spark(points, HOUR, gap_seconds=60.0)
        assert drawn.line == "M0 50L10 0M500 100L510 50"

    def test_a_lone_clip_is_a_dash(self) -> None:
        assert spark([(1800.0, 0.5, 0.5)], HOUR, gap_seconds=60.0).line == "M498 50L500 50"

    def test_the_threshold_steps_where_it_was_changed(self) -> None:
        points = [(0.0, 0.1, 0.5), (360.0, 0.1, 0.5), (720.0, 0.1, 0.8)]
        assert spark(points, HOUR, gap_seconds=999.0).threshold == "M0 50H200V20H1000"

    def test_nothing_is_drawn_of_nothing(self) -> None:
        assert spark([], HOUR, gap_seconds=1.0).line == ""


def test_a_curve_shows_the_highest_of_each_bucket_and_leaves_gaps() -> None:
    buckets = [
        ScoreBucket(0.0, 36.0, 0.5, 0.1, 0.3, 0.5, 4),
        ScoreBucket(36.0, 72.0, 1.0, 0.1, 0.3, 0.5, 4),
        ScoreBucket(1800.0, 1836.0, 0.2, 0.1, 0.2, 0.5, 4),
    ]
    drawn = curve(buckets, HOUR)
    assert drawn.line == "M0 50L10 50L10 0L20 0M500 80L510 80"
    assert drawn.area.count("Z") == 2


class TestStrip:
    def test_likes_are_one_stretch_and_unknown_time_was_not_running(self) -> None:
        found = strip([(900_000, 3_600_000, "judged")], HOUR, cells=60)
        assert [(one.coverage, one.x, one.width) for one in found] == [
            ("not_running", 0.0, 250.0),
            ("judged", 250.0, 750.0),
        ]

    def test_a_lost_second_is_not_hidden_by_a_judged_hour(self) -> None:
        spans: list[Span] = [
            (0, 1_000_000, "judged"),
            (1_000_000, 1_001_000, "offline"),
            (1_001_000, 3_600_000, "judged"),
        ]
        lost = [one for one in strip(spans, HOUR, cells=60) if one.coverage != "judged"]
        assert [(one.coverage, one.partly) for one in lost] == [("offline", True)]

    @given(
        st.lists(
            st.tuples(st.integers(1, 900_000), st.sampled_from(["judged", "offline", "frozen"])),
            max_size=30,
        ),
        st.integers(1, 300),
    )
    def test_the_whole_width_is_drawn_without_hole_or_overlap(
        self, lengths: list[tuple[int, str]], cells: int
    ) -> None:
        at, spans = 0, []
        for length_ms, coverage in lengths:
            spans.append((at, at + length_ms, coverage))
            at += length_ms
        found = strip(spans, HOUR, cells=cells)  # type: ignore[arg-type]
        edge = 0.0
        for one in found:
            assert one.x == pytest.approx(edge, abs=0.01)
            edge = one.x + one.width
        assert edge == pytest.approx(WIDTH, abs=0.01)


class TestMarks:
    def test_a_short_event_can_be_seen_and_clicked(self) -> None:
        (mark,) = marks([make_event("a", 1800.0, end_seconds=1800.1)], HOUR)
        assert (mark.x, mark.width) == (500.0, 2.0)

    def test_an_open_event_reaches_to_now(self) -> None:
        (mark,) = marks([make_event("a", 1800.0)], HOUR)
        assert (mark.x, mark.width) == (500.0, 500.0)

    def test_what_lies_outside_is_left_out(self) -> None:
        events = [make_event("a", -20.0, end_seconds=-10.0), make_event("b", 4000.0)]
        assert marks(events, HOUR) == []


@pytest.mark.parametrize(
    ("hours", "first"), [(1, "02:00"), (6, "02:00"), (24, "03:00"), (24 * 7, "15 Nov")]
)
def test_ticks_stand_at_round_times(hours: int, first: str) -> None:
    since = 1_794_621_600.0  # 2026-11-14 02:00 UTC
    found = ticks(Window(since, since + 3600 * hours), zone=UTC)
    assert found[0].label == first
    assert 3 <= len(found) <= 9


def test_counts_tell_how_many_scores_reach_each_threshold() -> None:
    above = counts_above([0.0, 0.29, 0.5, 0.999, 1.0])
    assert len(above) == 101
    assert [above[at] for at in (0, 1, 29, 30, 50, 51, 99, 100)] == [5, 4, 4, 3, 3, 2, 2, 1]
