"""Answers: accuracy, precision, recall and F1 of a confusion table, with intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgewatch.tools.evaluation.statistics.figures import Answers, Estimate
from edgewatch.tools.evaluation.statistics.intervals import clustered_share, share
from edgewatch.tools.evaluation.statistics.sample import Booleans, Floats, Sample
from edgewatch.tools.metrics import Confusion

NO_ITEM = "nothing is labelled"
NEVER = "never answered Anomaly"
NO_ANOMALY = "nothing is labelled Anomaly"
NO_NORMAL = "nothing is labelled Normal"
NEITHER = "nothing is labelled or answered Anomaly"


def unit_answers(answered: Booleans, positive: Booleans) -> Answers:
    """Measure the answers for independent items (recordings, drives): Wilson's intervals.

    That of F1 = 2J / (1 + J) comes from J = TP / (TP + FP + FN), a share of the items that are
    not both normal and answered so (Lam et al., "Confidence intervals for the F1 score", 2023:
    "Wilson indirect").
    """
    table = _confusion(answered, positive)
    hit, alarm = table.true_anomaly, table.false_anomaly
    rest, miss = table.true_normal, table.false_normal
    return Answers(
        confusion=table,
        accuracy=share(hit + rest, table.total, NO_ITEM),
        precision=share(hit, hit + alarm, NEVER),
        recall=share(hit, hit + miss, NO_ANOMALY),
        specificity=share(rest, rest + alarm, NO_NORMAL),
        f1=_f1(share(hit, hit + alarm + miss, NEITHER)),
        always_anomaly_f1=_baseline(table),
    )


def clip_answers(sample: Sample, answered: Booleans) -> Answers:
    """Measure the answers for clips, whose intervals rest on units."""
    positive = sample.positive
    hit, alarm = sample.sums(answered & positive), sample.sums(answered & ~positive)
    rest, miss = sample.sums(~answered & ~positive), sample.sums(~answered & positive)
    table = _confusion(answered, positive)
    return Answers(
        confusion=table,
        accuracy=clustered_share(hit + rest, hit + alarm + rest + miss, NO_ITEM),
        precision=clustered_share(hit, hit + alarm, NEVER),
        recall=clustered_share(hit, hit + miss, NO_ANOMALY),
        specificity=clustered_share(rest, rest + alarm, NO_NORMAL),
        f1=_f1(clustered_share(hit, hit + alarm + miss, NEITHER)),
        always_anomaly_f1=_baseline(table),
    )


def _confusion(answered: Booleans, positive: Booleans) -> Confusion:
    return Confusion(
        true_anomaly=int(np.count_nonzero(answered & positive)),
        false_anomaly=int(np.count_nonzero(answered & ~positive)),
        true_normal=int(np.count_nonzero(~answered & ~positive)),
        false_normal=int(np.count_nonzero(~answered & positive)),
    )


def _f1(overlap: Estimate) -> Estimate:
    """Turn the share TP / (TP + FP + FN) into F1."""
    value, low, high = (_doubled(one) for one in (overlap.value, overlap.low, overlap.high))
    return replace(overlap, value=value, low=low, high=high)


def _doubled(overlap: float | None) -> float | None:
    return None if overlap is None else 2 * overlap / (1 + overlap)


def _baseline(table: Confusion) -> Estimate:
    figure = table.always_anomaly_f1
    reason = "follows from the labels alone" if figure.reason == "" else NO_ANOMALY
    return Estimate(figure.value, reason=reason)


def answers_at(scores: Floats, threshold: float) -> Booleans:
    """Answer Anomaly from the threshold on, as a verdict does."""
    return scores >= threshold
