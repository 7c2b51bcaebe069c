"""The weights file: read as it was written, and refused where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.tools.training.combiner import (
    MOST_BYTES,
    Combiner,
    Logistic,
    Stumps,
    read_combiner,
)
from edgewatch.tools.training.features import NAMES

COUNT = len(NAMES)


def _combiner() -> Combiner:
    rng = np.random.default_rng(4)
    logistic = Logistic(
        rng.normal(size=COUNT), rng.uniform(0.5, 2, COUNT), rng.normal(size=COUNT), 0.25
    )
    stumps = Stumps(
        np.array([0, 3, 3]), np.array([0.1, -1.0, 2.0]), -np.ones(3), np.ones(3), bias=-0.5
    )
    return Combiner({"fixed": logistic, "driving": stumps}, {"seed": 4})


def test_weights_that_were_written_say_the_same_when_read() -> None:
    combiner = _combiner()
    again = Combiner.from_bytes(combiner.to_bytes())
    features = np.random.default_rng(5).normal(size=(20, COUNT))
    for kind, model in combiner.models.items():
        np.testing.assert_allclose(
            again.models[kind].log_odds(features), model.log_odds(features), atol=1e-3
        )
    assert again.to_bytes() == combiner.to_bytes()
    assert again.made_of == {"seed": 4}


def test_a_step_is_taken_above_its_threshold_alone() -> None:
    stumps = _combiner().models["driving"]
    features = np.zeros((2, COUNT))
    features[1, [0, 3]] = 0.2, 3.0
    assert stumps.log_odds(features).tolist() == [-0.5 - 1 + 1 - 1, -0.5 + 3]


def _without(name: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["models"]["fixed"].pop(name)


def _with(kind: str, name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["models"][kind].update({name: value})


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document.update(schema=2),
        lambda document: document["features"].reverse(),
        lambda document: document.pop("models"),
        lambda document: document["models"].clear(),
        lambda document: document["models"].update(flying={}),
        lambda document: document["models"].update(fixed=[]),
        _without("weights"),
        _without("bias"),
        _with("fixed", "form", "oracle"),
        _with("fixed", "weights", [1.0]),
        _with("fixed", "weights", ["a"] * COUNT),
        _with("fixed", "weights", [float("nan")] * COUNT),
        _with("fixed", "scale", [0.0] * COUNT),
        _with("fixed", "bias", None),
        _with("driving", "feature", [0, 3, COUNT]),
        _with("driving", "feature", [0, 3, -1]),
        _with("driving", "feature", [0, 3, 0.5]),
        _with("driving", "above", [1.0, 2.0]),
        _with("driving", "threshold", [1e999, 0.0, 0.0]),
    ],
)
def test_damaged_weights_are_refused(damage: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(_combiner().to_bytes())
    damage(document)
    with pytest.raises(SceneInvalid, match="weights"):
        Combiner.from_bytes(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b" " * (MOST_BYTES + 1)]
)
def test_what_is_no_weights_file_is_refused(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "combiner.json"
    file.write_bytes(data)
    with pytest.raises(SceneInvalid, match=r"combiner\.json"):
        read_combiner(file)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    whole = _combiner().to_bytes()
    with pytest.raises(SceneInvalid):
        Combiner.from_bytes(whole[: len(whole) // 2])
