"""Blaze: an open flame that grows, flickers and lights its surroundings."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.incidents.course import Course, course_of
from edgewatch.pipeline.scenes.incidents.firelight import bell, charred, lit
from edgewatch.pipeline.scenes.incidents.flame import Flame
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of

_TALL_METRES: Final = 1.6
_GROWS_SECONDS: Final = 1.6
_DIES_SECONDS: Final = 1.0


class Blaze:
    """A flame on the ground; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._flame = Flame(rng)
        self._course: Course = course_of(placement, _TALL_METRES)
        # Flames pulse at a few hertz: three beats between 5 and 12 that are no multiples.
        self._beats_hertz = np.array([5.3, 7.9, 11.3]) * float(rng.uniform(0.95, 1.05))
        self._phases = rng.uniform(0, 2 * np.pi, 3)
        self._driving = placement.camera == "driving"

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is burnt down."""
        return self._course.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether it burns: always."""
        return age_seconds >= 0

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part that flame and light may reach."""
        spot = self._course.at(age_seconds)
        (x, y), tall = spot.foot_pixels(shape), spot.height_pixels(shape)
        return region_of(shape, x - 1.9 * tall, y - 1.3 * tall, x + 1.9 * tall, y + 1.1 * tall)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw light on the ground, the flame and its glow."""
        spot = self._course.at(age_seconds)
        tall = max(2.0, spot.height_pixels(patch.shape))
        foot = patch.region.inside(spot.foot_pixels(patch.shape))
        strength = self._strength(age_seconds) * spot.clear
        beat = self._flicker(age_seconds)
        # The darker it is, the farther a fire's light carries.
        dark = 1.0 - float(np.clip(patch.before.mean() / 120.0, 0, 1))
        thrown = strength * beat * (0.8 + 1.6 * dark)
        picture = lit(patch.before, foot, 0.8 * tall, thrown)
        glow = np.array((70.0, 32.0, 8.0), np.float32) * np.float32(dark * strength * beat)
        picture = picture + glow * bell(patch.before.shape, foot, 0.8 * tall)
        picture = charred(picture, foot, tall, min(1.0, age_seconds / 2.0) * strength)
        size = tall * strength * (0.93 + 0.14 * (beat - 0.5))
        amount = min(1.0, 2.0 * strength)
        self._flame.burn(picture, foot, max(1.5, size), age_seconds, amount, patch.look.colourful)
        return picture

    def _strength(self, age: float) -> float:
        """Height over time, 1 when it burns well; from a moving vehicle it burns already."""
        if self._driving:
            return 1.0
        grown = 0.3 + 0.7 * min(1.0, age / _GROWS_SECONDS)
        dying = min(1.0, max(0.0, (self.lasts_seconds - age) / _DIES_SECONDS))
        return grown * dying

    def _flicker(self, age: float) -> float:
        beats = np.sin(2 * np.pi * self._beats_hertz * age + self._phases)
        return float(0.85 + 0.15 * (beats @ np.array((0.5, 0.35, 0.25))))
