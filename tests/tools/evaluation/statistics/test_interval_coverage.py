"""Do the 95 % intervals hold the truth 95 times in 100? Simulated, for few recordings too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from edgewatch.tools.evaluation.statistics.answers import clip_answers
from edgewatch.tools.evaluation.statistics.delong import delong_test
from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.intervals import (
    area_interval,
    median,
    normal_quantile,
    poisson_rate,
    share,
)
from edgewatch.tools.evaluation.statistics.ranking import precision_recall_areas, roc_area
from edgewatch.tools.evaluation.statistics.reliability import brier, calibration_error
from edgewatch.tools.evaluation.statistics.resampling import Resampling
from edgewatch.tools.evaluation.statistics.sample import Floats, Sample

Draw = Callable[[np.random.Generator, int], Sample]
"""Makes recordings: the second argument multiplies how many, for the truth."""


@pytest.mark.parametrize("whole", [8, 17, 60])
def test_shares_cover_exactly(whole: int) -> None:
    """No simulation: the chance of each count is known. Mean 95 %, nowhere below 83 %."""
    intervals = [share(part, whole, "") for part in range(whole + 1)]
    low = np.array([one.low for one in intervals], dtype=float)
    high = np.array([one.high for one in intervals], dtype=float)
    truths = np.linspace(0.01, 0.99, 99)
    chances = stats.binom.pmf(np.arange(whole + 1), whole, truths[:, None])
    covered = (chances * ((low <= truths[:, None]) & (truths[:, None] <= high))).sum(axis=1)
    assert 0.94 < covered.mean() < 0.975
    assert covered.min() > 0.83


@pytest.mark.parametrize("expected", [0.2, 3.0, 20.0])
def test_rates_cover_at_least(expected: float) -> None:
    counts = np.arange(80)
    found = [poisson_rate(int(one), 1.0) for one in counts]
    held = [(one.low or 0.0) <= expected <= (one.high or 0.0) for one in found]
    assert stats.poisson.pmf(counts, expected)[held].sum() > 0.949


def test_medians_cover_at_least() -> None:
    random = np.random.default_rng(0)
    draws = random.exponential(1.0, size=(600, 9))
    found = [median(one) for one in draws]
    covered = np.mean([(one.low or 0) <= np.log(2) <= (one.high or 0) for one in found])
    # Between the second and the eighth of nine: 96.1 % in truth.
    assert covered > 0.937


@pytest.mark.parametrize(("positives", "negatives"), [(8, 9), (4, 13), (40, 30)])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_areas_of_recordings_cover(positives: int, negatives: int, shift: float) -> None:
    """All draws at once; the truth of two normal distributions is Phi(shift / sqrt 2)."""
    random = np.random.default_rng(1)
    draws = 1000
    high = random.normal(shift, 1, size=(draws, positives, 1))
    low = random.normal(0, 1, size=(draws, 1, negatives))
    areas = (high > low).mean(axis=(1, 2))
    truth = float(stats.norm.cdf(shift / 2**0.5))
    held = {}
    for area in np.unique(areas):
        ends = area_interval(float(area), positives, negatives, normal_quantile())
        held[area] = ends[0] <= truth <= ends[1]
    assert 0.925 < np.mean([held[area] for area in areas]) <= 1.0


@pytest.mark.parametrize(("first_shift", "second_shift"), [(1.0, 1.0), (1.5, 0.5)])
def test_differences_of_areas_cover(first_shift: float, second_shift: float) -> None:
    """DeLong's interval on 30 and 30 recordings that both engines find hard or easy together."""
    random = np.random.default_rng(3)
    positive = np.arange(60) < 30
    areas = [float(stats.norm.cdf(one / 2**0.5)) for one in (first_shift, second_shift)]
    held = []
    for _ in range(400):
        shared = random.normal(0, 0.7**0.5, size=60)
        first, second = (
            shared + random.normal(0, 0.3**0.5, size=60) + shift * positive
            for shift in (first_shift, second_shift)
        )
        found = delong_test(positive, first, second).difference
        assert found.low is not None
        assert found.high is not None
        held.append(found.low <= areas[0] - areas[1] <= found.high)
    assert 0.915 < np.mean(held) < 0.985


def _clips(share_of_variance: float, shift: float, anomalous: int, normal: int) -> Draw:
    """Recordings of 6 to 18 clips whose scores share part of their variance."""

    def draw(random: np.random.Generator, times: int) -> Sample:
        units = (anomalous + normal) * times
        clips = random.integers(6, 19, size=units)
        unit = np.repeat(np.arange(units), clips)
        place = np.arange(len(unit)) - np.repeat(np.cumsum(clips) - clips, clips)
        positive = (unit < anomalous * times) & (place < clips[unit] / 3)
        shared = random.normal(0, share_of_variance**0.5, size=units)[unit]
        own = random.normal(0, (1 - share_of_variance) ** 0.5, size=len(unit))
        marks = shared + own + shift * positive
        return Sample(1 / (1 + np.exp(-(marks - shift / 2))), positive, unit)

    return draw


def _figures(sample: Sample, resamples: int) -> dict[str, Estimate]:
    resampling = Resampling(sample, seed=0, resamples=resamples) if resamples else None
    areas = resampling.areas() if resampling else None
    answers = clip_answers(sample, sample.scores >= 0.5)
    trapezoids, average = precision_recall_areas(sample, resampling, areas)
    return {
        "roc": roc_area(sample, resampling, areas),
        "pr": trapezoids,
        "average precision": average,
        "brier": brier(sample, resampling),
        "calibration": calibration_error(sample, resampling),
        "accuracy": answers.accuracy,
        "precision": answers.precision,
        "recall": answers.recall,
        "f1": answers.f1,
    }


def _coverage(draw: Draw, times: int, resamples: int) -> dict[str, float]:
    random = np.random.default_rng(2)
    truth = {name: one.value for name, one in _figures(draw(random, 600), 0).items()}
    held: dict[str, Floats] = {name: np.zeros(times) for name in truth}
    for index in range(times):
        for name, one in _figures(draw(random, 1), resamples).items():
            known = truth[name]
            assert one.low is not None
            assert one.high is not None
            assert known is not None
            held[name][index] = one.low <= known <= one.high
    return {name: float(one.mean()) for name, one in held.items()}


def test_clips_of_few_recordings_cover() -> None:
    """Quick: 60 draws of 17 recordings; 95 % less three standard deviations is 86 %."""
    found = _coverage(_clips(0.5, 1.5, 8, 9), times=60, resamples=150)
    assert min(found.values()) >= 0.86, found


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("anomalous", "normal"), [(8, 9), (5, 20), (40, 40)])
@pytest.mark.parametrize("share_of_variance", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("shift", [1.0, 2.5])
def test_clips_cover_thoroughly(
    shift: float, share_of_variance: float, anomalous: int, normal: int
) -> None:
    draw = _clips(share_of_variance, shift, anomalous, normal)
    found = _coverage(draw, times=400, resamples=400)
    # 90 %: what is honest for so few recordings, less two standard deviations of 400 draws.
    assert min(found.values()) >= 0.87, found
    assert float(np.mean(list(found.values()))) >= 0.925, found
