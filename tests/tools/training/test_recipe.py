"""Recipes: written, read again, and refused where they cannot be followed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.tools.training.recipe import RECIPES, TrainingRecipe


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_survives_being_written_as_json(name: str) -> None:
    recipe = replace(RECIPES[name], seed=77)
    assert TrainingRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("drives", -1),
        ("drives", True),
        ("pairs", 0),
        ("held_out", 0.9),
        ("warm_seconds", float("nan")),
        ("penalties", []),
        ("penalties", [0.0]),
        ("penalties", 3.0),
        ("name", 7),
        ("colour", "red"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused_by_name(field: str, value: Any) -> None:
    document = RECIPES["quick"].to_json() | {field: value}
    with pytest.raises(SceneRefused, match=field):
        TrainingRecipe.from_json(document)


def test_a_recipe_without_one_of_its_fields_is_refused() -> None:
    document = RECIPES["quick"].to_json()
    del document["seed"]
    with pytest.raises(SceneRefused, match="seed"):
        TrainingRecipe.from_json(document)
