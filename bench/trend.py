"""The trend of a measured series, two ways: a line, and medians that outliers cannot pull."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.float64]
"""Shape (n, 2): time and value, in order of time."""


def second_half(series: Series) -> Series:
    """Return what was sampled after half of the time."""
    middle = (series[0, 0] + series[-1, 0]) / 2
    late: Series = series[series[:, 0] >= middle]
    return late


def line_slope(series: Series) -> float:
    """Return the slope of the line of least squares."""
    times = series[:, 0] - series[0, 0]
    return float(np.polyfit(times, series[:, 1], 1)[0])


def paired_slope(series: Series) -> float:
    """Return the median slope between samples half the series apart.

    Source: the incomplete method of H. Theil, 1950. A third of the samples may be wild.
    """
    half = len(series) // 2
    early, late = series[:half], series[len(series) - half :]
    rises = late[:, 1] - early[:, 1]
    return float(np.median(rises / (late[:, 0] - early[:, 0])))
