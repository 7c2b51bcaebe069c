"""Plume: smoke that grows from a foot and spreads; its harmless twin is a puff of steam."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.incidents.course import Course, course_of
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.mixing import mixed, tripled
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of
from edgewatch.pipeline.scenes.incidents.smoke import Smoke, Wind

_TALL_METRES: Final = 3.0
_SCALES_TALL: Final = 2.4
"""How many of its own scales a plume rises before it is thin."""
_PUFFS_PER_SECOND: Final = 16.0
_WIND_REACHES: Final = (-1.1, 3.2)
"""Against and along the wind, in scales; beyond there is next to nothing of it."""
_RISES: Final = 4.2


class Plume:
    """Dark smoke from one place; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        side = 1.0 if rng.random() < 0.5 else -1.0
        self._smoke = Smoke(
            rng,
            begins_seconds=-0.05,
            ends_seconds=placement.lasts_seconds,
            puffs_per_second=_PUFFS_PER_SECOND,
            life_seconds=4.6,
            wind=Wind(rise=1.6, drift=side * float(rng.uniform(0.15, 0.4))),
            thickness=2.2,
        )
        self._side = side
        self._course: Course = course_of(placement, _TALL_METRES)
        fades = placement.camera == "fixed"
        self._lasts = self._smoke.gone_seconds if fades else self._course.lasts_seconds
        self._tone = (float(rng.uniform(0.08, 0.18)), float(rng.uniform(0.28, 0.42)))

    @property
    def lasts_seconds(self) -> float:
        """Age at which the last puff is gone."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is smoke: always."""
        return age_seconds >= 0

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part that the plume may fill by now."""
        return _reach(self._course, shape, age_seconds, self._side)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the plume as dark as smoke is in this light."""
        return _painted(patch, self._smoke, self._course, age_seconds, self._tone)


class Steam:
    """A pale puff that rises, spreads and clears; the harmless twin of smoke, a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        side = 1.0 if rng.random() < 0.5 else -1.0
        blows = min(2.2, 0.4 * placement.lasts_seconds)
        self._smoke = Smoke(
            rng,
            begins_seconds=-0.05,
            ends_seconds=blows,
            puffs_per_second=_PUFFS_PER_SECOND,
            life_seconds=max(1.0, min(3.2, 0.55 * placement.lasts_seconds)),
            wind=Wind(rise=2.0, drift=side * float(rng.uniform(0.3, 0.6))),
            thickness=2.2,
        )
        self._side = side
        self._course: Course = course_of(placement, _TALL_METRES)

    @property
    def lasts_seconds(self) -> float:
        """Age at which the air is clear again."""
        return min(self._smoke.gone_seconds, self._course.lasts_seconds)

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part that the steam may fill by now."""
        return _reach(self._course, shape, age_seconds, self._side)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the steam, nearly as white as the picture's white."""
        return _painted(patch, self._smoke, self._course, age_seconds, (0.60, 0.40))


def _reach(
    course: Course, shape: tuple[int, int], age_seconds: float, side: float
) -> Region | None:
    spot = course.at(age_seconds)
    (x, y), scale = spot.foot_pixels(shape), spot.height_pixels(shape) / _SCALES_TALL
    against, along = (side * reach for reach in _WIND_REACHES)
    left, right = min(against, along), max(against, along)
    return region_of(
        shape, x + left * scale, y - _RISES * scale, x + right * scale, y + 0.7 * scale
    )


def _painted(
    patch: Patch, smoke: Smoke, course: Course, age_seconds: float, tone: tuple[float, float]
) -> Light:
    """Mix the plume in. `tone`: albedo of its underside, and how much the light adds."""
    spot = course.at(age_seconds)
    scale = max(1.0, spot.height_pixels(patch.shape) / _SCALES_TALL)
    foot = patch.region.inside(spot.foot_pixels(patch.shape))
    source = (foot[0], foot[1] - 0.08 * scale)
    cover, light = smoke.layer(patch.region.shape, source, scale, age_seconds)
    cover *= _rim(patch.region, patch.shape, scale) * np.float32(0.96 * spot.clear)
    look = patch.look
    span = (look.white - look.black).astype(np.float32)
    grey = np.float32(look.white.mean() - look.black.mean())
    air = (0.7 * grey + 0.3 * span).astype(np.float32)  # smoke takes on little of a colour cast
    albedo = np.float32(tone[0]) + np.float32(tone[1]) * light
    colour = look.black + tripled(albedo.astype(np.float32)) * air
    return mixed(patch.before, colour, cover)


def _rim(region: Region, shape: tuple[int, int], scale: float) -> Light:
    """Fade out towards the region's inner edges, so that nothing is cut off."""
    depth = max(2.0, 0.35 * scale)
    down = np.arange(region.top, region.bottom, dtype=np.float32)[:, None]
    across = np.arange(region.left, region.right, dtype=np.float32)[None, :]
    rim = np.ones(region.shape, np.float32)
    if region.top > 0:
        rim *= np.clip((down - region.top) / depth, 0, 1)
    if region.left > 0:
        rim *= np.clip((across - region.left) / depth, 0, 1)
    if region.right < shape[1]:
        rim *= np.clip((region.right - 1 - across) / depth, 0, 1)
    return rim
