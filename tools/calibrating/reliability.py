"""Reliability: how often it was an incident where the engine gave it this probability. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.tools.calibrating.labelled import Clips
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.intervals import clustered_share

Floats = npt.NDArray[np.float64]

MOST_BINS = 10
LEAST_IN_A_BIN = 8


@dataclass(frozen=True, slots=True)
class Bin:
    """Neighbouring scores, about as many clips in each bin."""

    low: float
    high: float
    """The least and the highest score in it."""
    said: float
    """Their mean."""
    was: Estimate
    """Share of incidents; its interval rests on recordings."""
    clips: int


@dataclass(frozen=True, slots=True)
class Diagram:
    """How far probabilities can be believed."""

    bins: tuple[Bin, ...]
    error: float
    """Expected calibration error over these bins: mean of |said - was|, weighted by clips."""
    brier: float
    log_loss: float


def diagram(probability: Floats, clips: Clips, log_loss: float) -> Diagram:
    """Put clips into bins of equal number; equal scores stay together.

    Bins of equal width would leave most clips of an engine that is sure of itself in two of them.
    """
    order = np.argsort(probability, kind="stable")
    count = max(1, min(MOST_BINS, len(order) // LEAST_IN_A_BIN))
    ordered = probability[order]
    edges = [0]
    for number in range(1, count):
        # To the end of equal scores.
        at = int(np.searchsorted(ordered, ordered[len(order) * number // count], side="left"))
        if at > edges[-1]:
            edges.append(at)
    bins = [
        _bin(probability, clips, order[low:high])
        for low, high in zip(edges, [*edges[1:], len(order)], strict=True)
    ]
    apart = [abs(one.said - (one.was.value or 0.0)) * one.clips for one in bins]
    return Diagram(
        tuple(bins),
        sum(apart) / len(order),
        float(((probability - clips.truth) ** 2).mean()),
        log_loss,
    )


def _bin(probability: Floats, clips: Clips, members: npt.NDArray[np.intp]) -> Bin:
    scores = probability[members]
    _, group = np.unique(clips.group[members], return_inverse=True)
    part = np.bincount(group, weights=clips.truth[members]).astype(np.float64)
    whole = np.bincount(group).astype(np.float64)
    return Bin(
        float(scores.min()),
        float(scores.max()),
        float(scores.mean()),
        clustered_share(part, whole, "no clip"),
        len(members),
    )
