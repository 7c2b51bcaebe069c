"""Footage of a recipe: the scene itself, picture by picture, with what is true of each.

The order is that of the world: what is there (a drawn scene or a still, at its time of day), the
incident in it, the camera that looks at it, then cloud, weather and sensor, each of which treats
every pixel for itself. What befalls the camera (covered, moved, frozen) comes last of all, since a
frozen picture has frozen noise. So a pixel outside the mask is the same as without the incident.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.drawn.ride import BRAKING_SECONDS
from edgewatch.pipeline.scenes.drawn.table import draw_scene, drive_gentle_stop, drive_impact
from edgewatch.pipeline.scenes.incidents.catalogue import make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.incident import Incident
from edgewatch.pipeline.scenes.moving.depth import Street
from edgewatch.pipeline.scenes.moving.light import DARKNESS, Lighting
from edgewatch.pipeline.scenes.moving.sensor import Sensor
from edgewatch.pipeline.scenes.moving.still import MovingCamera, fitted
from edgewatch.pipeline.scenes.moving.travel import CAMERA_HEIGHT_METRES
from edgewatch.pipeline.scenes.moving.weather import Falling
from edgewatch.pipeline.scenes.scene import Scene
from edgewatch.pipeline.scenes.still_file import pixels_sha256
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, FrameTruth, Mask
from edgewatch.pipeline.types import Pixels

_FIXED_CAMERA_METRES = 4.0
_NIGHT_NOISE = 1.5
"""In the dark the sensor's noise grows by this factor, beside what it is by day."""


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """What the camera sees at a moment, before weather and sensor."""

    seen: Pixels
    untouched: Pixels | None
    """The same without the incident: the same object where there is none, None: not drawn yet."""
    truth: FrameTruth


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    index: int
    pixels: Pixels
    truth: FrameTruth
    untouched: Pixels | None


def footage_of(recipe: Recipe, still: Pixels | None = None) -> Footage:
    """Prepare the footage of a recipe; `still`: uint8 RGB, the one that the recipe names.

    Raises SceneRefused if the still is missing, is another one, or the incident does not fit.
    """
    if recipe.still_sha256 and still is None:
        raise SceneRefused(f"the still {recipe.still_sha256[:12]}… is needed, and none was given")
    if still is not None and pixels_sha256(still) != recipe.still_sha256:
        raise SceneRefused(f"the still is not the one of the recipe, {recipe.still_sha256[:12]}…")
    return Footage(recipe, still)


class Footage:
    """A `Scene`. Pictures asked for in order cost one drawing each, in any other order more."""

    def __init__(self, recipe: Recipe, still: Pixels | None) -> None:
        self._recipe = recipe
        self._world = _World(recipe, still)
        width, height = recipe.size
        metres = CAMERA_HEIGHT_METRES if recipe.camera == "driving" else _FIXED_CAMERA_METRES
        street = Street(recipe.size, (0.5 * (width - 1), recipe.horizon * height), metres)
        dark = DARKNESS[recipe.light]
        self._light = self._world.light
        self._weather = Falling(recipe.weather, recipe.seed, street, brightness=1 - 0.7 * dark)
        self._sensor = Sensor(
            recipe.seed, recipe.size, recipe.sensor_sigma * (1 + _NIGHT_NOISE * dark)
        )
        self._fault = _made(recipe) if recipe.incident in CAMERA_FAULTS else None
        self._next = 0
        self._last: _Shown | None = None

    @property
    def recipe(self) -> Recipe:
        """What it is made of."""
        return self._recipe

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._recipe.size

    @property
    def fps(self) -> float:
        """Pictures a second."""
        return self._recipe.fps

    @property
    def frame_count(self) -> int:
        """How many pictures there are."""
        return self._recipe.frame_count

    def frame(self, index: int) -> Pixels:
        """Draw one picture, uint8 RGB, shape (height, width, 3), read-only. Raises IndexError."""
        return self._shown(index).pixels

    def truth(self, index: int) -> FrameTruth:
        """Tell what a picture shows; of a harmless twin the mask, and no kind."""
        return self._shown(index).truth

    def without(self, index: int) -> Pixels:
        """Draw a picture as it would be had nothing been put in; outside the mask it is the same.

        Weather and noise are the same ones: it is what `without_incident` of the recipe gives.
        """
        shown = self._shown(index)
        if shown.untouched is shown.pixels:
            return shown.pixels
        untouched = shown.untouched
        if self._fault is not None and untouched is not None:
            return untouched
        return self._developed(self._world.calm(index) if untouched is None else untouched, index)

    def camera(self, index: int) -> dict[str, Any] | None:
        """Where the camera of a picture looks, for `truth.jsonl`; None if it has no path."""
        return self._world.camera(index / self.fps)

    def _shown(self, index: int) -> _Shown:
        if not 0 <= index < self.frame_count:
            raise IndexError(f"picture {index} of {self.frame_count}")
        if self._last is None or self._last.index != index:
            self._go_to(index)
            self._last = self._draw(index)
            self._next = index + 1
        return self._last

    def _go_to(self, index: int) -> None:
        """Incidents remember: give them the pictures between, from before they began."""
        if index == self._next or self._recipe.placement is None:
            return
        if index < self._next:
            self._world.rewind()
            if self._fault is not None:
                self._fault = _made(self._recipe)
            self._next = 0
        first = math.floor(self._recipe.placement.begins_seconds * self.fps) - 1
        for skipped in range(max(self._next, first, 0), index):
            self._draw(skipped)

    def _draw(self, index: int) -> _Shown:
        view = self._world.at(index)
        developed = self._developed(view.seen, index)
        if self._fault is not None:
            pixels, truth = self._fault.compose(developed, index / self.fps)
            return _Shown(index, pixels, truth, developed)
        if view.untouched is view.seen:
            return _Shown(index, developed, view.truth, developed)
        return _Shown(index, developed, view.truth, view.untouched)

    def _developed(self, pixels: Pixels, index: int) -> Pixels:
        seconds = index / self.fps
        lit = self._light.vary(pixels, seconds)
        picture = self._sensor.expose(self._weather.in_front_of(lit, seconds), index, self.fps)
        if picture.flags.writeable:
            picture.setflags(write=False)
        return picture


