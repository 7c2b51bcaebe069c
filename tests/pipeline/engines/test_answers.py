from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.engines.answers import (
    AnswerTokens,
    answer_of,
    answer_of_tokens,
    answer_tokens,
)
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed

# Ids of Qwen2.5's vocabulary
WORDS = {
    "Yes": 9454,
    " Yes": 7414,
    "yes": 9693,
    "No": 2753,
    " No": 2308,
    "no": 2152,
    " no": 902,
    "Normal": 12206,
    " Normal": 18437,
}
FORM = Form()
TOKENS = AnswerTokens(anomaly=(9454, 7414), normal=(2753, 2308))


def encode(text: str) -> list[int]:
    """As a tokenizer of byte pairs: known words whole, others letter by letter."""
    return [WORDS[text]] if text in WORDS else [ord(sign) for sign in text]


def test_every_spelling_that_is_one_token_counts() -> None:
    tokens = answer_tokens(encode, FORM)
    assert tokens == AnswerTokens(anomaly=(9454, 7414, 9693), normal=(2753, 2308, 2152, 902))


def test_answer_of_two_tokens_is_refused_with_a_cure() -> None:
    with pytest.raises(EngineFailed, match=r'"Anomaly" is 7 tokens .*answers = |\["Yes", "No"\]'):
        answer_tokens(encode, Form("Anomaly", "Normal"))


def test_answers_that_share_a_token_are_refused() -> None:
    with pytest.raises(EngineFailed, match="share a token"):
        answer_tokens(lambda text: [7], FORM)


def test_score_is_the_anomalys_share_of_both() -> None:
    answer = answer_of(0.3, 0.6, FORM, "hash")
    assert answer.score == pytest.approx(1 / 3)
    assert not answer.uncertain
    assert answer.prompt_hash == "hash"


def test_spellings_are_summed() -> None:
    given_tokens = {9454: math.log(0.2), 7414: math.log(0.2), 2753: math.log(0.4)}
    assert answer_of_tokens(given_tokens, TOKENS, FORM, "").score == pytest.approx(0.5)


def test_little_probability_on_both_answers_is_uncertain() -> None:
    answer = answer_of_tokens({9454: math.log(0.05), 13: math.log(0.9)}, TOKENS, FORM, "")
    assert answer.uncertain
    assert 0.0 <= answer.score <= 1.0


def test_a_side_that_is_not_named_is_at_most_what_is_left() -> None:
    one = answer_of_tokens({9454: math.log(0.99)}, TOKENS, FORM, "")
    assert one.score == pytest.approx(0.99)
    many = {9454: math.log(0.9), 5: math.log(0.05), 6: math.log(0.0001)}
    assert answer_of_tokens(many, TOKENS, FORM, "").score == pytest.approx(0.9 / 0.9001)


@pytest.mark.parametrize(
    "named", [{}, {5: -0.1}, {9454: math.nan}, {9454: 0.7}, {9454: math.inf}, {9454: -math.inf}]
)
def test_what_is_no_answer_is_never_taken_for_normal(named: dict[int, float]) -> None:
    with pytest.raises(AnswerUnreadable):
        answer_of_tokens(named, TOKENS, FORM, "")


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_score_is_a_probability_that_grows_with_the_anomalys_mass(a: float, share: float) -> None:
    rest = (1.0 - a) * share
    if a + rest <= 0.0:
        return
    answer = answer_of(a, rest, FORM, "")
    assert 0.0 <= answer.score <= 1.0
    assert (answer.score >= 0.5) == (a >= rest)
    assert answer.uncertain == (a + rest < FORM.least_mass)
