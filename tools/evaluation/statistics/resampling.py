"""Resampling: what figures would be on other recordings like these (stratified cluster bootstrap).

Units (recordings, drives) are drawn with replacement, anomalous and normal ones apart, each with
all its clips (Field & Welsh, JRSS B 69 (2007) 369). How often a unit was drawn is its weight;
everything that is measured depends on weighted counts alone, so all resamples are one product of
matrices: draws x units times units x levels of score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgewatch.tools.evaluation.statistics.sample import Booleans, Floats, Sample

LEVELS = 512
"""Scores are ranked into at most this many levels; spread of a figure needs no finer ones."""
BUDGET = 4_000_000_000
"""Multiplications a bootstrap may cost (below a second); more clips get fewer resamples."""
NO_RESAMPLES = "no resamples were asked for: no interval"
FEWEST = 200
"""Resamples are never fewer, whatever they cost."""


@dataclass(frozen=True, slots=True)
class Areas:
    """Areas under curves, one of each a resample; not finite where a class was not drawn."""

    roc: Floats
    precision_recall: Floats
    average_precision: Floats


class Resampling:
    """Draws of a sample's units."""

    def __init__(self, sample: Sample, *, seed: int, resamples: int) -> None:
        """Draw; a sample has at least one unit."""
        self._sample = sample
        levels, self._level = _levelled(sample.scores)
        self._levels = levels
        affordable = BUDGET // max(1, 2 * sample.units * levels)
        self.resamples = max(min(resamples, FEWEST), min(resamples, affordable))
        strata = sample.sums(sample.positive) > 0
        self._weights = _draws(strata, self.resamples, np.random.default_rng(seed))
        smallest = min(_sizes(strata))
        self._correction = smallest / (smallest - 1) if smallest > 1 else 1.0

    def variance(self, values: Floats) -> float:
        """Return the variance between resamples, made good for the fewest units of a class.

        Drawing n units with replacement shows only (n - 1)/n of the variance.
        """
        finite = values[np.isfinite(values)]
        return float(finite.var()) * self._correction if len(finite) > 1 else 0.0

    def sums(self, by_unit: Floats) -> Floats:
        """Add up what units have (units, or units x columns) for each resample."""
        return np.asarray(self._weights @ by_unit, dtype=np.float64)

    def areas(self) -> Areas:
        """Return the areas under the curves of each resample."""
        positive = self._counts(self._sample.positive)
        negative = self._counts(~self._sample.positive)
        return _areas(positive, negative)

    def _counts(self, chosen: Booleans) -> Floats:
        """Count the chosen items of each resample by level, highest score first."""
        sample = self._sample
        cells = sample.unit[chosen] * self._levels + self._level[chosen]
        table = np.bincount(cells, minlength=sample.units * self._levels)
        return self.sums(table.reshape(sample.units, self._levels).astype(np.float64))[:, ::-1]


def _levelled(scores: Floats) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Rank scores: equal scores share a level, and near ones where there are too many."""
    values, level, count = np.unique(scores, return_inverse=True, return_counts=True)
    if len(values) <= LEVELS:
        return len(values), level.astype(np.int64)
    middle = (np.cumsum(count) - count / 2) / len(scores)
    return LEVELS, np.minimum((middle * LEVELS).astype(np.int64), LEVELS - 1)[level]


def _sizes(strata: Booleans) -> list[int]:
    anomalous = int(np.count_nonzero(strata))
    return [size for size in (anomalous, len(strata) - anomalous) if size]


def _draws(strata: Booleans, resamples: int, random: np.random.Generator) -> Floats:
    """Return how often each unit was drawn, resamples x units."""
    weights = np.zeros((resamples, len(strata)))
    for stratum in (strata, ~strata):
        size = int(np.count_nonzero(stratum))
        if size:
            drawn = random.multinomial(size, np.full(size, 1 / size), size=resamples)
            weights[:, stratum] = drawn
    return weights


def _areas(positive: Floats, negative: Floats) -> Areas:
    """Return areas from counts by level (resamples x levels), highest score first."""
    hits, alarms = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        all_hits, all_alarms = hits[:, -1], alarms[:, -1]
        above = ((hits - positive / 2) * negative).sum(axis=1)
        # Before the first item precision is taken for 1, as scikit-learn takes it.
        precision = np.where(hits + alarms > 0, hits / (hits + alarms), 1.0)
        before = np.concatenate([np.ones((len(precision), 1)), precision[:, :-1]], axis=1)
        return Areas(
            roc=above / (all_hits * all_alarms),
            precision_recall=(positive * (precision + before) / 2).sum(axis=1) / all_hits,
            average_precision=(positive * precision).sum(axis=1) / all_hits,
        )
