from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from edgewatch.tools.evaluation.statistics.answers import answers_at, clip_answers, unit_answers
from edgewatch.tools.evaluation.statistics.sample import Sample
from edgewatch.tools.metrics import Confusion


def test_a_known_table_gives_the_known_figures() -> None:
    """90 of 100 anomalies found, 30 false alarms among 200: worked by hand."""
    positive = np.repeat([True, True, False, False], [90, 10, 30, 170])
    answered = np.repeat([True, False, True, False], [90, 10, 30, 170])
    found = unit_answers(answered, positive)
    assert found.confusion == Confusion(90, 30, 170, 10)
    assert found.accuracy.value == pytest.approx(260 / 300)
    assert found.precision.value == pytest.approx(0.75)
    assert found.recall.value == pytest.approx(0.9)
    assert found.specificity.value == pytest.approx(0.85)
    assert found.f1.value == pytest.approx(180 / 220)
    # Always Anomaly: precision 1/3, recall 1.
    assert found.always_anomaly_f1.value == pytest.approx(0.5)
    assert found.always_anomaly_f1.low is None
    # Wilson's interval of 90 in 100 (Newcombe 1998's formula, worked out apart).
    assert (found.recall.low, found.recall.high) == pytest.approx((0.8256, 0.9448), abs=5e-5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=20, deadline=None)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    answered, positive = (np.array(column) for column in zip(*pairs, strict=True))
    found = unit_answers(answered, positive)
    assert found.accuracy.value == pytest.approx(theirs.accuracy_score(positive, answered))
    for estimate, score in (
        (found.precision, theirs.precision_score),
        (found.recall, theirs.recall_score),
        (found.f1, theirs.f1_score),
    ):
        if estimate.value is None:
            assert estimate.reason
        else:
            assert estimate.value == pytest.approx(score(positive, answered, zero_division=0))
        if estimate.low is not None and estimate.high is not None:
            assert 0 <= estimate.low <= (estimate.value or 0.0) <= estimate.high <= 1


def test_clips_count_alone_but_their_recordings_give_the_interval() -> None:
    scores = np.array([0.9, 0.8, 0.2, 0.6, 0.1, 0.1, 0.7, 0.3])
    positive = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    spread = Sample(scores, positive, np.arange(8))
    together = Sample(scores, positive, np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    answered = answers_at(scores, 0.5)
    alone, clustered = clip_answers(spread, answered), clip_answers(together, answered)
    assert alone.confusion == clustered.confusion == Confusion(2, 2, 3, 1)
    assert alone.accuracy.value == clustered.accuracy.value == pytest.approx(5 / 8)
    assert clustered.recall.low is not None
    assert alone.recall.low is not None
    assert clustered.recall.low < alone.recall.low


def test_the_threshold_itself_is_an_anomaly() -> None:
    assert answers_at(np.array([0.49, 0.5, 0.51]), 0.5).tolist() == [False, True, True]
