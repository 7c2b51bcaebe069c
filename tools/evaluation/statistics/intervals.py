"""Intervals of 95 % that stay honest for few recordings: score intervals, not "plus or minus".

A figure that is 1.0 on eight recordings is not known to be 1.0: intervals here never shrink to a
point, and never leave 0..1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.libraries import scipy_stats
from edgewatch.tools.evaluation.statistics.sample import Floats

CONFIDENCE = 0.95
MINIMUM_UNITS = 2
"""Fewer witnesses (of a class) than this tell nothing of how far the next one lies."""
_HALVINGS = 60


@cache
def normal_quantile() -> float:
    """Return the two-sided 95 % quantile of the normal distribution, 1.96."""
    return float(scipy_stats().norm.ppf(0.5 + CONFIDENCE / 2))


@cache
def t_quantile(freedom: int) -> float:
    """Return the two-sided 95 % quantile of Student's t; wider than 1.96 for few witnesses."""
    return float(scipy_stats().t.ppf(0.5 + CONFIDENCE / 2, max(1, freedom)))


def wilson(value: float, size: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share seen in `size` (effective) trials.

    E. B. Wilson, JASA 22 (1927) 209; `quantile` is 1.96 for 95 %, or Student's.
    """
    squared = quantile * quantile
    centre = (value + squared / (2 * size)) / (1 + squared / size)
    half = (
        quantile
        / (1 + squared / size)
        * math.sqrt(value * (1 - value) / size + squared / (4 * size * size))
    )
    # At 0 and 1 the formula ends exactly there, but for rounding.
    low = 0.0 if value <= 0.0 else max(0.0, centre - half)
    high = 1.0 if value >= 1.0 else min(1.0, centre + half)
    return low, high


def share(part: int, whole: int, reason: str) -> Estimate:
    """Return part/whole of independent witnesses with Wilson's interval.

    `reason` says why there is no value if `whole` is 0.
    """
    if not whole:
        return Estimate(None, reason=reason)
    if whole < MINIMUM_UNITS:
        return Estimate(part / whole, reason="rests on one recording: no interval")
    return Estimate(part / whole, *wilson(part / whole, whole, normal_quantile()))


def clustered_share(part: Floats, whole: Floats, reason: str) -> Estimate:
    """Return sum(part)/sum(whole), counted by unit, with an interval that rests on units.

    The variance of the ratio between units (linearised; Cochran, Sampling Techniques, 1977,
    section 6.5) gives the number of independent trials that would know as much (Rao & Scott,
    Biometrics 48 (1992) 577); Wilson's interval is of those, with Student's quantile. Where the
    variance says nothing (all right, or all wrong) each unit is one trial.
    """
    kept = whole > 0
    part, whole = part[kept], whole[kept]
    units, total = len(whole), float(whole.sum())
    if not units:
        return Estimate(None, reason=reason)
    value = float(part.sum()) / total
    if units < MINIMUM_UNITS:
        return Estimate(value, reason="clips of one recording only: no interval")
    rests = (part - value * whole) / total
    variance = float(rests @ rests) * units / (units - 1)
    return bounded(value, variance, units, total)


def cautious(variance: float, widest: float, units: int) -> float:
    """Return a resampled variance with a part for what no unit has shown yet.

    The rare large error that so few units happen not to hold: as if one unit in so many had the
    widest variance. Without it simulated intervals of 17 recordings cover 90 % and not 95 %.
    """
    return variance + widest / units


def bounded(value: float, variance: float, units: int, most: float | None = None) -> Estimate:
    """Return a figure between 0 and 1, whose variance was estimated from units.

    The interval is Wilson's for as many trials as have this variance, at most `most`. Variance
    or spread of 0 cannot be believed: then each unit is one trial.
    """
    spread = value * (1.0 - value)
    believable = spread > 1e-12 and variance > spread * 1e-12
    size = spread / variance if believable else float(units)
    if most is not None:
        size = min(size, most)
    return Estimate(value, *wilson(value, size, t_quantile(units - 1)))


def area_variance(area: float, positives: float, negatives: float) -> float:
    """Return the variance of an area under the ROC curve by the number of witnesses alone.

    Newcombe, Statistics in Medicine 25 (2006) 559, method 5: Hanley & McNeil's exponential model
    (Radiology 143 (1982) 29) with the mean of both class sizes in the two bracketed terms.
    """
    beyond = (positives + negatives) / 2 - 1
    terms = (1 - area) / (2 - area) + area / (1 + area)
    return area * (1 - area) * (1 + beyond * terms) / (positives * negatives)


def area_interval(
    area: float, positives: int, negatives: int, quantile: float, scale: float = 1.0
) -> tuple[float, float]:
    """Return the areas that lie within `quantile` of their own standard deviations.

    `scale` multiplies `area_variance`: what resampling found, over what the model says here.
    """

    def far(candidate: float) -> bool:
        allowed = quantile * math.sqrt(scale * area_variance(candidate, positives, negatives))
        return abs(area - candidate) > allowed

    return _edge(far, 0.0, area), _edge(far, 1.0, area)


def _edge(far: Callable[[float], bool], outside: float, inside: float) -> float:
    """Find by halving where candidates begin to be near; `outside` itself may be near."""
    if not far(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (outside + inside) / 2
        if far(middle):
            outside = middle
        else:
            inside = middle
    return inside


def poisson_rate(events: int, hours: float) -> Estimate:
    """Return events per hour with the exact interval (Garwood, Biometrika 28 (1936) 437)."""
    if hours <= 0:
        return Estimate(None, reason="no footage is labelled Normal")
    chi2 = scipy_stats().chi2
    tail = (1 - CONFIDENCE) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    high = float(chi2.ppf(1 - tail, 2 * events + 2)) / 2
    return Estimate(events / hours, low / hours, high / hours)


def median(values: Floats) -> Estimate:
    """Return the median with the exact interval between order statistics (no shape assumed).

    The outermost pair whose coverage is still 95 %; fewer than six values have none.
    """
    if not len(values):
        return Estimate(None, reason="nothing to take a median of")
    ordered = np.sort(values)
    middle = float(np.median(ordered))
    tail = scipy_stats().binom.cdf(np.arange(len(ordered)), len(ordered), 0.5)
    # Between the r-th smallest and r-th largest lies the median with 1 - 2 P(fewer than r).
    rank = int(np.count_nonzero(tail <= (1 - CONFIDENCE) / 2))
    if rank == 0:
        return Estimate(middle, reason=f"{len(ordered)} are too few for an interval (6 are needed)")
    return Estimate(middle, float(ordered[rank - 1]), float(ordered[-rank]))
