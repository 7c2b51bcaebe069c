"""Which token comes next, and where a text ends. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    """How words are chosen."""

    temperature: float = 0.0
    """0: the most probable token each time."""
    top_p: float = 1.0
    """Only the most probable tokens count that have this probability together."""


def draws(seed: int, count: int) -> npt.NDArray[np.float32]:
    """Return numbers from 0 to below 1, one a token: the same for the same seed."""
    return np.random.default_rng(seed).random(count, dtype=np.float32)


def chosen(logits: torch.Tensor, sampling: Sampling, draw: torch.Tensor) -> torch.Tensor:
    """Return the next token, int64 (1,), of logits (1, vocabulary).

    `draw`: float32 (1,), from 0 to below 1: where along the probabilities, largest first, the
    token is picked. All of it runs on the device.
    """
    import torch

    if sampling.temperature == 0.0:
        return logits.argmax(-1)
    probabilities = (logits[0].float() / sampling.temperature).softmax(-1)
    ordered, tokens = probabilities.sort(descending=True)
    counted = ordered.cumsum(0) - ordered < sampling.top_p
    sums = (ordered * counted).cumsum(0)
    place = torch.searchsorted(sums, draw * sums[-1:], right=True)
    # A draw close to 1 may be rounded to the whole sum.
    return tokens[torch.minimum(place, counted.sum() - 1)]


def before_stop(text: str, stops: Sequence[str]) -> str | None:
    """Return what stands before the first of the stops in a text; None: there is none."""
    places = [place for stop in stops if (place := text.find(stop)) >= 0]
    return text[: min(places)] if places else None