class _World:
    """What the camera looks at, with the incident and without, as the camera sees it."""

    def __init__(self, recipe: Recipe, still: Pixels | None) -> None:
        self._recipe = recipe
        self._camera: MovingCamera | None = None
        size = recipe.size
        if still is not None or recipe.motion != "none":
            self._camera = MovingCamera(
                recipe.motion, recipe.seed, size, recipe.seconds, horizon=recipe.horizon
            )
            size = self._camera.world_size
        self.light = Lighting(recipe.light, recipe.seed, recipe.size)
        self._still = None if still is None else self._toned(fitted(still, size))
        self._drawn_size = size
        self._calm: Scene | None = None
        self._drawn = _drive_of(recipe)
        self._incident: Incident | None = None
        self.rewind()

    def rewind(self) -> None:
        """Begin anew: the incident has seen no picture yet."""
        kind = self._recipe.incident
        if kind is not None and kind != "impact" and kind not in CAMERA_FAULTS:
            self._incident = _made(self._recipe)

    def camera(self, seconds: float) -> dict[str, Any] | None:
        """Matrix from the world to the picture, and the way travelled."""
        if self._camera is None:
            return None
        told: dict[str, Any] = {"M": self._camera.matrix(seconds).round(6).tolist()}
        metres = self._camera.travelled_metres(seconds)
        return told if metres is None else {**told, "travelled_m": round(metres, 6)}

    def at(self, index: int) -> _View:
        """Give what the camera sees of a picture's moment."""
        seconds = index / self._recipe.fps
        if self._drawn is not None:
            return self._driven(self._drawn, index)
        world = self._base(index)
        if self._camera is None or self._recipe.motion == "drive":
            # A camera that drives: what comes nearer is drawn so by the incident itself.
            seen = world if self._camera is None else self._camera.see(world, seconds)
            composed, truth = self._composed(seen, seconds)
            return _View(composed, seen, truth)
        composed, truth = self._composed(world, seconds)
        untouched = self._camera.see(world, seconds)
        if composed is world:
            return _View(untouched, untouched, truth)
        seen = self._camera.see(composed, seconds)
        return _View(seen, untouched, _as_seen(truth, seen, untouched))

    def calm(self, index: int) -> Pixels:
        """Draw the moment of a drive in which nothing happens."""
        return self._base(index)

    def _driven(self, drawn: Scene, index: int) -> _View:
        """A drive that ends in an impact, or gently: another drive from the braking on."""
        seconds = index / self._recipe.fps
        begins = self._begins_seconds
        if seconds < begins:
            # Until the braking begins it is the same drive.
            seen = self._toned(drawn.frame(index))
            return _View(seen, seen, FrameTruth(seconds))
        width, height = self._recipe.size
        kind = None if self._recipe.twin else self._recipe.incident
        truth = FrameTruth(seconds, kind, np.ones((height, width), np.bool_))
        return _View(self._toned(drawn.frame(index)), None, truth)

    @property
    def _begins_seconds(self) -> float:
        placement = self._recipe.placement
        return math.inf if placement is None else placement.begins_seconds

    def _base(self, index: int) -> Pixels:
        """The world without an incident, at its time of day."""
        if self._still is not None:
            return self._still
        if self._calm is None:
            recipe = self._recipe
            self._calm = draw_scene(
                recipe.scene, recipe.seed, self._drawn_size, recipe.fps, recipe.seconds
            )
        return self._toned(self._calm.frame(index))

    def _toned(self, pixels: Pixels) -> Pixels:
        toned = self.light.tone(pixels)
        toned.setflags(write=False)
        return toned

    def _composed(self, pixels: Pixels, seconds: float) -> tuple[Pixels, FrameTruth]:
        if self._incident is None:
            return pixels, FrameTruth(seconds)
        return self._incident.compose(pixels, seconds)


def _made(recipe: Recipe) -> Incident:
    assert recipe.incident is not None  # it is asked for one
    assert recipe.placement is not None  # then it has a place
    make = make_twin if recipe.twin else make_incident
    return make(recipe.incident, recipe.seed, recipe.placement)


def _drive_of(recipe: Recipe) -> Scene | None:
    """The drive with the impact or the gentle stop; None for any other recipe."""
    if recipe.incident != "impact" or recipe.placement is None:
        return None
    at = recipe.placement.begins_seconds + BRAKING_SECONDS
    draw = drive_gentle_stop if recipe.twin else drive_impact
    try:
        return draw(recipe.seed, recipe.size, recipe.fps, recipe.seconds, at)
    except ValueError as error:
        raise SceneRefused(f"impact: {error}") from error


def _as_seen(truth: FrameTruth, seen: Pixels, untouched: Pixels) -> FrameTruth:
    """Take truth about the world through the camera: the pixels that differ, and no others."""
    mask: Mask = (seen != untouched).any(axis=2)
    if not mask.any():
        return FrameTruth(truth.time_seconds)
    return FrameTruth(truth.time_seconds, truth.kind, mask)
