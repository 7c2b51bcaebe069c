from __future__ import annotations

import math

import numpy as np
import pytest

from edgewatch.tools.evaluation.statistics.reliability import (
    brier,
    calibration_error,
    chance_calibration_error,
    reliability_bins,
)
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import Sample


def _sample(scores: list[float], positive: list[int]) -> Sample:
    return Sample(np.array(scores), np.array(positive, dtype=bool), np.arange(len(scores)))


def test_the_calibration_error_is_the_mean_distance_by_bin() -> None:
    """Bins 0.1-0.2 (two items, mean 0.15, none anomalous) and 0.8-0.9 (mean 0.85, half)."""
    sample = _sample([0.1, 0.2 - 1e-9, 0.8, 0.9 - 1e-9], [0, 0, 1, 0])
    found = calibration_error(sample, None)
    assert found.value == pytest.approx(0.5 * 0.15 + 0.5 * 0.35)
    assert brier(sample, None).value == pytest.approx((0.01 + 0.04 + 0.04 + 0.81) / 4)
    bins = reliability_bins(sample)
    assert [(one.low, one.high, one.count) for one in bins] == [(0.1, 0.2, 2), (0.8, 0.9, 2)]
    assert bins[1].mean_score == pytest.approx(0.85)
    assert bins[1].anomalous.value == 0.5


def test_edges_belong_to_the_upper_bin_and_one_to_the_last() -> None:
    bins = reliability_bins(_sample([0.0, 0.3, 0.7, 1.0], [0, 0, 1, 1]))
    assert [one.low for one in bins] == [0.0, 0.3, 0.7, 0.9]
    assert bins[-1].high == 1.0


def test_chance_explains_the_error_of_a_calibrated_engine() -> None:
    """Over many draws of a calibrated engine: the mean error is what chance is said to give."""
    random = np.random.default_rng(0)
    scores = random.random(200)
    seen = []
    for _ in range(200):
        sample = Sample(scores, random.random(200) < scores, np.arange(200))
        seen.append(calibration_error(sample, None).value or 0.0)
    expected = chance_calibration_error(sample)
    assert expected == pytest.approx(float(np.mean(seen)), rel=0.05)


def test_the_interval_begins_at_zero_where_chance_explains_the_error() -> None:
    random = np.random.default_rng(1)
    scores = random.random(40)
    honest = Sample(scores, random.random(40) < scores, np.arange(40))
    boasting = Sample(np.full(40, 0.97), np.arange(40) < 20, np.arange(40))
    for sample, zero in ((honest, True), (boasting, False)):
        found = calibration_error(sample, Resampling(sample, seed=0, resamples=300))
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= found.value <= found.high
        assert (found.low == 0.0) == zero


def test_one_recording_has_figures_and_no_interval() -> None:
    sample = Sample(np.array([0.2, 0.4]), np.array([False, False]), np.array([0, 0]))
    for found in (brier(sample, None), calibration_error(sample, None)):
        assert found.value is not None
        assert math.isfinite(found.value)
        assert "one recording" in found.reason


def test_nothing_has_no_figure() -> None:
    empty = Sample(np.array([]), np.array([], dtype=bool), np.array([], dtype=np.int64))
    assert brier(empty, None).value is None
    assert calibration_error(empty, None).value is None
    assert chance_calibration_error(empty) is None
    assert reliability_bins(empty) == ()
