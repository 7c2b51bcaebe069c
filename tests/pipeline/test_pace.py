"""How long batches take, as learnt from those that were judged."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.pace import Pace


def paced(*batches: tuple[int, float]) -> Pace:
    pace = Pace()
    for clips, seconds in batches:
        pace.learn(clips, seconds)
    return pace


def test_nothing_is_expected_before_the_first_batch() -> None:
    assert Pace().expected_seconds(8) == 0.0
    assert Pace().most_clips(0.001, 8) == 8


def test_a_call_and_its_clips_are_told_apart() -> None:
    pace = paced((1, 0.032), (8, 0.242), (3, 0.092))
    assert pace.expected_seconds(5) == pytest.approx(0.152)
    assert paced((4, 2.0)).expected_seconds(2) == pytest.approx(1.0)  # one size: by the clip


def test_the_largest_batch_that_keeps_the_deadline() -> None:
    pace = paced((1, 0.35), (8, 2.45))
    assert pace.most_clips(1.0, 8) == 3
    assert pace.most_clips(10.0, 8) == 8
    assert pace.most_clips(math.inf, 8) == 8


def test_a_deadline_that_one_clip_cannot_keep_is_none() -> None:
    assert paced((1, 5.0), (8, 40.0)).most_clips(2.5, 8) == 8


def test_batches_are_not_cut_where_that_saves_no_time() -> None:
    # Eight servers: a batch takes as long as a clip. The first guess, by the clip, is put right.
    pace = paced((8, 5.0))
    assert pace.most_clips(2.5, 8) == 4
    pace.learn(4, 5.0)
    assert pace.most_clips(2.5, 8) == 8


def test_an_engine_that_has_become_slow_is_soon_known() -> None:
    pace = paced(*[(size % 4 + 1, 0.1 * (size % 4 + 1)) for size in range(50)])
    for size in range(30):
        pace.learn(size % 4 + 1, 0.4 * (size % 4 + 1))
    assert pace.expected_seconds(2) == pytest.approx(0.8, rel=0.1)


@given(
    st.lists(st.tuples(st.integers(1, 64), st.floats(0.0, 1e4)), max_size=40),
    st.floats(0.0, 1e4),
    st.integers(1, 64),
)
def test_some_clips_always_go_and_never_too_many(
    batches: list[tuple[int, float]], within_seconds: float, most: int
) -> None:
    pace = paced(*batches)
    assert 1 <= pace.most_clips(within_seconds, most) <= most
    assert pace.expected_seconds(most) >= 0.0
