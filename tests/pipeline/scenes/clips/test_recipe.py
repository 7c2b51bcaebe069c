"""Recipes: written and read without loss, named without telling, refused when they are wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.moving.light import LIGHTS
from edgewatch.pipeline.scenes.moving.weather import WEATHERS
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, IncidentKind
from tests.pipeline.scenes.clips.recipes import still_recipe

PLACEMENT = Placement(1.25, 3.0, (0.4, 0.7), 0.2, "driving", 0.46)
IMPACT = Recipe(7, incident="impact", placement=PLACEMENT)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    incident=st.sampled_from([None, *get_args(IncidentKind)]),
    twin=st.booleans(),
    seconds=st.floats(2.0, 90.0),
    foot=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    light=st.sampled_from(LIGHTS),
    weather=st.sampled_from(WEATHERS),
)
def test_a_recipe_read_back_is_the_same_recipe(
    seed: int,
    incident: IncidentKind | None,
    twin: bool,
    seconds: float,
    foot: tuple[float, float],
    light: Any,
    weather: Any,
) -> None:
    place = replace(PLACEMENT, foot=foot) if incident else None
    recipe = Recipe(
        seed,
        seconds=seconds,
        incident=incident,
        twin=bool(incident and twin),
        placement=place,
        light=light,
        weather=weather,
    )
    again = Recipe.from_dict(json.loads(recipe.to_json()))
    assert again == recipe
    assert again.clip_id == recipe.clip_id


def test_every_field_changes_the_name_and_the_name_tells_nothing() -> None:
    others = [
        replace(IMPACT, seed=8),
        replace(IMPACT, twin=True),
        replace(IMPACT, weather="rain"),
        replace(IMPACT, size=(320, 180)),
        replace(IMPACT, placement=replace(PLACEMENT, begins_seconds=1.5)),
        IMPACT.without_incident(),
    ]
    names = {IMPACT.clip_id, *(one.clip_id for one in others)}
    assert len(names) == 1 + len(others)
    assert all(len(name) == 20 and set(name) <= set("0123456789abcdef") for name in names)


def test_twin_and_incident_know_each_other_and_share_source_and_split() -> None:
    twin = IMPACT.counterpart()
    assert twin is not None
    assert twin.twin
    assert twin.counterpart() == IMPACT
    assert (twin.source, twin.split) == (IMPACT.source, IMPACT.split)
    assert IMPACT.without_incident().counterpart() is None


def test_both_splits_are_used_and_a_still_has_one() -> None:
    splits = [Recipe(seed).split for seed in range(60)]
    assert 10 < splits.count("test") < 40
    assert len({still_recipe(seed=seed).split for seed in range(20)}) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"scene": "moon"}, "'moon' is not drawn"),
        ({"still_sha256": "aa"}, "either a drawn scene or a still"),
        ({"size": (33, 96)}, "33 pixels"),
        ({"fps": float("nan")}, "fps"),
        ({"seconds": 1e9}, "seconds"),
        ({"seed": -1}, "seed"),
        ({"motion": "sway"}, "moves by itself"),
        ({"weather": "hail"}, "'hail' is not known"),
        ({"sensor_sigma": -1.0}, "sensor_sigma"),
        ({"incident": None}, "none is named"),
        ({"placement": None}, "no placement"),
        ({"placement": replace(PLACEMENT, begins_seconds=5.0)}, "not within"),
        ({"incident": "debris", "placement": replace(PLACEMENT, camera="fixed")}, "fixed camera"),
        ({"scene": "yard"}, "impact is drawn with scene drive"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(SceneRefused, match=told):
        replace(IMPACT, **wrong)


@pytest.mark.parametrize(
    "damage",
    [{"schema": 2}, {"unheard_of": 1}, {"size": [640]}, {"placement": {"foot": 3}}, {"fps": "x"}],
)
def test_a_damaged_recipe_is_told_and_no_crash(damage: dict[str, Any]) -> None:
    with pytest.raises(SceneInvalid, match="recipe"):
        Recipe.from_dict({**IMPACT.as_dict(), **damage})


def test_faults_of_the_camera_may_befall_any_camera() -> None:
    for kind in CAMERA_FAULTS:
        placement = replace(PLACEMENT, camera="fixed")
        assert replace(IMPACT, incident=kind, placement=placement).camera == "driving"
