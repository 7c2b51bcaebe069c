from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs

from edgewatch.tools.evaluation.statistics.levels import measure_clips, measure_units
from edgewatch.tools.evaluation.statistics.ranking import (
    CURVE_POINTS,
    precision_recall_points,
    roc_area,
    roc_points,
)
from edgewatch.tools.evaluation.statistics.resampling import LEVELS, Resampling
from edgewatch.tools.evaluation.statistics.sample import Sample, units_of
from tests.tools.evaluation.statistics.made_runs import recording


def _sample(items: int, units: int, seed: int = 0) -> Sample:
    random = np.random.default_rng(seed)
    positive = random.random(items) < 0.4
    # Two decimals: ties within and between classes.
    scores = np.clip(random.normal(0.4 + 0.2 * positive, 0.2), 0, 1).round(2)
    unit = np.sort(np.arange(items) % units)
    return Sample(scores, positive, unit)


def test_each_resample_has_the_areas_of_scikit_learn_with_its_weights() -> None:
    sample = _sample(120, 12)
    resampling = Resampling(sample, seed=3, resamples=20)
    areas = resampling.areas()
    drawn = resampling.sums(np.eye(12))
    for index, draw in enumerate(drawn):
        weights = draw[sample.unit]
        kept = weights > 0
        truth, scores = sample.positive[kept], sample.scores[kept]
        weights = weights[kept]
        precision, recall, _ = theirs.precision_recall_curve(truth, scores, sample_weight=weights)
        assert areas.roc[index] == pytest.approx(
            theirs.roc_auc_score(truth, scores, sample_weight=weights)
        )
        assert areas.average_precision[index] == pytest.approx(
            theirs.average_precision_score(truth, scores, sample_weight=weights)
        )
        assert areas.precision_recall[index] == pytest.approx(theirs.auc(recall, precision))


def test_units_are_drawn_by_class_and_as_many_as_there_are() -> None:
    sample = Sample(np.linspace(0, 1, 10), np.arange(10) >= 7, np.arange(10))
    drawn = Resampling(sample, seed=0, resamples=50).sums(np.eye(10))
    assert np.all(drawn[:, 7:].sum(axis=1) == 3)
    assert np.all(drawn[:, :7].sum(axis=1) == 7)


def test_very_many_scores_are_ranked_coarsely_but_right() -> None:
    random = np.random.default_rng(5)
    positive = random.random(20_000) < 0.3
    scores = random.beta(2 + positive, 3)
    sample = Sample(scores, positive, np.arange(20_000) % 40)
    assert len(np.unique(scores)) > LEVELS
    drawn = Resampling(sample, seed=1, resamples=3)
    weights = drawn.sums(np.eye(40))[:, sample.unit]
    exact = [theirs.roc_auc_score(positive, scores, sample_weight=one) for one in weights]
    assert drawn.areas().roc == pytest.approx(exact, abs=1e-4)


def test_more_recordings_than_time_get_fewer_resamples() -> None:
    sample = Sample(np.linspace(0, 1, 9000), np.arange(9000) % 2 == 0, np.arange(9000))
    assert 200 <= Resampling(sample, seed=0, resamples=700).resamples < 700


def test_areas_of_a_level_are_those_of_scikit_learn() -> None:
    units = units_of(
        [recording(f"a{i}", "Anomaly", [0.1 * i, 0.5], windows=[(5, 10)]) for i in range(6)]
        + [recording(f"n{i}", "Normal", [0.15 * i, 0.2]) for i in range(5)]
    )
    found = measure_units(units, 0.5, seed=0, resamples=200)
    truth = [one.label == "Anomaly" for one in units]
    scores = [one.score for one in units]
    precision, recall, _ = theirs.precision_recall_curve(truth, scores)
    assert found.roc_auc.value == pytest.approx(theirs.roc_auc_score(truth, scores))
    assert found.pr_auc.value == pytest.approx(theirs.auc(recall, precision))
    assert found.average_precision.value == pytest.approx(
        theirs.average_precision_score(truth, scores)
    )
    assert found.brier.value == pytest.approx(theirs.brier_score_loss(truth, scores))
    assert found.resamples == 200
    for one in (found.roc_auc, found.pr_auc, found.average_precision, found.brier):
        assert one.value is not None
        assert one.low is not None
        assert one.high is not None
        assert 0 <= one.low < one.value < one.high <= 1


def test_a_perfect_ranking_of_few_is_not_known_to_be_perfect() -> None:
    units = units_of(
        [recording(f"a{i}", "Anomaly", [0.1, 0.9, 0.8], windows=[(5, 15)]) for i in range(8)]
        + [recording(f"n{i}", "Normal", [0.1, 0.2]) for i in range(9)]
    )
    for level in (measure_units, measure_clips):
        found = level(units, 0.5, seed=0, resamples=200)
        for estimate in (found.roc_auc, found.pr_auc, found.average_precision):
            assert estimate.value == pytest.approx(1.0)
            assert estimate.high == pytest.approx(1.0)
            assert estimate.low is not None
            assert estimate.low < 0.9


@pytest.mark.parametrize("anomalous", [0, 1])
def test_a_class_of_fewer_than_two_recordings_has_no_interval(anomalous: int) -> None:
    units = units_of(
        [recording("a", "Anomaly", [0.9, 0.8])] * anomalous
        + [recording(f"n{i}", "Normal", [0.1, 0.2]) for i in range(5)]
    )
    found = measure_units(units, 0.5, seed=0, resamples=100)
    for estimate in (found.roc_auc, found.average_precision, found.pr_auc):
        assert (estimate.value is None) == (anomalous == 0)
        assert estimate.low is None
        assert "nomal" in estimate.reason
    assert (found.roc == ()) == (anomalous == 0)


def test_curves_run_from_end_to_end_and_stay_small() -> None:
    sample = _sample(5000, 50)
    fine = Sample(np.random.default_rng(2).random(5000), sample.positive, sample.unit)
    roc, precision_recall = roc_points(fine), precision_recall_points(fine)
    assert (roc[0].x, roc[0].y, roc[0].threshold) == (0.0, 0.0, None)
    assert (roc[-1].x, roc[-1].y) == (1.0, 1.0)
    assert (precision_recall[0].x, precision_recall[0].y) == (0.0, 1.0)
    assert precision_recall[0].threshold is None
    assert precision_recall[-1].x == 1.0
    assert max(len(roc), len(precision_recall)) <= CURVE_POINTS
    assert [one.x for one in roc] == sorted(one.x for one in roc)


def test_clips_that_vary_together_have_the_wider_interval() -> None:
    random = np.random.default_rng(7)
    positive = np.repeat(np.arange(20) < 10, 30)
    unit = np.repeat(np.arange(20), 30)
    alone = random.normal(positive * 1.0, 1.0)
    shared = random.normal(positive * 1.0, 0.1) + np.repeat(random.normal(0, 1.0, 20), 30)
    widths = []
    for scores in (alone, shared):
        sample = Sample(scores, positive, unit)
        resampling = Resampling(sample, seed=0, resamples=300)
        found = roc_area(sample, resampling, resampling.areas())
        assert found.low is not None
        assert found.high is not None
        widths.append(found.high - found.low)
    assert widths[1] > 1.5 * widths[0]
