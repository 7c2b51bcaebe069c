"""What `scenes clip` is asked to make, as recipes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.clip_file import read_still
from edgewatch.pipeline.scenes.clips.placing import Ground, place_incident
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.clips.sidecar import DRAWN, Origin
from edgewatch.pipeline.scenes.clips.trial_set import SetPlan, fits_scene, recipes_of_set
from edgewatch.pipeline.scenes.drawn.table import SCENES
from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits
from edgewatch.pipeline.scenes.still_file import pixels_sha256
from edgewatch.pipeline.scenes.truth import IncidentKind
from edgewatch.pipeline.types import Pixels
from edgewatch.tools.scene_commands.still_origin import origin_of

ALL_KINDS: tuple[IncidentKind, ...] = ("impact", *KINDS)
ONE_SECONDS, SET_SECONDS = 5.0, 10.0
_TWIN = "twin:"


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Recipes to be drawn, and the still that they are made of."""

    recipes: tuple[Recipe, ...]
    still: Pixels | None = None
    origin: Origin = DRAWN


def read_orders(options: argparse.Namespace, dev_licence: str | None) -> Orders:
    """Turn the command line into recipes. Raises SceneRefused, SceneInvalid, OSError."""
    if options.set:
        return Orders(_set_recipes(options))
    if options.still is None:
        return Orders(_recipes(options, options.scene or "drive", ""))
    if options.scene:
        raise SceneRefused("--scene draws one, --still brings one: name only one of them")
    still = read_still(options.still)
    origin = origin_of(options.still, dev_licence)
    return Orders(_recipes(options, "", pixels_sha256(still)), still, origin)


def _set_recipes(options: argparse.Namespace) -> tuple[Recipe, ...]:
    for name in ("still", "motion", "weather", "light", "place", "tall", "at"):
        if getattr(options, name) is not None:
            raise SceneRefused(f"--set varies this by itself: leave out --{name}")
    named = options.incident
    if named is not None and named not in ALL_KINDS:
        raise SceneRefused(f"--set takes one kind with its twins, or all; not {named!r}")
    plan = SetPlan(
        seed=options.seed,
        each=options.count,
        size=options.size,
        fps=options.fps,
        seconds=options.seconds or SET_SECONDS,
        scenes=(options.scene,) if options.scene else SCENES,
        kinds=(named,) if named else ALL_KINDS,
    )
    recipes = recipes_of_set(plan)
    if not recipes:
        raise SceneRefused(f"{named} does not happen in scene {options.scene}")
    return recipes


def _recipes(options: argparse.Namespace, scene: str, still: str) -> tuple[Recipe, ...]:
    """One clip a seed; without --incident an incident and its twin."""
    recipes: list[Recipe] = []
    for seed in range(options.seed, options.seed + options.count):
        bare = _bare(options, scene, still, seed)
        kind, twin = _wanted(options.incident, bare)
        if kind is None:
            recipes.append(bare)
            continue
        incident = _with(options, bare, kind)
        counterpart = incident.counterpart()
        assert counterpart is not None  # it has an incident
        if options.incident is None:
            recipes += (incident, counterpart)
        else:
            recipes.append(counterpart if twin else incident)
    return tuple(recipes)


def _bare(options: argparse.Namespace, scene: str, still: str, seed: int) -> Recipe:
    return Recipe(
        seed,
        scene,
        still,
        size=options.size,
        fps=options.fps,
        seconds=options.seconds or ONE_SECONDS,
        motion=options.motion or ("sway" if still else "none"),
        weather=options.weather or "clear",
        light=options.light or "day",
        sensor_sigma=options.noise,
        still_horizon=options.horizon,
    )


def _wanted(named: str | None, bare: Recipe) -> tuple[IncidentKind | None, bool]:
    """Which incident, and whether its twin; without a name one that the seed draws."""
    if named == "none":
        return None, False
    possible = possible_kinds(bare)
    if named is None:
        rng = np.random.default_rng([bare.seed, 37])
        return possible[int(rng.integers(len(possible)))], False
    name = named.removeprefix(_TWIN)
    for kind in possible:
        if kind == name:
            return kind, named.startswith(_TWIN)
    where = f"scene {bare.scene}" if bare.scene else f"a still with a {bare.camera} camera"
    raise SceneRefused(
        f"--incident {named}: not in {where}; there are none, "
        + ", ".join(f"{one}, twin:{one}" for one in possible)
    )


def possible_kinds(recipe: Recipe) -> Sequence[IncidentKind]:
    """Kinds of incident that can happen in a recipe's footage."""
    if recipe.scene:
        return [kind for kind in ALL_KINDS if fits_scene(kind, recipe.scene)]
    return [kind for kind in KINDS if fits(kind, recipe.camera)]


def _with(options: argparse.Namespace, bare: Recipe, kind: IncidentKind) -> Recipe:
    ground = Ground.of_scene(bare.scene) if bare.scene else Ground(bare.camera, bare.still_horizon)
    placement = place_incident(
        kind,
        ground,
        bare.seed,
        bare.seconds,
        begins_seconds=options.at,
        foot=options.place,
        height=options.tall,
    )
    return replace(bare, incident=kind, placement=placement)
