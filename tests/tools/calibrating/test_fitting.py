from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from edgewatch.pipeline.engines.calibration import logit
from edgewatch.tools.calibrating.fitting import TILT, fitted, log_losses
from tests.tools.calibrating.made import Floats, sigmoid


def drawn(slope: float, offset: float, clips: int = 4000) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(3)
    line = rng.normal(0.0, 2.0, clips)
    truth = (rng.random(clips) < sigmoid(slope * line + offset)).astype(np.float64)
    return sigmoid(line), truth


def test_platt_agrees_with_scikit_learn_on_platts_own_targets() -> None:
    score, truth = drawn(0.6, -1.0)
    found = fitted("platt", score, truth)
    incidents, others = truth.sum(), (1 - truth).sum()
    high, low = (incidents + 1) / (incidents + 2), 1 / (others + 2)
    soft = np.where(truth > 0.5, high, low)
    line = logit(score)[:, None]
    both = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
        np.vstack([line, line]),
        np.repeat([1, 0], len(score)),
        sample_weight=np.concatenate([soft, 1 - soft]),
    )
    assert found.slope == pytest.approx(both.coef_[0, 0], abs=1e-4)
    assert found.offset == pytest.approx(both.intercept_[0], abs=1e-4)
    assert found.slope == pytest.approx(0.6, abs=0.05)
    assert found.offset == pytest.approx(-1.0, abs=0.1)


def test_temperature_finds_the_temperature() -> None:
    score, truth = drawn(0.4, 0.0)
    assert 1.0 / fitted("temperature", score, truth).slope == pytest.approx(2.5, abs=0.2)


def test_isotonic_is_that_of_scikit_learn_with_a_clip_made_up_at_each_end() -> None:
    score, truth = drawn(0.6, -1.0, clips=500)
    score = score.round(2)
    found = fitted("isotonic", score, truth)
    theirs = IsotonicRegression(out_of_bounds="clip").fit(
        np.append(score, [score.min(), score.max()]), np.append(truth, [1.0, 0.0])
    )
    levels = (found.apply_all(score) - TILT * score) / (1 - TILT)
    assert levels == pytest.approx(theirs.predict(score), abs=1e-9)
    assert 0.0 < found.apply(0.0) < found.apply(1.0) < 1.0


@pytest.mark.parametrize("method", ["temperature", "platt", "isotonic"])
def test_scores_that_tell_everything_apart_give_a_finite_map(method: str) -> None:
    score = np.array([0.0] * 20 + [1.0] * 20)
    truth = np.array([0.0] * 20 + [1.0] * 20)
    found = fitted(method, score, truth)  # type: ignore[arg-type]  # one of the methods
    low, high = found.apply_all([0.0, 1.0])
    assert 0.0 < low < 0.1 < 0.9 < high < 1.0


def test_scores_that_run_the_wrong_way_never_turn_the_order_round() -> None:
    score, truth = drawn(1.0, 0.0, clips=500)
    for method in ("temperature", "platt", "isotonic"):
        found = fitted(method, 1.0 - score, truth)
        assert (np.diff(found.apply_all(np.linspace(0, 1, 101))) > 0.0).all()


def test_a_sure_mistake_costs_much_and_not_endlessly() -> None:
    losses = log_losses(np.array([0.0, 1.0, 0.5]), np.array([1.0, 1.0, 0.0]))
    assert losses == pytest.approx([20.723, 0.0, 0.6931], abs=1e-3)
