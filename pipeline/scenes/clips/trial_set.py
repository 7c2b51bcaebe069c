"""A test set: recipes of every kind of incident in every scene that it fits, each with its twin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.clips.placing import Ground, place_incident
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.drawn.table import SCENES, camera_kind
from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits
from edgewatch.pipeline.scenes.moving.light import Light
from edgewatch.pipeline.scenes.moving.weather import Weather
from edgewatch.pipeline.scenes.truth import IncidentKind

_LIGHTS: Final[tuple[Light, ...]] = ("day", "day", "cloud", "dusk", "flicker", "night")
_WEATHERS: Final[tuple[Weather, ...]] = ("clear", "clear", "rain", "snow", "fog")
_NOT_IN: Final[Mapping[str, frozenset[IncidentKind]]] = MappingProxyType(
    {"corridor": frozenset({"stopped_vehicle", "person_on_road"})}
)
"""No vehicle stands in a corridor, and to walk there is what it is for."""
_SEED_STEP: Final = 1_000_003
"""Seeds of a set lie apart, so that sets of neighbouring seeds share no footage."""


@dataclass(frozen=True, slots=True)
class SetPlan:
    """What a test set is made of; the same plan gives the same recipes."""

    seed: int
    each: int = 1
    """Pairs of each kind in each scene."""
    size: tuple[int, int] = (640, 360)
    fps: float = 15.0
    seconds: float = 10.0
    scenes: Sequence[str] = SCENES
    kinds: Sequence[IncidentKind] = ("impact", *KINDS)


def recipes_of_set(plan: SetPlan) -> tuple[Recipe, ...]:
    """List the recipes of a set: each incident is followed by its twin.

    The two share seed, place, time, light and weather: nothing but the incident tells them apart.
    Footage differs from pair to pair, and so do the begins, which are uniform over the middle.
    """
    recipes: list[Recipe] = []
    for scene in plan.scenes:
        for kind in plan.kinds:
            if not fits_scene(kind, scene):
                continue
            for _ in range(plan.each):
                recipe = _incident(plan, scene, kind, len(recipes) // 2)
                recipes += (recipe, _twin(recipe))
    return tuple(recipes)


def fits_scene(kind: IncidentKind, scene: str) -> bool:
    """Whether a kind of incident can happen in a drawn scene."""
    if kind == "impact":
        return scene == "drive"
    if kind in _NOT_IN.get(scene, ()):
        return False
    return fits(kind, camera_kind(scene))


def _incident(plan: SetPlan, scene: str, kind: IncidentKind, number: int) -> Recipe:
    seed = (plan.seed * _SEED_STEP + number) % 2**62
    rng = np.random.default_rng([seed, 35])
    return Recipe(
        seed,
        scene,
        size=plan.size,
        fps=plan.fps,
        seconds=plan.seconds,
        incident=kind,
        placement=place_incident(kind, Ground.of_scene(scene), seed, plan.seconds),
        light="day" if scene == "corridor" else _LIGHTS[int(rng.integers(len(_LIGHTS)))],
        # No rain falls in a corridor.
        weather="clear" if scene == "corridor" else _WEATHERS[int(rng.integers(len(_WEATHERS)))],
    )


def _twin(recipe: Recipe) -> Recipe:
    twin = recipe.counterpart()
    assert twin is not None  # it has an incident
    return twin
