"""Ranking: ROC and precision-recall curves, the areas under them, and how sure those are."""

from __future__ import annotations

import numpy as np

from edgewatch.tools.evaluation.statistics.answers import NO_ANOMALY, NO_NORMAL
from edgewatch.tools.evaluation.statistics.figures import CurvePoint, Estimate
from edgewatch.tools.evaluation.statistics.intervals import (
    MINIMUM_UNITS,
    area_interval,
    area_variance,
    bounded,
    cautious,
    normal_quantile,
    t_quantile,
)
from edgewatch.tools.evaluation.statistics.libraries import sklearn_metrics
from edgewatch.tools.evaluation.statistics.resampling import NO_RESAMPLES, Areas, Resampling
from edgewatch.tools.evaluation.statistics.sample import Floats, Sample

CURVE_POINTS = 400
"""A chart needs no more."""


def missing_class(sample: Sample) -> str:
    """Say why nothing can be ranked; empty if both classes are there."""
    if not sample.positives:
        return NO_ANOMALY
    return "" if sample.negatives else NO_NORMAL


def few_units(sample: Sample) -> str:
    """Say why no interval can be given; empty if each class has two witnesses."""
    for chosen, name in ((sample.positive, "anomalous"), (~sample.positive, "normal")):
        if sample.units_of(chosen) < MINIMUM_UNITS:
            return f"only one recording has {name} material: no interval"
    return ""


def roc_area(sample: Sample, resampling: Resampling | None, areas: Areas | None) -> Estimate:
    """Return the area under the ROC curve.

    One item a unit: Newcombe's interval. Several: the same, as much wider or narrower as the
    bootstrap of units finds it, with Student's quantile; at 0 and 1, where a bootstrap has no
    spread, each unit counts as one item.
    """
    reason = missing_class(sample)
    if reason:
        return Estimate(None, reason=reason)
    value = float(sklearn_metrics().roc_auc_score(sample.positive, sample.scores))
    reason = few_units(sample)
    if reason:
        return Estimate(value, reason=reason)
    positives = sample.units_of(sample.positive)
    negatives = sample.units_of(~sample.positive)
    if sample.units == len(sample.scores):
        return Estimate(value, *area_interval(value, positives, negatives, normal_quantile()))
    if resampling is None or areas is None:
        return Estimate(value, reason=NO_RESAMPLES)
    expected = area_variance(value, positives, negatives)
    seen = resampling.variance(areas.roc)
    if min(seen, expected) <= 1e-12:
        return Estimate(value, *area_interval(value, positives, negatives, normal_quantile()))
    fewest = min(positives, negatives)
    scale = cautious(seen, expected, fewest) / expected
    # As many degrees of freedom as the class with fewer witnesses leaves.
    quantile = t_quantile(fewest - 1)
    return Estimate(value, *area_interval(value, positives, negatives, quantile, scale))


def precision_recall_areas(
    sample: Sample, resampling: Resampling | None, areas: Areas | None
) -> tuple[Estimate, Estimate]:
    """Return the area under the precision-recall curve (trapezoids), and average precision.

    Intervals take the spread of the bootstrap of units; never narrower than a share of as many
    items as are anomalous (Boyd, Eng & Page, ECML PKDD 2013: the binomial interval).
    """
    reason = missing_class(sample)
    if reason:
        return Estimate(None, reason=reason), Estimate(None, reason=reason)
    metrics = sklearn_metrics()
    precision, recall, _ = metrics.precision_recall_curve(sample.positive, sample.scores)
    trapezoids = float(metrics.auc(recall, precision))
    average = float(metrics.average_precision_score(sample.positive, sample.scores))
    reason = few_units(sample)
    if reason or resampling is None or areas is None:
        reason = reason or NO_RESAMPLES
        return Estimate(trapezoids, reason=reason), Estimate(average, reason=reason)
    units = sample.units_of(sample.positive)

    def estimate(value: float, values: Floats) -> Estimate:
        widest = value * (1 - value) / units
        variance = cautious(resampling.variance(values), widest, units)
        return bounded(value, variance, units, float(sample.positives))

    return estimate(trapezoids, areas.precision_recall), estimate(average, areas.average_precision)


def roc_points(sample: Sample) -> tuple[CurvePoint, ...]:
    """Return the ROC curve from (0, 0) to (1, 1); empty without both classes."""
    if missing_class(sample):
        return ()
    false_rate, recall, threshold = sklearn_metrics().roc_curve(sample.positive, sample.scores)
    return _points(false_rate, recall, threshold)


def precision_recall_points(sample: Sample) -> tuple[CurvePoint, ...]:
    """Return the precision-recall curve by growing recall, from (0, 1); empty without both."""
    if missing_class(sample):
        return ()
    precision, recall, threshold = sklearn_metrics().precision_recall_curve(
        sample.positive, sample.scores
    )
    threshold = np.append(threshold, np.inf)
    return _points(recall[::-1], precision[::-1], threshold[::-1])


def _points(x: Floats, y: Floats, threshold: Floats) -> tuple[CurvePoint, ...]:
    kept = np.arange(len(x))
    if len(x) > CURVE_POINTS:
        kept = np.unique(np.linspace(0, len(x) - 1, CURVE_POINTS).round().astype(int))
    return tuple(CurvePoint(float(x[i]), float(y[i]), _finite(float(threshold[i]))) for i in kept)


def _finite(threshold: float) -> float | None:
    return threshold if np.isfinite(threshold) else None
