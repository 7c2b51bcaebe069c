"""DeLong's test: do two engines rank the same recordings differently well?

E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, Biometrics 44 (1988) 837, computed from
midranks as in X. Sun & W. Xu, IEEE Signal Processing Letters 21 (2014) 1389.
"""

from __future__ import annotations

import math

import numpy as np

from edgewatch.tools.evaluation.statistics.figures import DeLong, Estimate
from edgewatch.tools.evaluation.statistics.intervals import MINIMUM_UNITS, normal_quantile
from edgewatch.tools.evaluation.statistics.libraries import scipy_stats
from edgewatch.tools.evaluation.statistics.sample import Booleans, Floats


def delong_test(positive: Booleans, first: Floats, second: Floats) -> DeLong:
    """Compare the areas under two ROC curves of the same items.

    `positive`, `first` and `second` (scores) have one length.
    """
    positives = int(np.count_nonzero(positive))
    fewest = min(positives, len(positive) - positives)
    if not fewest:
        reason = "nothing is labelled " + ("Anomaly" if not positives else "Normal")
        return DeLong(None, None, Estimate(None, reason=reason), None, None, reason)
    areas, covariance = _areas_and_covariance(positive, np.stack([first, second]))
    first_auc, second_auc = float(areas[0]), float(areas[1])
    difference = first_auc - second_auc
    if fewest < MINIMUM_UNITS:
        reason = "only one recording of a class: no interval, no test"
        return DeLong(
            first_auc, second_auc, Estimate(difference, reason=reason), None, None, reason
        )
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 1e-15:
        reason = "both rank all pairs alike" if difference == 0 else "no spread to test against"
        return DeLong(
            first_auc, second_auc, Estimate(difference, reason=reason), None, None, reason
        )
    deviation = math.sqrt(variance)
    z = difference / deviation
    reach = normal_quantile() * deviation
    interval = Estimate(difference, max(-1.0, difference - reach), min(1.0, difference + reach))
    p_value = 2 * float(scipy_stats().norm.sf(abs(z)))
    return DeLong(first_auc, second_auc, interval, z, p_value)


def _areas_and_covariance(positive: Booleans, scores: Floats) -> tuple[Floats, Floats]:
    """Return the areas (engines) and their covariance (engines x engines)."""
    rank = scipy_stats().rankdata
    high, low = scores[:, positive], scores[:, ~positive]
    positives, negatives = high.shape[1], low.shape[1]
    together = rank(np.concatenate([high, low], axis=1), axis=1)
    # Share of negatives below each positive, and of positives above each negative.
    below = (together[:, :positives] - rank(high, axis=1)) / negatives
    above = 1 - (together[:, positives:] - rank(low, axis=1)) / positives
    areas = below.mean(axis=1)
    if min(positives, negatives) < MINIMUM_UNITS:
        return areas, np.zeros((2, 2))
    return areas, np.cov(below) / positives + np.cov(above) / negatives
