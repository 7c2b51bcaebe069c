"""When the next batch goes, and how large it may be."""

from __future__ import annotations

import math

import pytest

from edgewatch.pipeline.dispatch import HEAD_START_SECONDS, Dispatch, Turn

CLIP_SECONDS = 0.1


def turn(
    dispatch: Dispatch,
    waiting: int,
    now_seconds: float,
    *,
    places: int = 2,
    behind: bool = True,
    deadline_seconds: float = math.inf,
) -> Turn:
    return dispatch.turn(
        waiting,
        places=places,
        max_batch=8,
        behind=behind,
        deadline_seconds=deadline_seconds,
        now_seconds=now_seconds,
    )


def practised() -> Dispatch:
    """One that has seen batches of an engine that takes 0.1 s a clip, until second 0."""
    dispatch = Dispatch()
    for clips, began_seconds in ((1, -0.9), (8, -0.8)):
        given = dispatch.give(clips, live=True, now_seconds=began_seconds)
        dispatch.judged(given, began_seconds + clips * CLIP_SECONDS, learn=True)
        dispatch.leave(given)
    return dispatch


def test_an_idle_engine_gets_at_once_what_waits() -> None:
    assert turn(practised(), 1, 0.0) == Turn(8)
    assert turn(practised(), 0, 0.0) == Turn(0)


def test_the_second_place_waits_until_the_first_batch_is_nearly_through() -> None:
    dispatch = practised()
    dispatch.give(8, live=True, now_seconds=0.0)
    held = turn(dispatch, 1, 0.2)
    assert held.clips == 0
    assert held.again_seconds == pytest.approx(0.6 - HEAD_START_SECONDS)
    assert turn(dispatch, 3, 0.2 + 0.6 - HEAD_START_SECONDS) == Turn(8)


def test_a_whole_batch_does_not_wait() -> None:
    dispatch = practised()
    dispatch.give(8, live=True, now_seconds=0.0)
    assert turn(dispatch, 8, 0.01) == Turn(8)


def test_an_engine_whose_pace_is_unknown_is_kept_at_work() -> None:
    dispatch = Dispatch()
    dispatch.give(1, live=True, now_seconds=0.0)
    assert turn(dispatch, 1, 0.0) == Turn(8)


def test_no_more_batches_than_there_are_places() -> None:
    dispatch = practised()
    first = dispatch.give(8, live=True, now_seconds=0.0)
    assert turn(dispatch, 8, 0.0, places=1) == Turn(0)
    second = dispatch.give(8, live=True, now_seconds=0.0)
    assert turn(dispatch, 8, 0.0) == Turn(0)
    dispatch.judged(second, 0.8, learn=True)  # before the first: it still waits for it
    assert turn(dispatch, 8, 0.8) == Turn(0)
    dispatch.judged(first, 0.9, learn=True)
    dispatch.leave(first)
    assert turn(dispatch, 8, 0.9) == Turn(8)


def test_what_may_not_go_behind_others_goes_alone() -> None:
    dispatch = practised()
    given = dispatch.give(1, live=True, now_seconds=0.0)
    assert turn(dispatch, 8, 0.0, behind=False) == Turn(0)
    dispatch.judged(given, 0.1, learn=True)
    dispatch.leave(given)
    assert turn(dispatch, 8, 0.1, behind=False) == Turn(8)


def test_a_batch_behind_another_is_timed_from_its_turn() -> None:
    dispatch = practised()
    first = dispatch.give(8, live=True, now_seconds=0.0)
    second = dispatch.give(8, live=True, now_seconds=0.1)
    dispatch.judged(first, 0.8, learn=True)
    dispatch.leave(first)
    assert turn(dispatch, 1, 0.8).again_seconds == pytest.approx(0.8 - HEAD_START_SECONDS)
    dispatch.judged(second, 1.6, learn=True)
    dispatch.leave(second)
    dispatch.give(8, live=True, now_seconds=2.0)
    assert turn(dispatch, 1, 2.0).again_seconds == pytest.approx(0.8 - HEAD_START_SECONDS)


def test_what_a_restart_took_is_not_taken_for_the_engines_pace() -> None:
    dispatch = practised()
    given = dispatch.give(1, live=True, now_seconds=0.0)
    dispatch.judged(given, 100.0, learn=False)
    dispatch.leave(given)
    dispatch.give(8, live=True, now_seconds=100.0)
    assert turn(dispatch, 1, 100.0).again_seconds == pytest.approx(0.8 - HEAD_START_SECONDS)


def test_a_batch_keeps_the_deadline() -> None:
    assert turn(practised(), 8, 0.0, deadline_seconds=0.35) == Turn(3)
    assert turn(practised(), 8, 0.0, deadline_seconds=0.05) == Turn(8)  # nothing could
