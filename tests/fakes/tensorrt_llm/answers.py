"""What the stand-in's model answers: by brightness, or as a mark in the prompt says."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.fakes.tensorrt_llm.tokens import AN, THINK, WHOLE

STEEPNESS = 8.0
SPOKEN = 0.98
"""Probability that the labels hold together."""


@dataclass
class Logprob:
    """As the library's."""

    logprob: float
    rank: int | None = None


def anomaly_probability(brightness: float) -> float:
    """Return P(Yes) over both answers for a clip."""
    return 1.0 / (1.0 + math.exp(-STEEPNESS * (brightness - 0.5)))


def first_token(brightness: float, mark: str, size: int) -> dict[int, Logprob]:
    """Return the most probable first tokens, `size` of them, most probable first."""
    yes = SPOKEN * anomaly_probability(brightness)
    probabilities = {
        WHOLE["Yes"]: 0.9 * yes,
        WHOLE[" Yes"]: 0.1 * yes,
        WHOLE["No"]: 0.9 * (SPOKEN - yes),
        WHOLE[" No"]: 0.1 * (SPOKEN - yes),
    }
    match mark:
        case "only_yes":
            probabilities = {WHOLE["Yes"]: SPOKEN}
        case "only_no":
            probabilities = {WHOLE["No"]: SPOKEN}
        case "neither":
            probabilities = {AN: SPOKEN}
        case "think":
            probabilities = {THINK: 0.9, WHOLE["Yes"]: 0.03, WHOLE["No"]: 0.01}
    left = max(1e-6, 1.0 - sum(probabilities.values()))
    others = size - len(probabilities)
    for number in range(others):
        probabilities[110_000 + number] = left / (others + 1)
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:size]
    logprobs = {
        token: Logprob(math.log(max(probability, 1e-30)), rank)
        for rank, (token, probability) in enumerate(ranked, 1)
    }
    if mark == "nan":
        logprobs[WHOLE["Yes"]] = Logprob(math.nan, 1)
    if mark == "minus_inf":
        logprobs[WHOLE["Yes"]] = Logprob(-math.inf, size)
    return logprobs
