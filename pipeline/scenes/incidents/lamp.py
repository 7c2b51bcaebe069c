"""Lamp: light that changes and means nothing; the harmless twin of flame and fire."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.incidents.course import Course, course_of
from edgewatch.pipeline.scenes.incidents.firelight import bell
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.mixing import mixed, tripled
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of

_TALL_METRES: Final = 1.6
_SWITCH_SECONDS: Final = 0.12
_CLOUD_SECONDS: Final = 1.2
_GAIN: Final = 0.5


class Lamp:
    """A lamp that is switched on, or sun that breaks through, and a pool of light; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._course: Course = course_of(placement, _TALL_METRES)
        self._sun = bool(rng.random() < 0.5)
        self._warm = np.array((1.0, 0.9, 0.72) if self._sun else (1.0, 0.95, 0.86), np.float32)
        self._drift_hertz = float(rng.uniform(0.25, 0.6))
        self._phase = float(rng.uniform(0, 2 * np.pi))

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is dark again."""
        return self._course.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part that the light reaches."""
        spot = self._course.at(age_seconds)
        (x, y), tall = spot.foot_pixels(shape), spot.height_pixels(shape)
        return region_of(shape, x - 2.2 * tall, y - 1.5 * tall, x + 2.2 * tall, y + 1.3 * tall)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the pool of light, and the lamp over it."""
        spot = self._course.at(age_seconds)
        tall = max(2.0, spot.height_pixels(patch.shape))
        foot = patch.region.inside(spot.foot_pixels(patch.shape))
        amount = self._brightness(age_seconds) * spot.clear
        # A pool has a rim, firelight has none.
        pool = np.clip(2.2 * bell(patch.before.shape, foot, 1.1 * tall)[..., 0] - 0.25, 0, 1)
        # Bright ground gains most, and nothing gets brighter than white.
        gain = (255.0 - patch.before) * (patch.before + 12.0)
        gain *= tripled(pool * np.float32(_GAIN * amount / 128.0)) * self._warm
        picture = patch.before + gain
        if self._sun:
            return np.asarray(picture, np.float32)
        head = (foot[0], foot[1] - 0.95 * tall)
        core = 1.4 * bell(patch.before.shape, head, 0.11 * tall, flat=0.8)
        halo = 0.35 * bell(patch.before.shape, head, 0.4 * tall, flat=1.0)
        cover = np.clip(np.float32(amount) * (core + halo), 0, 1)[..., 0]
        white = np.broadcast_to(255.0 * self._warm, picture.shape).astype(np.float32)
        return mixed(picture, white, cover)

    def _brightness(self, age: float) -> float:
        """0 (off) to 1; a lamp stutters when it starts, clouds take their time."""
        left = self.lasts_seconds - age
        if self._sun:
            edge = min(1.0, age / _CLOUD_SECONDS, left / _CLOUD_SECONDS)
            sway = 0.8 + 0.2 * np.sin(2 * np.pi * self._drift_hertz * age + self._phase)
            return float(max(0.0, edge) * sway)
        stutter = 0.15 if 0.22 < age < 0.36 or 0.5 < age < 0.56 else 1.0
        return float(max(0.0, min(1.0, age / _SWITCH_SECONDS, left / _SWITCH_SECONDS)) * stutter)
