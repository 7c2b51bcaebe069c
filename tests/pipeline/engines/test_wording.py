from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.wording import MOST_CHARACTERS, cleaned


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("A car  hits\na wall.", "A car hits a wall."),
        ("<think>Hm.\nA car?</think>\n<answer>A crash.</answer>", "A crash."),
        ("<think>cut off before the answ", ""),
        ("A man falls.<|im_end|>", "A man falls."),
        ("red \x1b[31mtext\x07 \u202eback\u202c", "red [31mtext back"),
        ("<b onclick=x>bold</b>", "<b onclick=x>bold</b>"),  # data: who shows it escapes it
    ],
)
def test_words_are_made_plain(said: str, shown: str) -> None:
    assert cleaned(said) == shown


def test_long_words_end_after_a_whole_one() -> None:
    shown = cleaned("word " * 1000)
    assert len(shown) <= MOST_CHARACTERS
    assert shown.endswith("word…")


@given(st.text(alphabet=st.characters(), max_size=900))
def test_anything_said_is_bounded_and_printable(said: str) -> None:
    shown = cleaned(said)
    assert len(shown) <= MOST_CHARACTERS
    assert not any(unicodedata.category(sign).startswith("C") for sign in shown)
    assert cleaned(shown) == shown or "<" in said
