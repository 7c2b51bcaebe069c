from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgewatch.tools.evaluation.statistics.intervals import (
    area_interval,
    area_variance,
    bounded,
    clustered_share,
    median,
    normal_quantile,
    poisson_rate,
    share,
    wilson,
)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_a_share_has_the_published_interval(part: int, whole: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    found = share(part, whole, "")
    assert found.value == pytest.approx(part / whole)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_wilson_is_scipys_wilson() -> None:
    for whole in (2, 7, 40):
        for part in range(whole + 1):
            theirs = stats.binomtest(part, whole).proportion_ci(method="wilson")
            ours = wilson(part / whole, whole, normal_quantile())
            assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_a_share_of_nothing_or_of_one_says_why_it_has_no_interval() -> None:
    nothing = share(0, 0, "never answered Anomaly")
    assert (nothing.value, nothing.reason) == (None, "never answered Anomaly")
    single = share(1, 1, "")
    assert (single.value, single.low, single.high) == (1.0, None, None)
    assert "one recording" in single.reason


def test_more_clips_of_the_same_recordings_know_nothing_more() -> None:
    right = np.array([3.0, 4.0, 0.0, 2.0, 4.0])
    clips = np.array([4.0, 4.0, 4.0, 4.0, 4.0])
    once, often = clustered_share(right, clips, ""), clustered_share(right * 50, clips * 50, "")
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_all_right_on_few_recordings_is_not_known_to_be_all_right() -> None:
    clips = np.full(8, 100.0)
    found = clustered_share(clips, clips, "")
    assert found.value == found.high == 1.0
    assert found.low is not None
    assert found.low < 0.65


def test_clips_of_one_recording_have_no_interval() -> None:
    found = clustered_share(np.array([3.0, 0.0]), np.array([4.0, 0.0]), "")
    assert (found.value, found.low) == (0.75, None)
    assert "one recording" in found.reason


def test_no_spread_is_not_believed() -> None:
    found = bounded(0.5, 0.0, 10)
    assert found.low is not None
    assert found.high is not None
    assert found.high - found.low > 0.4


@pytest.mark.parametrize(("positives", "negatives"), [(2, 2), (8, 9), (100, 900)])
@pytest.mark.parametrize("area", [0.0, 0.3, 0.5, 0.97, 1.0])
def test_an_area_lies_in_an_interval_that_is_no_point(
    area: float, positives: int, negatives: int
) -> None:
    low, high = area_interval(area, positives, negatives, normal_quantile())
    assert 0.0 <= low <= area <= high <= 1.0
    assert high - low > 0.5 / (positives + negatives)
    # The other way round it is mirrored.
    mirrored = area_interval(1 - area, positives, negatives, normal_quantile())
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_the_ends_of_an_area_are_as_far_as_their_own_deviation_allows() -> None:
    for end in area_interval(0.8, 20, 30, 1.96):
        assert abs(0.8 - end) == pytest.approx(1.96 * area_variance(end, 20, 30) ** 0.5)


@pytest.mark.parametrize(
    ("events", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)]
)
def test_a_rate_has_the_exact_poisson_interval(events: int, low: float, high: float) -> None:
    """Garwood's limits, as tabled for counts everywhere."""
    found = poisson_rate(events, 2.0)
    assert found.value == events / 2
    assert (found.low, found.high) == pytest.approx((low / 2, high / 2), abs=5e-4)


def test_no_normal_footage_has_no_rate() -> None:
    assert poisson_rate(0, 0.0).value is None
    assert poisson_rate(0, 0.0).reason == "no footage is labelled Normal"


def test_a_median_lies_between_order_statistics() -> None:
    """Of ten values, between the second and the ninth (97.9 %); of six, between the outermost."""
    ten = median(np.arange(10.0))
    assert (ten.value, ten.low, ten.high) == (4.5, 1.0, 8.0)
    six = median(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 9.0]))
    assert (six.value, six.low, six.high) == (3.5, 1.0, 9.0)
    five = median(np.arange(5.0))
    assert (five.value, five.low) == (2.0, None)
    assert "too few" in five.reason
    assert median(np.array([])).value is None
