"""Figures of tasks on worked examples, and intervals that hold what they promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgewatch.tools.vqa.questions import TaskData
from edgewatch.tools.vqa.reading import read_task
from edgewatch.tools.vqa.resampling import Ratio, Sum, estimates
from edgewatch.tools.vqa.results import Reply, TaskFigure
from edgewatch.tools.vqa.scoring import UPSTREAM, figures_of, worths_of
from tests.tools.vqa.made import make_ai2d, make_mme, make_vqav2


def figures(data: TaskData, *replies: str | None) -> dict[tuple[str, str], TaskFigure]:
    worths = worths_of(data, [Reply(one) for one in replies])
    found = figures_of(data, worths, resamples=200)
    return {(one.name, one.measure): one for one in found}


def value(figure: TaskFigure) -> float:
    assert figure.estimate.value is not None
    return figure.estimate.value


def test_vqav2_is_told_in_all_and_by_types(tmp_path: Path) -> None:
    """1 + (2 of 8 "2" after cleaning: 1) + ("red cup", of which 2 of 10 said so: .6), over 3."""
    found = figures(read_task("vqav2", make_vqav2(tmp_path)), "Yes", "Two", "The red cup.")
    assert value(found["all questions", "accuracy"]) == pytest.approx((1 + 1 + 0.6) / 3)
    assert value(found["yes/no", "accuracy"]) == 1.0
    assert value(found["other", "accuracy"]) == pytest.approx(0.6)
    assert value(found["how many", "accuracy"]) == 1.0
    tool = found["all questions", "accuracy (tool alone, replies not cleaned)"]
    assert value(tool) == pytest.approx((0 + 1 + 0.6) / 3)
    assert found["all questions", "accuracy"].questions == 3
    assert found["all questions", "accuracy"].pictures == 2
    assert "one picture" in found["other", "accuracy"].estimate.reason


def test_mme_adds_accuracy_and_accuracy_plus(tmp_path: Path) -> None:
    """count: 3 of 4 right, 1 of 2 pictures whole: 75 + 50; artwork: all: 200."""
    data = read_task("mme", make_mme(tmp_path))
    found = figures(data, "Yes", "No", "Yes", "Yes", "yes", "no", "yes.", "No, it is not")
    assert value(found["count", "accuracy"]) == 0.75
    assert value(found["count", "accuracy+"]) == 0.5
    assert value(found["count", "score"]) == pytest.approx(125)
    total = found["perception (2 of 10 categories)", "score"]
    assert value(total) == pytest.approx(325)
    assert total.most == 400
    low, high = total.estimate.low, total.estimate.high
    assert low is not None
    assert high is not None
    assert 0 <= low < 325 < high <= 400
    assert next(iter(found)) == ("perception (2 of 10 categories)", "score")


def test_question_without_a_reply_counts_as_wrong(tmp_path: Path) -> None:
    found = figures(read_task("ai2d", make_ai2d(tmp_path)), "B", "C", None, "maybe a bird")
    assert value(found["all questions", "accuracy"]) == 0.5
    assert value(found["all questions", UPSTREAM]) == pytest.approx(0.5)


def test_interval_of_a_share_holds_the_truth_as_often_as_it_says() -> None:
    """Answers to questions about one picture are alike: pictures are what is drawn."""
    random = np.random.default_rng(3)
    held = 0
    for trial in range(150):
        skill = random.beta(2, 1, 60)  # of each picture; 2/3 on average
        right = random.binomial(4, skill).astype(float)
        ratio = Ratio(right, np.full(60, 4.0))
        [found] = estimates(
            [ratio], [Sum(((0, 1.0),))], np.zeros(60, np.int64), seed=trial, resamples=200
        )
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 2 / 3 <= found.high
    assert 0.89 <= held / 150 <= 0.99


def test_all_right_is_not_certain() -> None:
    ratio = Ratio(np.ones(20), np.ones(20))
    [found] = estimates([ratio], [Sum(((0, 1.0),))], np.zeros(20, np.int64), seed=0, resamples=100)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low is not None
    assert found.low < 0.9
    [nothing] = estimates(
        [Ratio(np.zeros(2), np.zeros(2))], [Sum(((0, 1.0),))], np.zeros(2, np.int64), seed=0
    )
    assert (nothing.value, nothing.reason) == (None, "no question was asked")
