"""VQA's official comparison of short answers; the examples were computed with its own tool."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.tools.vqa.short_words import CONTRACTIONS, alike, vqa_accuracy


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("The Two dogs.", "2 dogs"),
        ("a man, an apple", "man apple"),
        ("None", "0"),
        ("t-shirt", "t shirt"),
        ("black & white", "black & white"),
        ("1,000", "1000"),
        ("1.5", "1.5"),
        ("u.s.", "us"),
        ("dont", "don't"),
        ("couldntve wouldnt've", "couldntve wouldn't've"),
        ("what? no!", "what no"),
        ("left/right", "left right"),
        ("eleven", "eleven"),
        ("", ""),
    ],
)
def test_answers_are_made_alike_as_the_tool_does(text: str, wanted: str) -> None:
    assert alike(text) == wanted


def test_all_contractions_of_the_tool_are_known() -> None:
    """The tool lists 120; two of them change nothing."""
    assert len(CONTRACTIONS) == 118
    assert CONTRACTIONS["yall'd've"] == "y'all'd've"
    assert CONTRACTIONS["somebody'd"] == "somebodyd"
    assert CONTRACTIONS["twas"] == "'twas"


@pytest.mark.parametrize(
    ("matches", "wanted"), [(0, 0.0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1.0), (10, 1.0)]
)
def test_accuracy_is_the_mean_over_leaving_out_each_person(matches: int, wanted: float) -> None:
    """The well-known 0, .3, .6, .9, 1 for ten people."""
    answers = ["cup"] * matches + ["other"] * (10 - matches)
    assert vqa_accuracy("The cup.", answers) == pytest.approx(wanted)


def test_tool_alone_takes_yes_for_wrong_where_all_said_it_in_small_letters() -> None:
    assert vqa_accuracy("Yes", ["yes"] * 10, cleaned=False) == 0.0
    assert vqa_accuracy("Yes", ["yes"] * 10) == 1.0
    assert vqa_accuracy("Yes", ["yes"] * 9 + ["no"], cleaned=False) == 1.0


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=20), st.lists(st.text(max_size=8), min_size=1, max_size=10))
def test_any_reply_is_worth_between_nothing_and_all(reply: str, answers: list[str]) -> None:
    assert 0.0 <= vqa_accuracy(reply, answers) <= 1.0
