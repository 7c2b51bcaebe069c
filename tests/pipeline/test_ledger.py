"""The ledger accounts for every millisecond exactly once, whatever the order of calls and clock."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.ledger import Ledger, coverage_totals
from edgewatch.pipeline.types import CameraName, Coverage, Interval

FRONT = CameraName("front")
REASONS = tuple(coverage for coverage in get_args(Coverage) if coverage != "judged")


def new_ledger() -> Ledger:
    return Ledger(settle_ms=15_000, window_ms=5_000)


def told(intervals: list[Interval]) -> list[tuple[int, int, Coverage]]:
    """Intervals without their camera, equal neighbours merged as the store merges them."""
    merged: list[tuple[int, int, Coverage]] = []
    for interval in intervals:
        start_ms = interval.start_ms
        if merged and merged[-1][1:] == (start_ms, interval.coverage):
            start_ms = merged.pop()[0]
        merged.append((start_ms, interval.end_ms, interval.coverage))
    return merged


def test_overlapping_clips_become_one_judged_interval() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    for start_ms in range(0, 10_000, 2_500):
        ledger.judged(FRONT, start_ms, start_ms + 5_000)
    assert ledger.close(12_500) == [Interval(FRONT, 0, 12_500, "judged")]


def test_each_reason_holds_until_the_next() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "connecting")
    ledger.watch(FRONT, 2_000, "too_short")
    ledger.judged(FRONT, 2_000, 7_000)
    ledger.watch(FRONT, 7_000, "offline")
    assert told(ledger.close(20_000)) == [
        (0, 2_000, "connecting"),
        (2_000, 7_000, "judged"),
        (7_000, 20_000, "offline"),
    ]


def test_judged_wins_over_a_drop_and_over_what_held() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    ledger.dropped(FRONT, 0, 5_000, "overload")
    ledger.judged(FRONT, 2_500, 7_500)
    ledger.dropped(FRONT, 5_000, 10_000, "engine_down")
    assert told(ledger.close(12_000)) == [
        (0, 2_500, "overload"),
        (2_500, 7_500, "judged"),
        (7_500, 10_000, "engine_down"),
        (10_000, 12_000, "offline"),
    ]


def test_tail_reported_too_short_does_not_hide_that_its_clip_was_dropped() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.dropped(FRONT, 0, 5_000, "overload")
    ledger.dropped(FRONT, 2_500, 6_000, "too_short")
    assert told(ledger.close(6_000)) == [(0, 5_000, "overload"), (5_000, 6_000, "too_short")]


def test_nothing_is_settled_before_it_is_old_enough() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    assert ledger.advance(15_000) == []
    assert ledger.advance(15_001) == [Interval(FRONT, 0, 1, "offline")]


def test_verdict_that_comes_just_in_time_still_counts() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    assert ledger.advance(15_000) == []
    ledger.judged(FRONT, 0, 5_000)
    assert ledger.advance(20_000) == [Interval(FRONT, 0, 5_000, "judged")]


def test_verdict_that_comes_too_late_changes_nothing() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    ledger.advance(25_000)
    ledger.judged(FRONT, 0, 11_000)
    assert told(ledger.close(25_000)) == [(10_000, 11_000, "judged"), (11_000, 25_000, "offline")]


def test_short_unexplained_stretch_before_an_outage_is_too_short() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 0, 5_000)
    ledger.watch(FRONT, 9_999, "offline")
    assert told(ledger.close(20_000)) == [
        (0, 5_000, "judged"),
        (5_000, 9_999, "too_short"),
        (9_999, 20_000, "offline"),
    ]


def test_unexplained_stretch_as_long_as_a_clip_is_overload() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 5_000, 10_000)
    assert told(ledger.close(10_000)) == [(0, 5_000, "overload"), (5_000, 10_000, "judged")]


def test_unexplained_stretch_is_named_by_its_whole_length_however_often_time_is_settled() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 0, 5_000)
    ledger.judged(FRONT, 12_000, 17_000)
    intervals = [one for now_ms in range(0, 40_000, 700) for one in ledger.advance(now_ms)]
    assert told(intervals)[:3] == [
        (0, 5_000, "judged"),
        (5_000, 12_000, "overload"),
        (12_000, 17_000, "judged"),
    ]


def test_each_unexplained_stretch_has_a_length_of_its_own() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 3_000, 8_000)
    ledger.judged(FRONT, 11_000, 16_000)
    assert told(ledger.close(16_000)) == [
        (0, 3_000, "too_short"),
        (3_000, 8_000, "judged"),
        (8_000, 11_000, "too_short"),
        (11_000, 16_000, "judged"),
    ]


def test_short_stretch_that_still_goes_on_waits_until_its_length_is_known() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 0, 5_000)
    assert told(ledger.advance(23_000)) == [(0, 5_000, "judged")]
    ledger.watch(FRONT, 9_000, "offline")
    assert told(ledger.advance(25_000)) == [(5_000, 9_000, "too_short"), (9_000, 10_000, "offline")]


def test_footage_reported_too_short_stays_so_however_long() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.dropped(FRONT, 0, 60_000, "too_short")
    assert told(ledger.close(60_000)) == [(0, 60_000, "too_short")]


def test_clock_set_back_does_not_settle_time_again() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 100_000, "offline")
    first = ledger.advance(125_000)
    ledger.watch(FRONT, 50_000, "connecting")
    assert ledger.advance(60_000) == []
    assert told(first + ledger.close(130_000)) == [
        (100_000, 110_000, "offline"),
        (110_000, 130_000, "connecting"),
    ]


def test_clock_set_forward_is_covered_by_what_held() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "disabled")
    assert ledger.advance(86_415_000) == [Interval(FRONT, 0, 86_400_000, "disabled")]


def test_unwatched_camera_is_settled_at_once_and_told_with_the_next_advance() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 0, 5_000)
    ledger.unwatch(FRONT, 6_000)
    ledger.judged(FRONT, 5_000, 10_000)
    assert told(ledger.advance(6_000)) == [(0, 5_000, "judged"), (5_000, 6_000, "too_short")]
    assert ledger.close(60_000) == []


def test_camera_watched_again_leaves_the_time_between_uncovered() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    ledger.unwatch(FRONT, 1_000)
    ledger.watch(FRONT, 3_000, "offline")
    assert [(one.start_ms, one.end_ms) for one in ledger.close(4_000)] == [
        (0, 1_000),
        (3_000, 4_000),
    ]


def test_camera_watched_again_after_the_clock_was_set_back_does_not_overlap() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 5_000, "offline")
    ledger.unwatch(FRONT, 10_000)
    ledger.watch(FRONT, 2_000, "connecting")
    assert told(ledger.close(12_000)) == [
        (5_000, 10_000, "offline"),
        (10_000, 12_000, "connecting"),
    ]


def test_cameras_do_not_touch_each_other() -> None:
    yard = CameraName("yard")
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    ledger.watch(yard, 0, "disabled")
    ledger.judged(yard, 0, 1_000)
    assert ledger.close(1_000) == [
        Interval(FRONT, 0, 1_000, "offline"),
        Interval(yard, 0, 1_000, "judged"),
    ]


def test_footage_of_an_unknown_camera_is_ignored() -> None:
    ledger = new_ledger()
    ledger.judged(FRONT, 0, 5_000)
    ledger.dropped(FRONT, 0, 5_000, "overload")
    ledger.unwatch(FRONT, 5_000)
    assert ledger.close(5_000) == []


def test_only_a_verdict_says_judged() -> None:
    ledger = new_ledger()
    with pytest.raises(ValueError, match="only judged"):
        ledger.watch(FRONT, 0, "judged")
    with pytest.raises(ValueError, match="was not judged"):
        ledger.dropped(FRONT, 0, 1, "judged")


def test_unexplained_stretch_is_the_engines_while_it_is_away() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.judged(FRONT, 0, 20_000)
    ledger.engine(30_000, ready=False)
    ledger.engine(31_000, ready=False)
    ledger.engine(45_000, ready=True)
    ledger.judged(FRONT, 60_000, 80_000)
    intervals = [one for now_ms in range(0, 80_000, 5_000) for one in ledger.advance(now_ms)]
    assert told([*intervals, *ledger.close(80_000)]) == [
        (0, 20_000, "judged"),
        (20_000, 45_000, "engine_down"),  # from what it may have had in hand when it went
        (45_000, 60_000, "overload"),
        (60_000, 80_000, "judged"),
    ]


def test_engine_that_comes_and_goes_leaves_no_hole_and_no_overlap() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    for now_ms in (40_000, 44_000, 60_000):  # each reaches back over the end of the one before
        ledger.engine(now_ms, ready=False)
        ledger.engine(now_ms + 2_000, ready=True)
    assert told(ledger.close(70_000)) == [
        (0, 25_000, "overload"),
        (25_000, 62_000, "engine_down"),
        (62_000, 70_000, "overload"),
    ]


def test_clips_dropped_for_want_of_time_are_overload_even_if_the_engine_goes_later() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.dropped(FRONT, 0, 5_000, "overload")
    ledger.engine(6_000, ready=False)
    assert told(ledger.close(20_000)) == [(0, 5_000, "overload"), (5_000, 20_000, "engine_down")]


def test_tail_too_short_for_a_clip_is_not_the_engines() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    ledger.engine(1_000, ready=False)
    ledger.watch(FRONT, 4_000, "offline")
    assert told(ledger.close(9_000)) == [(0, 4_000, "too_short"), (4_000, 9_000, "offline")]


def test_time_that_the_clock_jumped_over_stays_uncovered() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "offline")
    ledger.clock_set(10_000, 1_000_000)
    ledger.judged(FRONT, 990_000, 1_002_000)
    assert told(ledger.close(1_005_000)) == [
        (0, 10_000, "offline"),
        (1_000_000, 1_002_000, "judged"),
        (1_002_000, 1_005_000, "offline"),
    ]


def test_time_lived_again_after_the_clock_was_set_back_is_told_again_at_once() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 1_000_000, "offline")
    ledger.clock_set(1_010_000, 5_000)
    assert told(ledger.advance(30_000)) == [
        (1_000_000, 1_010_000, "offline"),
        (5_000, 15_000, "offline"),
    ]


def test_camera_watched_again_after_the_clock_was_set_back_begins_at_once() -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 1_000_000, "offline")
    ledger.unwatch(FRONT, 1_001_000)
    ledger.clock_set(1_002_000, 5_000)
    ledger.watch(FRONT, 6_000, "offline")
    assert told(ledger.close(7_000)) == [
        (1_000_000, 1_001_000, "offline"),
        (6_000, 7_000, "offline"),
    ]


@pytest.mark.parametrize("set_to_ms", [2_000_000, 5_000])
def test_engine_that_is_away_while_the_clock_is_set_stays_away(set_to_ms: int) -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 1_000_000, "too_short")
    ledger.engine(1_001_000, ready=False)
    ledger.clock_set(1_010_000, set_to_ms)
    assert told(ledger.close(set_to_ms + 10_000)) == [
        (1_000_000, 1_010_000, "engine_down"),
        (set_to_ms, set_to_ms + 10_000, "engine_down"),
    ]


MS = st.integers(0, 60_000)
SPAN = st.tuples(MS, st.integers(0, 8_000))
CALLS = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), MS, st.sampled_from(REASONS)),
        st.tuples(st.just("judged"), SPAN),
        st.tuples(st.just("dropped"), SPAN, st.sampled_from(REASONS)),
        st.tuples(st.just("advance"), MS),
    ),
    max_size=40,
)


def play(ledger: Ledger, calls: list[tuple[object, ...]]) -> list[list[Interval]]:
    """Make the calls; return what each advance gave."""
    settled = []
    for call in calls:
        match call:
            case ("watch", int(now_ms), reason):
                ledger.watch(FRONT, now_ms, reason)  # type: ignore[arg-type]  # of REASONS
            case ("judged", (int(start_ms), int(length_ms))):
                ledger.judged(FRONT, start_ms, start_ms + length_ms)
            case ("dropped", (int(start_ms), int(length_ms)), reason):
                ledger.dropped(FRONT, start_ms, start_ms + length_ms, reason)  # type: ignore[arg-type]  # of REASONS
            case ("advance", int(now_ms)):
                settled.append(ledger.advance(now_ms))
    return settled


@given(first_ms=MS, calls=CALLS, last_ms=MS)
def test_any_calls_on_any_clock_cover_time_without_hole_or_overlap(
    first_ms: int, calls: list[tuple[object, ...]], last_ms: int
) -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, first_ms, "connecting")
    batches = [*play(ledger, calls), ledger.close(last_ms)]
    intervals = [interval for batch in batches for interval in batch]
    for batch in batches:
        assert all(one.coverage != two.coverage for one, two in pairwise(batch))
    assert all(one.end_ms == two.start_ms for one, two in pairwise(intervals))
    assert all(one.start_ms < one.end_ms for one in intervals)
    begin_ms = intervals[0].start_ms if intervals else first_ms
    end_ms = intervals[-1].end_ms if intervals else first_ms
    nows_ms = [call[1] for call in calls if call[0] == "advance" and isinstance(call[1], int)]
    assert begin_ms == first_ms
    assert end_ms >= max(first_ms, last_ms)
    assert end_ms <= max([first_ms, last_ms, *(now_ms - 15_000 for now_ms in nows_ms)])


@given(calls=CALLS)
def test_judged_time_is_exactly_what_verdicts_cover(calls: list[tuple[object, ...]]) -> None:
    ledger = new_ledger()
    ledger.watch(FRONT, 0, "too_short")
    play(ledger, [call for call in calls if call[0] != "advance"])
    intervals = ledger.close(70_000)
    judged_ms = {
        at_ms
        for kind, span, *_ in calls
        if kind == "judged" and isinstance(span, tuple)
        for at_ms in range(span[0], sum(span))
    }
    assert coverage_totals(intervals, 0, 70_000).get("judged", 0) == len(judged_ms)


def test_totals_count_what_no_interval_covers_as_not_running() -> None:
    intervals = [Interval(FRONT, 100, 300, "judged"), Interval(FRONT, 400, 500, "offline")]
    assert coverage_totals(intervals, 200, 450) == {
        "judged": 100,
        "offline": 50,
        "not_running": 100,
    }


def test_totals_of_an_empty_span_are_empty() -> None:
    assert coverage_totals([Interval(FRONT, 0, 9, "judged")], 5, 5) == {}


@given(
    cuts=st.lists(MS, min_size=2, max_size=20, unique=True).map(sorted),
    since_ms=MS,
    length_ms=st.integers(0, 60_000),
    data=st.data(),
)
def test_totals_add_up_to_the_span(
    cuts: list[int], since_ms: int, length_ms: int, data: st.DataObject
) -> None:
    pieces = st.one_of(st.none(), st.sampled_from(get_args(Coverage)))
    intervals = [
        Interval(FRONT, start_ms, end_ms, coverage)
        for start_ms, end_ms in pairwise(cuts)
        if (coverage := data.draw(pieces)) is not None
    ]
    totals = coverage_totals(intervals, since_ms, since_ms + length_ms)
    assert sum(totals.values()) == length_ms
    assert all(total > 0 for total in totals.values())
