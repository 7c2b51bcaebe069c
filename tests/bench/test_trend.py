from __future__ import annotations

import numpy as np
import pytest

from bench.trend import Series, line_slope, paired_slope, second_half


def rising(slope: float, count: int = 101) -> Series:
    times = np.linspace(50.0, 150.0, count)
    return np.column_stack([times, 7.0 + slope * times])


@pytest.mark.parametrize("slope", [0.0, 0.25, -3.0])
def test_both_slopes_are_those_of_a_line(slope: float) -> None:
    assert line_slope(rising(slope)) == pytest.approx(slope)
    assert paired_slope(rising(slope)) == pytest.approx(slope)


def test_the_paired_slope_bears_outliers_that_pull_the_line() -> None:
    series = rising(0.25)
    series[-10:, 1] += 1000.0
    assert paired_slope(series) == pytest.approx(0.25)
    assert line_slope(series) > 1.0


def test_the_second_half_is_of_time_and_not_of_samples() -> None:
    series = np.array([(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (10.0, 5.0)])
    assert second_half(series).tolist() == [[10.0, 5.0]]
