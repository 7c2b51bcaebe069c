"""Scoring: how well the hand-set fusion, a combiner and both tell drawn incidents from twins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.ranking import few_units, missing_class, roc_area
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import sample_of
from edgewatch.tools.training.combiner import Floats
from edgewatch.tools.training.examples import Example

HAND_SET: Final = "hand-set"
COMBINER: Final = "combiner"
BOTH: Final = "both"
"""The mean of the two logarithms of odds."""
SCORERS: Final = (HAND_SET, COMBINER, BOTH)

RESAMPLES: Final = 500
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How well one scorer tells episodes with incidents from episodes without."""

    kind: str
    """Of the incident; `ALL` for all together."""
    incidents: int
    area: Estimate
    """P(the worst clip of an incident outscores that of any twin)."""
    against_twin: float | None
    """The share of incidents that outscore their own twin; a tie counts half."""


def odds_of(hand_set: Floats, combiner: Floats) -> Mapping[str, Floats]:
    """Return each scorer's odds of the same clips."""
    return {HAND_SET: hand_set, COMBINER: combiner, BOTH: (hand_set + combiner) / 2}


def figures_by_kind(
    examples: Sequence[Example], odds: Floats, *, seed: int
) -> tuple[KindFigures, ...]:
    """Return the figures of all incidents, then kind by kind.

    `odds`: one a clip; clips without (NaN) are left out. Clips of one camera are one witness.
    """
    worst = _worst(examples, odds)
    kinds = sorted({one.kind for one in examples if one.positive})
    return tuple(_figures(kind, worst, seed) for kind in (ALL, *kinds))


@dataclass(frozen=True, slots=True)
class _Key:
    camera: str
    pair: int
    kind: str
    twin: bool


def _worst(examples: Sequence[Example], odds: Floats) -> dict[_Key, float]:
    """Return the worst clip of each episode, among those that show the incident or its twin."""
    worst: dict[_Key, float] = {}
    for one, value in zip(examples, odds, strict=True):
        if one.role in ("incident", "twin") and np.isfinite(value):
            key = _Key(one.camera, one.episode // 2, one.kind, one.role == "twin")
            worst[key] = max(worst.get(key, -np.inf), float(value))
    return worst


def _figures(kind: str, worst: Mapping[_Key, float], seed: int) -> KindFigures:
    cameras = {name: index for index, name in enumerate(dict.fromkeys(k.camera for k in worst))}
    rows = [
        (value, not key.twin, cameras[key.camera])
        for key, value in worst.items()
        if key.twin or kind in (ALL, key.kind)
    ]
    sample = sample_of(rows)
    if missing_class(sample):
        area = Estimate(None, reason="no incident of this kind, or no twin, was judged")
    else:
        resampling = None
        if not few_units(sample):
            resampling = Resampling(sample, seed=seed, resamples=RESAMPLES)
        area = roc_area(sample, resampling, resampling.areas() if resampling else None)
    pairs = [
        float(np.sign(value - worst[twin]) / 2 + 0.5)
        for key, value in worst.items()
        if not key.twin and kind in (ALL, key.kind)
        if (twin := _Key(key.camera, key.pair, key.kind, True)) in worst
    ]
    return KindFigures(
        kind=kind,
        incidents=sum(positive for _, positive, _ in rows),
        area=area,
        against_twin=float(np.mean(pairs)) if pairs else None,
    )
