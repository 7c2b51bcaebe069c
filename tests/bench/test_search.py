from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.search import largest


class Trials:
    """A limit, and how often it was asked about."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.asked: list[int] = []

    def __call__(self, number: int) -> bool:
        self.asked.append(number)
        return number <= self.limit


@given(limit=st.integers(0, 25), guess=st.integers(0, 60))
def test_small_numbers_are_found_exactly(limit: int, guess: int) -> None:
    assert largest(Trials(limit), guess) == limit


@given(limit=st.integers(1, 500), guess=st.integers(1, 500))
def test_the_answer_holds_and_is_within_the_step_of_the_limit(limit: int, guess: int) -> None:
    found = largest(Trials(limit), guess)
    assert found <= limit
    assert limit - found <= max(1, 0.05 * limit)


@given(limit=st.integers(1, 500), guess=st.integers(1, 500))
def test_no_number_is_tried_twice(limit: int, guess: int) -> None:
    trials = Trials(limit)
    largest(trials, guess)
    assert len(trials.asked) == len(set(trials.asked))


def test_a_good_guess_takes_few_trials() -> None:
    trials = Trials(76)
    assert 73 <= largest(trials, 72) <= 76
    assert len(trials.asked) <= 4
