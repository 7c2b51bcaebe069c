"""What replies are worth by the official rules, and by upstream's."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgewatch.tools.vqa.pictures import FilePicture
from edgewatch.tools.vqa.questions import PictureQuestion
from edgewatch.tools.vqa.rules import holds_a_reference, marked, option_of, yes_or_no_of

PICTURE = FilePicture(Path("x.jpg"), "x.jpg")
LETTERS = ("A", "B", "C", "D")
OPTIONS = ("grass", "owl", "2", "a plant")


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("Yes", "yes"),
        ("no.", "no"),
        ("Yes, it is.", "yes"),
        ("No, there is not", "no"),
        ("I say no", "other"),
        ("not at all", "no"),  # as the tool reads it
        ("It is yes", "other"),
        ("", "other"),
    ],
)
def test_yes_or_no_is_looked_for_in_the_first_four_characters(reply: str, wanted: str) -> None:
    assert yes_or_no_of(reply) == wanted


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("B", 1),
        ("b", 1),
        ("(B)", 1),
        ("B.", 1),
        ("B. owl", 1),
        ("B owl", 1),
        ("B: because it hunts", 1),
        ("The answer is B.", 1),
        ("Answer: owl", 1),
        ("Owl.", 1),
        ("A plant", 3),  # no letter with a text: the option's own text
        ("A bird", None),
        ("2", 2),  # the text of an option goes before the number of one
        ("1", 0),
        ("(4)", 3),
        ("5", None),
        ("", None),
        ("a mouse eats it", None),
    ],
)
def test_option_is_read_by_letter_then_text_then_number(reply: str, wanted: int | None) -> None:
    assert option_of(reply, OPTIONS, LETTERS) == wanted


def test_options_called_by_upstreams_numbers_are_read_by_them() -> None:
    labels = ("0", "1", "2", "3")
    assert option_of("1", OPTIONS, labels) == 1
    assert option_of("(1) owl", OPTIONS, labels) == 1
    assert option_of("4", OPTIONS, labels) is None


def test_upstreams_rule_flatters() -> None:
    """The difference is why both are told: "normal" holds "no", and a list holds everything."""
    assert holds_a_reference("Everything is normal", ("No",))
    assert holds_a_reference("red, green or blue", ("BLUE",))
    assert not holds_a_reference("yes", ("No",))
    question = PictureQuestion("1", PICTURE, "Is it?", "Is it?", ("No",))
    worth = marked("mme", question, "Surely normal")
    assert (worth.value, worth.upstream, worth.read_as) == (0.0, True, "other")


def test_choice_is_worth_all_or_nothing() -> None:
    question = PictureQuestion(
        "1", PICTURE, "?", "?", ("owl",), options=OPTIONS, labels=LETTERS, correct=1
    )
    assert marked("ai2d", question, "B. owl").value == 1.0
    wrong = marked("ai2d", question, "a bird")
    assert (wrong.value, wrong.read_as, wrong.upstream) == (0.0, "", True)


def test_short_answer_is_told_cleaned_and_alone() -> None:
    question = PictureQuestion("1", PICTURE, "?", "?", ("yes",) * 10)
    worth = marked("vqav2", question, "Yes.")
    assert (worth.value, worth.tool_alone, worth.read_as) == (1.0, 0.0, "yes")
