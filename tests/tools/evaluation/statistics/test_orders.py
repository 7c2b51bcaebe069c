"""Question behind or before the video: what both orders' figures say, and what to set."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from edgewatch.tools.evaluation.evaluation import EngineRun, JudgedRecording
from edgewatch.tools.evaluation.statistics.measures import measure_run
from edgewatch.tools.evaluation.statistics.orders import compare_orders, sentences
from tests.tools.evaluation.statistics.made_runs import recording, run

RECORDINGS = 60


def two_runs(*, noise: float, loss: float = 0.0, recordings: int = RECORDINGS) -> list[EngineRun]:
    """One model in both orders: the same hard and easy clips, `noise` between the orders.

    `loss`: how far scores of the second order are mixed with chance.
    """
    random = np.random.default_rng(3)
    behind: list[JudgedRecording] = []
    first: list[JudgedRecording] = []
    for number in range(recordings):
        odd = number % 2
        hard = random.normal(0.0, 0.18, 4)
        truth = np.array([0.0, 1.0, 1.0, 0.0]) if odd else np.zeros(4)
        scores = 0.3 + 0.4 * truth + hard
        other = (1 - loss) * scores + loss * random.uniform(0, 1, 4) + random.normal(0, noise, 4)
        name, windows = f"r{number}", [(5.5, 14.5)] if odd else []
        for runs, each in ((behind, scores), (first, other)):
            clipped = np.clip(each, 0.0, 1.0).tolist()
            runs.append(recording(name, "Anomaly" if odd else "Normal", clipped, windows=windows))
    return [run(behind, asked="model"), run(first, asked="model (question first)")]


def test_figures_are_those_of_both_orders_and_their_difference() -> None:
    behind, first = two_runs(noise=0.1)
    found = compare_orders(behind, first, resamples=200)
    assert (found.engine, found.level, found.units) == ("model", "clip", RECORDINGS)
    truths = [clip.truth == "incident" for one in behind.recordings for clip in one.clips]
    for shown, each in (("behind", behind), ("first", first)):
        scores = [clip.score for one in each.recordings for clip in one.clips]
        answers = [score >= 0.5 for score in scores]
        auc, balanced = roc_auc_score(truths, scores), balanced_accuracy_score(truths, answers)
        assert getattr(found.roc_auc, shown) == pytest.approx(auc)
        assert getattr(found.balanced_accuracy, shown) == pytest.approx(balanced)
    for both in (found.roc_auc, found.balanced_accuracy):
        gap = both.difference
        assert gap.low is not None
        assert gap.high is not None
        assert gap.value == pytest.approx((both.first or 0.0) - (both.behind or 0.0))
        assert gap.low < (gap.value or 0.0) < gap.high
    assert json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_an_order_that_is_as_good_may_be_set() -> None:
    found = compare_orders(*two_runs(noise=0.01))
    assert found.decision == "question first"
    assert found.question_first
    assert "question_first = true" in "\n".join(sentences(found))


def test_an_order_that_is_worse_beyond_noise_may_not() -> None:
    found = compare_orders(*two_runs(noise=0.05, loss=0.7))
    assert found.decision == "question behind"
    assert "makes it worse" in "\n".join(sentences(found))


def test_too_few_recordings_leave_the_trained_order() -> None:
    found = compare_orders(*two_runs(noise=0.01, recordings=6))
    assert found.decision == "not known"
    assert not found.question_first


def test_pairing_is_what_makes_small_differences_visible() -> None:
    behind, first = two_runs(noise=0.01)
    paired = compare_orders(behind, first).roc_auc.difference
    alone = measure_run(behind, resamples=200).overall.clips.roc_auc
    assert (paired.high or 0) - (paired.low or 0) < ((alone.high or 0) - (alone.low or 0)) / 2


def test_one_class_alone_decides_nothing() -> None:
    calm = run([recording(f"n{i}", "Normal", [0.1, 0.2]) for i in range(4)], asked="m")
    found = compare_orders(calm, calm)
    assert found.decision == "not known"
    assert found.roc_auc.difference.reason
    assert any("n/a" in one for one in sentences(found))


def test_recordings_are_counted_where_no_window_is_labelled() -> None:
    anomalous = [recording(f"a{i}", "Anomaly", [0.2, 0.6 + i / 100]) for i in range(20)]
    normal = [recording(f"n{i}", "Normal", [0.2, 0.3 + i / 100]) for i in range(20)]
    both = run([*anomalous, *normal], asked="m")
    found = compare_orders(both, both)
    assert (found.level, found.items, found.units) == ("recording", 40, 40)
    assert found.roc_auc.difference.value == 0.0


def test_runs_over_different_clips_are_refused() -> None:
    ours, theirs = two_runs(noise=0.1), two_runs(noise=0.1, recordings=8)
    with pytest.raises(ValueError, match="same clips"):
        compare_orders(ours[0], theirs[1])
