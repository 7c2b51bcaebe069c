"""Reliability: does a score of 0.8 mean that 8 of 10 are anomalous?"""

from __future__ import annotations

import math

import numpy as np

from edgewatch.tools.evaluation.statistics.answers import NO_ITEM
from edgewatch.tools.evaluation.statistics.figures import Estimate, ReliabilityBin
from edgewatch.tools.evaluation.statistics.intervals import (
    MINIMUM_UNITS,
    bounded,
    cautious,
    clustered_share,
    share,
    t_quantile,
)
from edgewatch.tools.evaluation.statistics.libraries import sklearn_metrics
from edgewatch.tools.evaluation.statistics.resampling import NO_RESAMPLES, Resampling
from edgewatch.tools.evaluation.statistics.sample import Floats, Integers, Sample

BINS = 10
"""Of equal width, as usual (Guo et al., ICML 2017)."""


def brier(sample: Sample, resampling: Resampling | None) -> Estimate:
    """Return the mean squared distance of score and truth; 0 is perfect, always 0.5 gives 0.25."""
    if not len(sample.scores):
        return Estimate(None, reason=NO_ITEM)
    # pos_label: with only normal items scikit-learn cannot know which is the positive class.
    value = float(
        sklearn_metrics().brier_score_loss(sample.positive, sample.scores, pos_label=True)
    )
    if resampling is None or sample.units < MINIMUM_UNITS:
        return Estimate(value, reason=_no_interval(sample))
    errors = sample.sums((sample.scores - sample.positive) ** 2)
    counts = sample.sums(np.ones_like(sample.scores))
    means = resampling.sums(errors) / resampling.sums(counts)
    widest = value * (1 - value) / sample.units
    variance = cautious(resampling.variance(means), widest, sample.units)
    # Squared errors spread less than right and wrong do, but where large ones are rare a few
    # recordings may show none: never more than three times as sure as of a share.
    return bounded(value, variance, sample.units, most=3.0 * len(sample.scores))


def calibration_error(sample: Sample, resampling: Resampling | None) -> Estimate:
    """Return the expected calibration error: mean distance of score and truth by bin of score.

    Few items make it look worse than it is (chance alone gives each bin a distance). The
    interval begins at 0 where chance explains the figure, else below the figure without the
    excess that the bootstrap shows.
    """
    if not len(sample.scores):
        return Estimate(None, reason=NO_ITEM)
    gaps = _gaps(sample)
    value = float(np.abs(gaps.sum(axis=0)).sum() / len(sample.scores))
    if resampling is None or sample.units < MINIMUM_UNITS:
        return Estimate(value, reason=_no_interval(sample))
    counts = resampling.sums(sample.sums(np.ones_like(sample.scores)))
    errors = np.abs(resampling.sums(gaps)).sum(axis=1) / counts
    variance = resampling.variance(errors)
    plain = bounded(value, variance, sample.units)
    excess = max(0.0, float(errors.mean()) - value)
    reduced = bounded(max(0.0, value - excess), variance, sample.units)
    expected, deviation = _by_chance(sample)
    explained = value <= expected + t_quantile(sample.units - 1) * deviation
    low = 0.0 if explained else min(plain.low or 0.0, reduced.low or 0.0)
    return Estimate(value, low, plain.high)


def chance_calibration_error(sample: Sample) -> float | None:
    """Return the calibration error that a perfectly calibrated engine would show here.

    None for no item.
    """
    return _by_chance(sample)[0] if len(sample.scores) else None


def _no_interval(sample: Sample) -> str:
    one = sample.units < MINIMUM_UNITS
    return "rests on one recording: no interval" if one else NO_RESAMPLES


def _by_chance(sample: Sample) -> tuple[float, float]:
    """Return mean and standard deviation of the calibration error that chance alone gives.

    A bin's distance is |x| for a normal x around 0, whose mean is sqrt(2/pi) of its deviation.
    The variance of x is the sum of p(1 - p) where items are independent; where clips of a unit
    err together it is that of units' sums, which is larger.
    """
    bins = _bins(sample)
    alone = np.bincount(bins, weights=sample.scores * (1 - sample.scores), minlength=BINS)
    together = (_gaps(sample) ** 2).sum(axis=0)
    variance = alone if sample.units == len(sample.scores) else np.maximum(alone, together)
    variance = variance / len(sample.scores) ** 2
    expected = float(np.sqrt(2 * variance / math.pi).sum())
    return expected, math.sqrt((1 - 2 / math.pi) * float(variance.sum()))


def _gaps(sample: Sample) -> Floats:
    """Add up score minus truth, units x bins."""
    cells = sample.unit * BINS + _bins(sample)
    rests = sample.scores - sample.positive
    table = np.bincount(cells, weights=rests, minlength=sample.units * BINS)
    return table.reshape(sample.units, BINS).astype(np.float64)


def reliability_bins(sample: Sample) -> tuple[ReliabilityBin, ...]:
    """Return the reliability diagram, by growing score; bins without a score are left out."""
    bins = _bins(sample)
    independent = sample.units == len(sample.scores)
    found = []
    for index in range(BINS):
        inside = bins == index
        count = int(np.count_nonzero(inside))
        if not count:
            continue
        positive = sample.positive & inside
        anomalous = (
            share(int(np.count_nonzero(positive)), count, "")
            if independent
            else clustered_share(sample.sums(positive), sample.sums(inside), "")
        )
        mean = float(sample.scores[inside].mean())
        found.append(ReliabilityBin(index / BINS, (index + 1) / BINS, count, mean, anomalous))
    return tuple(found)


def _bins(sample: Sample) -> Integers:
    """Return each item's bin, 0 to 9; a score of 1.0 is in the last."""
    # By comparison with the bins' edges: 0.3 * 10 is not surely 3.
    edges = np.arange(1, BINS) / BINS
    return np.searchsorted(edges, sample.scores, side="right").astype(np.int64)
