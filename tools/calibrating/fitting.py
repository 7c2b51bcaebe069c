"""Fitting: the numbers of a calibration from clips of known truth. Pure, but for scipy.

Platt: J. Platt, "Probabilistic outputs for support vector machines", 1999, with his targets short
of 0 and 1, so that clips which any line tells apart do not give an endless slope. Temperature: the
same without offset (Guo et al., "On calibration of modern neural networks", ICML 2017), on the
logit of a score. Isotonic: Zadrozny and Elkan, KDD 2002, pool adjacent violators.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import numpy as np
import numpy.typing as npt

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.engines.calibration import Calibration, Method, logit, sigmoid

Floats = npt.NDArray[np.float64]

LEAST_SLOPE, MOST_SLOPE = 0.01, 50.0
MOST_OFFSET = 50.0
TILT = 1e-3
"""Share of the plain score in an isotonic map: its steps then rise by a little instead of being
level, and no two scores become equal."""


def fitted(method: Method, score: Floats, truth: Floats) -> Calibration:
    """Fit a calibration of no engine in particular; scores from 0 to 1, both truths there.

    Raises ConfigError if scipy is missing.
    """
    match method:
        case "none":
            return Calibration(method, "")
        case "isotonic":
            return Calibration(method, "", knots=_isotonic(score, truth))
        case "temperature":
            slope, _ = _line(score, truth, with_offset=False)
            return Calibration(method, "", slope=slope)
        case "platt":
            slope, offset = _line(score, truth, with_offset=True)
            return Calibration(method, "", slope=slope, offset=offset)


def log_losses(probability: Floats, truth: Floats) -> Floats:
    """Return each clip's log loss, in nats; a sure mistake counts as if it was all but sure."""
    inner = np.clip(probability, 1e-9, 1.0 - 1e-9)
    losses: Floats = -np.where(truth > 0.5, np.log(inner), np.log1p(-inner))
    return losses


def _line(score: Floats, truth: Floats, *, with_offset: bool) -> tuple[float, float]:
    """Fit slope and offset on the logit by least log loss; a convex problem."""
    line = logit(score)
    incidents = float(truth.sum())
    others = len(truth) - incidents
    target = np.where(truth > 0.5, (incidents + 1) / (incidents + 2), 1 / (others + 2))

    def loss(numbers: Floats) -> tuple[float, Floats]:
        at = numbers[0] * line + (numbers[1] if with_offset else 0.0)
        # log(1 + e^x) - t x, without overflow.
        value = float((np.logaddexp(0.0, at) - target * at).mean())
        wrong = sigmoid(at) - target
        slopes = [float((wrong * line).mean()), float(wrong.mean())]
        return value, np.array(slopes[: len(numbers)])

    bounds = [(LEAST_SLOPE, MOST_SLOPE), (-MOST_OFFSET, MOST_OFFSET)]
    start = np.array([1.0, 0.0])[: 2 if with_offset else 1]
    minimize: Callable[..., object] = _optimize().minimize
    found = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds[: len(start)],
        options={"ftol": 1e-14, "gtol": 1e-10, "maxiter": 500},
    )
    numbers = getattr(found, "x")  # noqa: B009 - scipy has no types
    return float(numbers[0]), float(numbers[1]) if with_offset else 0.0


def _isotonic(score: Floats, truth: Floats) -> tuple[tuple[float, float], ...]:
    """Fit a growing map. One made-up clip at each end keeps it from being sure of anything."""
    score = np.concatenate([[score.min(), score.max()], score])
    truth = np.concatenate([[1.0, 0.0], truth])
    places, where = np.unique(score, return_inverse=True)
    clips = np.bincount(where).astype(np.float64)
    shares = np.bincount(where, weights=truth) / clips
    values = np.asarray(_optimize().isotonic_regression(shares, weights=clips).x)
    steps = np.flatnonzero(np.diff(values, prepend=-1.0) > 0.0)
    ends = np.append(steps[1:] - 1, len(values) - 1)
    at = np.unique(np.concatenate([steps, ends]))
    x, y = places[at], values[at]
    if x[0] > 0.0:
        x, y = np.append(0.0, x), np.append(y[0], y)
    if x[-1] < 1.0:
        x, y = np.append(x, 1.0), np.append(y, y[-1])
    tilted = (1.0 - TILT) * y + TILT * x
    # Scores closer than float64 tells in the tilted value are one knot.
    keep = np.append(True, np.diff(tilted) > 0.0)
    if not keep[-1]:
        keep[np.flatnonzero(keep)[-1]], keep[-1] = False, True
    return tuple(zip(x[keep].tolist(), tilted[keep].tolist(), strict=True))


def _optimize() -> ModuleType:
    try:
        return importlib.import_module("scipy.optimize")
    except ImportError as error:
        raise ConfigError(
            f"fitting needs scipy, which cannot be imported ({error}); "
            "pip install 'edgewatch[evaluate]'"
        ) from error
