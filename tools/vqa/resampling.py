"""How far figures would move with other pictures like these: a bootstrap over pictures. Pure.

Questions about one picture are no independent witnesses, so pictures are drawn with replacement,
each with all its questions (Field & Welsh, JRSS B 69 (2007) 369), within strata where there are
any. Intervals are made of the spread as everywhere in `evaluation.intervals`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.tools.evaluation.statistics.figures import Estimate
from edgewatch.tools.evaluation.statistics.intervals import MINIMUM_UNITS, bounded

RESAMPLES = 2000
_CELLS = 4_000_000
"""Of draws x pictures held at a time."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A share: sum(part) / sum(whole); both have one number a picture."""

    part: Floats
    whole: Floats


@dataclass(frozen=True, slots=True)
class Sum:
    """A figure: shares times factors, added up."""

    terms: tuple[tuple[int, float], ...]
    """(index of a ratio, its factor)."""

    @property
    def most(self) -> float:
        """What it is if every share is 1."""
        return sum(factor for _, factor in self.terms)


def estimates(
    ratios: Sequence[Ratio],
    sums: Sequence[Sum],
    strata: npt.NDArray[np.int64],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> list[Estimate]:
    """Return each sum with its 95 % interval; `strata` has one number a picture."""
    parts = np.stack([one.part for one in ratios], axis=1)
    wholes = np.stack([one.whole for one in ratios], axis=1)
    factors = np.zeros((len(ratios), len(sums)))
    for column, one in enumerate(sums):
        for index, factor in one.terms:
            factors[index, column] = factor
    values = _shares(parts.sum(axis=0), wholes.sum(axis=0)) @ factors
    found = np.concatenate(
        [
            _shares(drawn @ parts, drawn @ wholes) @ factors
            for drawn in _draws(strata, resamples, np.random.default_rng(seed))
        ]
    )
    units = [_units(wholes, one) for one in sums]
    return [
        _estimate(float(value), found[:, column], one.most, count)
        for column, (value, one, count) in enumerate(zip(values, sums, units, strict=True))
    ]


def _estimate(value: float, drawn: Floats, most: float, units: int) -> Estimate:
    if not units:
        return Estimate(None, reason="no question was asked")
    if units < MINIMUM_UNITS:
        return Estimate(value, reason="rests on one picture: no interval")
    # Drawing n pictures with replacement shows only (n - 1)/n of the variance.
    variance = float(drawn.var()) / most**2 * units / (units - 1)
    share = bounded(min(1.0, value / most), variance, units)
    low, high = share.low, share.high
    if low is None or high is None:
        return Estimate(value, reason=share.reason)
    return Estimate(value, low * most, high * most)


def _shares(parts: Floats, wholes: Floats) -> Floats:
    """Divide; what was not drawn at all counts as 0 of a rare figure's spread."""
    return np.divide(parts, wholes, out=np.zeros_like(parts), where=wholes > 0)


def _units(wholes: Floats, one: Sum) -> int:
    used = [index for index, _ in one.terms]
    return int(np.count_nonzero(wholes[:, used].sum(axis=1)))


def _draws(
    strata: npt.NDArray[np.int64], resamples: int, random: np.random.Generator
) -> Iterator[Floats]:
    """Yield how often each picture was drawn: (some resamples, pictures)."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    step = max(1, _CELLS // max(1, len(strata)))
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        weights = np.zeros((count, len(strata)))
        for member in members:
            chosen = random.integers(0, len(member), (count, len(member)))
            chosen += np.arange(count)[:, None] * len(member)
            times = np.bincount(chosen.ravel(), minlength=count * len(member))
            weights[:, member] = times.reshape(count, len(member))
        yield weights
