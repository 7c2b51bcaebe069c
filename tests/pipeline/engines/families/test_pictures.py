"""A clip as a few pictures: laws of the choice, and what is said of it."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.engines.families.pictures import (
    about_pictures,
    chosen_frames,
    seconds_apart,
)
from edgewatch.pipeline.engines.question import Question


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 300), most=st.integers(1, 64))
def test_chosen_frames_grow_and_lie_evenly(count: int, most: int) -> None:
    chosen = chosen_frames(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < count
    steps = {after - before for before, after in itertools.pairwise(chosen)}
    assert not steps or max(steps) - min(steps) <= 1
    assert abs((chosen[0] + chosen[-1]) - (count - 1)) <= 1 + (count > most), "as much on each side"


def test_without_a_limit_all_are_shown() -> None:
    assert chosen_frames(5, None) == [0, 1, 2, 3, 4]


def test_single_frame_is_the_middle_one() -> None:
    assert chosen_frames(20, 1) == [10]
    assert chosen_frames(1, 1) == [0]


def test_question_says_how_many_pictures_there_are_and_when() -> None:
    question = Question("Watch.", "Is there smoke?", "")
    indexes = chosen_frames(20, 4)
    said = about_pictures(question, len(indexes), seconds_apart(indexes, 4.0))
    assert said.user == (
        "You see 4 pictures of one video, in order of time, 1.2 seconds apart.\n\nIs there smoke?"
    )
    assert said.system == question.system
    assert said.hash != question.hash


def test_question_about_one_picture_says_so() -> None:
    said = about_pictures(Question("", "Is there smoke?", ""), 1, seconds_apart([3], 4.0))
    assert said.user.startswith("You see one picture, from the middle of a video.\n\n")
