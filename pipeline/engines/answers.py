"""Answers: probabilities of a model's first token turned into P(anomaly). Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.types import Answer


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """The tokens that count as each answer: every spelling that is one token."""

    anomaly: tuple[int, ...]
    normal: tuple[int, ...]

    @property
    def all(self) -> tuple[int, ...]:
        """Both, the anomaly's first."""
        return self.anomaly + self.normal


def spellings(word: str) -> list[str]:
    """Return the ways in which a model may write a one-word answer: " yes", "YES", ..."""
    forms = dict.fromkeys((word, word.lower(), word.capitalize(), word.upper()))
    return [space + form for form in forms for space in ("", " ")]


def answer_tokens(encode: Callable[[str], Sequence[int]], form: Form) -> AnswerTokens:
    """Find both answers' tokens; `encode` gives a text's token ids, without any added ones.

    Raises EngineFailed if an answer is not one token of this model as it is set, or if a token
    would count as both.
    """
    both = []
    for word in (form.anomaly_answer, form.normal_answer):
        pieces = len(encode(word))
        if pieces != 1:
            raise EngineFailed(
                f'the answer "{word}" is {pieces} tokens of this model, and its first may begin '
                'other answers too: set [engine] answers to words of one token, as ["Yes", "No"]'
            )
        ids = [tuple(encode(spelling)) for spelling in spellings(word)]
        both.append(tuple(dict.fromkeys(one[0] for one in ids if len(one) == 1)))
    tokens = AnswerTokens(*both)
    if set(tokens.anomaly) & set(tokens.normal):
        raise EngineFailed(
            f'"{form.anomaly_answer}" and "{form.normal_answer}" share a token of this model: '
            'set [engine] answers to two clearly different words, as ["Yes", "No"]'
        )
    return tokens


def answer_of(
    anomaly_mass: float, normal_mass: float, form: Form, prompt_hash: str, *, bound: float = 0.0
) -> Answer:
    """Make the answer of both sides' probabilities, each a sum over its spellings.

    A side that is 0 because a server named only its most probable tokens is taken at `bound`, the
    least probability that was named: it cannot be more. Raises AnswerUnreadable if neither side
    holds anything, or a figure is no probability: that is no "Normal".
    """
    figures = (anomaly_mass, normal_mass, bound)
    if not all(math.isfinite(figure) and 0.0 <= figure <= 1.001 for figure in figures):
        raise AnswerUnreadable(f"the model's answer has no probabilities: {figures}")
    mass = anomaly_mass + normal_mass
    if mass <= 0.0:
        raise AnswerUnreadable(
            f'the model answered neither "{form.anomaly_answer}" nor "{form.normal_answer}"'
        )
    anomaly, normal = anomaly_mass or bound, normal_mass or bound
    return Answer(
        score=anomaly / (anomaly + normal),
        uncertain=mass < form.least_mass,
        prompt_hash=prompt_hash,
    )


def unreadable(prompt_hash: str) -> Answer:
    """Return what stands for an answer that was none: the clip then counts as not judged."""
    return Answer(math.nan, prompt_hash=prompt_hash)


def answer_of_logs(
    logs: npt.NDArray[np.floating[Any]], tokens: AnswerTokens, form: Form, prompt_hash: str
) -> Answer:
    """Make the answer of log-probabilities in the order of `tokens.all`; unreadable if none is."""
    both = np.exp(logs.astype(np.float64))
    sides = len(tokens.anomaly)
    try:
        return answer_of(float(both[:sides].sum()), float(both[sides:].sum()), form, prompt_hash)
    except AnswerUnreadable:
        return unreadable(prompt_hash)


def answer_of_tokens(
    log_probabilities: Mapping[int, float], tokens: AnswerTokens, form: Form, prompt_hash: str
) -> Answer:
    """Make the answer of the most probable tokens: id to natural logarithm. Raises as `answer_of`.

    An entry that is NaN, or above 0 by more than rounding, makes the whole answer unreadable.
    """
    if not log_probabilities or any(not value < 1e-3 for value in log_probabilities.values()):
        raise AnswerUnreadable("the model's answer came without usable log-probabilities")
    known = {token: math.exp(value) for token, value in log_probabilities.items()}
    unknown = max(0.0, 1.0 - sum(known.values()))
    return answer_of(
        sum(known.get(token, 0.0) for token in tokens.anomaly),
        sum(known.get(token, 0.0) for token in tokens.normal),
        form,
        prompt_hash,
        bound=min(unknown, *known.values()),
    )
