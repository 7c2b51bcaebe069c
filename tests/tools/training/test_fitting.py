"""Fitting: the same each time, and right where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from edgewatch.tools.training.combiner import Floats
from edgewatch.tools.training.examples import ClipRole, Example, Table, table_of
from edgewatch.tools.training.features import NAMES
from edgewatch.tools.training.fitting import (
    Choice,
    choices,
    fit,
    fit_logistic,
    fit_stumps,
    left_out,
    weighted_area,
)
from edgewatch.tools.training.scoring import figures_by_kind

COUNT = len(NAMES)


def _example(
    role: ClipRole, features: Floats, *, camera: str = "a", kind: str = "smoke", episode: int = 0
) -> Example:
    return Example("fixed", camera, "yard", False, episode, kind, role, True, features, 0.0)


def _table(rows: int = 200, cameras: int = 4) -> Table:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(rows, COUNT))
    positive = features[:, 0] + 0.5 * features[:, 1] + rng.normal(size=rows) > 0
    return Table(features, positive, np.ones(rows), np.arange(rows) % cameras)


@pytest.mark.parametrize("choice", choices((3.0,)))
def test_the_same_examples_give_the_same_model(choice: Choice) -> None:
    assert fit(_table(), choice).to_json() == fit(_table(), choice).to_json()


def test_logistic_weights_are_where_the_gradient_vanishes() -> None:
    table, penalty = _table(), 7.0
    model = fit_logistic(table, penalty)
    scaled = (table.features - model.centre) / model.scale
    missed = 1 / (1 + np.exp(-(scaled @ model.weights + model.bias))) - table.positive
    np.testing.assert_allclose(scaled.T @ missed + penalty * model.weights, 0, atol=1e-6)
    assert abs(float(missed.sum())) < 1e-6


def test_a_feature_that_never_varies_gets_no_weight() -> None:
    table = _table()
    table.features[:, 5] = 2.5
    assert fit_logistic(table, 1.0).weights[5] == 0.0


def test_stumps_find_the_feature_and_threshold_that_decide() -> None:
    rng = np.random.default_rng(2)
    features = rng.uniform(-1, 1, (300, COUNT))
    positive = features[:, 7] > 0.25
    model = fit_stumps(Table(features, positive, np.ones(300), np.zeros(300, np.int64)), steps=5)
    assert set(model.feature.tolist()) == {7}
    assert abs(float(model.threshold[0]) - 0.25) < 0.1
    assert ((model.log_odds(features) > 0) == positive).mean() > 0.9


def test_one_class_alone_cannot_be_fitted() -> None:
    table = Table(np.zeros((3, COUNT)), np.ones(3, np.bool_), np.ones(3), np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="both classes"):
        fit(table, Choice("stumps"))


def test_a_camera_left_out_is_judged_without_its_own_examples() -> None:
    table = _table(cameras=2)
    odds = left_out(table, Choice("logistic", 3.0))
    first = table.group == 0
    rest = Table(
        table.features[~first], table.positive[~first], table.weight[~first], table.group[~first]
    )
    expected = fit(rest, Choice("logistic", 3.0)).log_odds(table.features[first])
    np.testing.assert_array_equal(odds[first], expected)
    assert (weighted_area(odds, table) or 0) > 0.7


def test_incidents_weigh_as_much_as_normals_and_kinds_as_much_as_each_other() -> None:
    zeros = np.zeros(COUNT)
    examples = [
        *(_example("incident", zeros, kind="smoke") for _ in range(6)),
        *(_example("incident", zeros, kind="fall") for _ in range(2)),
        *(_example("twin", zeros) for _ in range(4)),
        *(_example("quiet", zeros) for _ in range(30)),
        *(_example("unmarked", zeros) for _ in range(5)),
    ]
    table = table_of(examples)
    weight = table.weight
    assert len(weight) == 42
    assert weight.mean() == pytest.approx(1)
    assert weight[:8].sum() == pytest.approx(weight[8:].sum())
    assert weight[:6].sum() == pytest.approx(weight[6:8].sum())


def test_figures_take_the_worst_clip_of_each_episode_and_its_own_twin() -> None:
    zeros = np.zeros(COUNT)
    examples, odds = [], []
    for camera, incident, twin in (("a", 2.0, 1.0), ("b", 0.5, 0.6), ("c", 3.0, -1.0)):
        for role, worst, episode in (("incident", incident, 0), ("twin", twin, 1)):
            for value in (worst, worst - 5.0):
                examples.append(_example(role, zeros, camera=camera, episode=episode))  # type: ignore[arg-type]  # a literal
                odds.append(value)
    everything, smoke = figures_by_kind(examples, np.array(odds), seed=1)
    assert (everything.kind, smoke.kind) == ("all", "smoke")
    assert smoke.incidents == 3
    assert smoke.against_twin == pytest.approx(2 / 3)
    assert smoke.area.value == pytest.approx(7 / 9)
    assert smoke.area.low is not None


def test_weighted_area_counts_ties_half_and_says_where_a_class_is_missing() -> None:
    table = Table(
        np.zeros((4, COUNT)),
        np.array([True, True, False, False]),
        np.array([3.0, 1.0, 1.0, 1.0]),
        np.zeros(4, np.int64),
    )
    assert weighted_area(np.array([1.0, 0.0, 0.0, -1.0]), table) == pytest.approx(7.5 / 8)
    assert weighted_area(np.array([1.0, 1.0, np.nan, np.nan]), table) is None
