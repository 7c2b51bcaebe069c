"""Fitting: models from examples, in NumPy alone; the same examples give the same model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewatch.tools.training.combiner import Floats, Form, Logistic, Model, Stumps
from edgewatch.tools.training.examples import Table

_ROUNDS: Final = 30
_STEPS: Final = 60
_RATE: Final = 0.15
_LEVELS: Final = 15
_LEAST_SCALE: Final = 0.05
_LEAF_RIDGE: Final = 0.02
"""Of all weight; what a leaf's Hessian is increased by."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A way of fitting."""

    form: Form
    penalty: float = 10.0
    """Strength of the ridge; stumps have none."""

    @property
    def name(self) -> str:
        """For people."""
        return f"logistic, ridge {self.penalty:g}" if self.form == "logistic" else "stumps"


def fit(table: Table, choice: Choice) -> Model:
    """Fit one model. The table has examples of both classes. Raises ValueError if not."""
    if not table.positive.any() or table.positive.all():
        raise ValueError("examples of both classes are needed")
    return fit_logistic(table, choice.penalty) if choice.form == "logistic" else fit_stumps(table)


def fit_logistic(table: Table, penalty: float) -> Logistic:
    """Fit by Newton's method with a ridge on all weights but the bias.

    Source: iteratively reweighted least squares, Hastie, Tibshirani & Friedman, Elements of
    Statistical Learning, 2nd ed., section 4.4.1.
    """
    total = float(table.weight.sum())
    centre = (table.weight @ table.features) / total
    deviation = np.sqrt(table.weight @ (table.features - centre) ** 2 / total)
    scale = np.maximum(deviation, _LEAST_SCALE)
    terms = np.column_stack([(table.features - centre) / scale, np.ones(len(table.features))])
    ridge = np.full(terms.shape[1], penalty)
    ridge[-1] = 1e-9
    found = np.zeros(terms.shape[1])
    for _ in range(_ROUNDS):
        probability = _sigmoid(terms @ found)
        curvature = table.weight * np.maximum(probability * (1 - probability), 1e-6)
        gradient = terms.T @ (table.weight * (probability - table.positive)) + ridge * found
        step = np.linalg.solve((terms * curvature[:, None]).T @ terms + np.diag(ridge), gradient)
        found = found - step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-9:
            break
    # A feature that never varied says nothing, whatever rounding made of it.
    weights = np.where(deviation > 1e-9, found[:-1], 0.0)
    return Logistic(centre, scale, weights, float(found[-1]))


def fit_stumps(table: Table, steps: int = _STEPS) -> Stumps:
    """Fit by boosting: each step is the best single split of what is still unexplained.

    Thresholds lie at quantiles of the features; leaves take Newton's step, shrunken.
    """
    features, weight = table.features, table.weight / table.weight.sum()
    positive = table.positive.astype(np.float64)
    levels = np.quantile(features, np.linspace(0, 1, _LEVELS + 2)[1:-1], axis=0)
    higher = (features[None] > levels[:, None]).astype(np.float64)  # (levels, rows, features)
    bias = float(np.log((weight @ positive) / (weight @ (1 - positive))))
    odds = np.full(len(features), bias)
    taken: list[tuple[int, float, float, float]] = []
    for _ in range(steps):
        probability = _sigmoid(odds)
        slope = weight * (positive - probability)
        bend = weight * probability * (1 - probability)
        slope_above = np.einsum("lrf,r->lf", higher, slope, optimize=True)
        bend_above = np.einsum("lrf,r->lf", higher, bend, optimize=True)
        slope_below, bend_below = slope.sum() - slope_above, bend.sum() - bend_above
        gain = slope_above**2 / (bend_above + _LEAF_RIDGE)
        gain += slope_below**2 / (bend_below + _LEAF_RIDGE)
        level, feature = np.unravel_index(int(np.argmax(gain)), gain.shape)
        above = _RATE * float(
            slope_above[level, feature] / (bend_above[level, feature] + _LEAF_RIDGE)
        )
        below = _RATE * float(
            slope_below[level, feature] / (bend_below[level, feature] + _LEAF_RIDGE)
        )
        taken.append((int(feature), float(levels[level, feature]), below, above))
        odds = odds + np.where(higher[level, :, feature] > 0, above, below)
    return Stumps(
        feature=np.array([one[0] for one in taken], np.int64),
        threshold=np.array([one[1] for one in taken]),
        below=np.array([one[2] for one in taken]),
        above=np.array([one[3] for one in taken]),
        bias=bias,
    )


def left_out(table: Table, choice: Choice, on_fold: Callable[[], None] = lambda: None) -> Floats:
    """Return each example's odds by the model that was fitted without its camera, (examples,).

    NaN where the rest has only one class.
    """
    odds = np.full(len(table.positive), np.nan)
    for group in np.unique(table.group):
        out = table.group == group
        rest = Table(
            table.features[~out], table.positive[~out], table.weight[~out], table.group[~out]
        )
        if rest.positive.any() and not rest.positive.all():
            odds[out] = fit(rest, choice).log_odds(table.features[out])
        on_fold()
    return odds


def weighted_area(odds: Floats, table: Table) -> float | None:
    """Return P(an incident outscores a normal clip), by the examples' weights; ties count half.

    None where one of the classes is missing.
    """
    kept = np.isfinite(odds)
    high, low = kept & table.positive, kept & ~table.positive
    if not high.any() or not low.any():
        return None
    higher = np.sign(odds[high][:, None] - odds[low][None]) / 2 + 0.5
    pairs = table.weight[high][:, None] * table.weight[low][None]
    return float((higher * pairs).sum() / pairs.sum())


def choices(penalties: Sequence[float]) -> tuple[Choice, ...]:
    """Return the ways of fitting that are tried."""
    return (*(Choice("logistic", penalty) for penalty in penalties), Choice("stumps"))


def _sigmoid(odds: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(odds, -40, 40))), np.float64)
