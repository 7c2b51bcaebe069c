"""Vehicle: one comes in and stops where it must not; the harmless twin passes through."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from edgewatch.pipeline.scenes.car import Car
from edgewatch.pipeline.scenes.cutout import Cutout, contact_shadow
from edgewatch.pipeline.scenes.drawn.bodywork import COLOURS, Colour, Painting, front, front_cabin
from edgewatch.pipeline.scenes.drawn.bodywork import rear as rear_of
from edgewatch.pipeline.scenes.drawn.vehicle import HATCHBACK, VAN, Body
from edgewatch.pipeline.scenes.incidents.collage import lay, shadow
from edgewatch.pipeline.scenes.incidents.course import Approach, Spot
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Drawing, Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of
from edgewatch.pipeline.scenes.incidents.walk import ASPECT, tilt_of
from edgewatch.pipeline.scenes.sprite import Sprite

_COMES_PART: Final = 0.3
_COMES_SECONDS: Final = (0.8, 3.0)
_PASSES_SECONDS: Final = (1.2, 3.5)
_FADES_SECONDS: Final = 0.3
_BLINKS_HERTZ: Final = 1.5
_ONCOMING_METRES: Final = 3.4
_ONCOMING_SPEED_METRES: Final = 9.0
_TILTED_REACH: Final = 0.35
"""Seen from above a vehicle takes up more rows than it is tall, by this part of its length."""


def stopped_vehicle(rng: np.random.Generator, placement: Placement) -> Drawing:
    """A vehicle drives in, brakes and stands at the foot.

    From a moving vehicle it stands on the road ahead with its hazard lights on.
    """
    colour, body = _chosen(rng)
    if placement.camera == "driving":
        return _EndOn(colour, body, Approach(placement, body.height_metres), "rear", amiss=True)
    return _Stopping(_Passing(colour, body, placement, rightwards=placement.foot[0] < 0.5))


def passing_vehicle(rng: np.random.Generator, placement: Placement) -> Drawing:
    """A vehicle drives through the picture without stopping, the harmless twin.

    To a moving vehicle it is oncoming traffic on its own side of the road.
    """
    colour, body = _chosen(rng)
    if placement.camera == "driving":
        approach = Approach(
            placement,
            body.height_metres,
            across_metres=-_ONCOMING_METRES,
            own_speed_metres=_ONCOMING_SPEED_METRES,
        )
        return _EndOn(colour, body, approach, "front", amiss=False)
    rightwards = bool(rng.random() < 0.5)
    return _PassingThrough(_Passing(colour, body, placement, rightwards=rightwards))


class _Stopping:
    """Brakes evenly from the edge to the foot, and stays; a `Drawing`."""

    def __init__(self, side: _Passing) -> None:
        self._side, self._placement = side, side.placement
        least, most = _COMES_SECONDS
        self._takes = min(most, max(least, _COMES_PART * self.lasts_seconds))

    @property
    def lasts_seconds(self) -> float:
        return self._placement.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        return age_seconds >= self._takes

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        return self._side.reach(shape, self._spot(age_seconds))

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        return self._side.paint(patch, self._spot(age_seconds))

    def _spot(self, age: float) -> Spot:
        left = max(0.0, 1.0 - age / self._takes) ** 2
        clear = min(1.0, max(0.0, (self.lasts_seconds - age) / _FADES_SECONDS))
        (x, y), outside = self._placement.foot, self._side.outside
        return Spot(x + (outside - x) * left, y, self._placement.height, clear)


class _PassingThrough:
    """Drives from edge to edge at an even speed; a `Drawing`."""

    def __init__(self, side: _Passing) -> None:
        self._side, self._placement = side, side.placement
        least, most = _PASSES_SECONDS
        wanted = max(least, 0.8 * self._placement.lasts_seconds)
        self._lasts = min(most, wanted, self._placement.lasts_seconds)

    @property
    def lasts_seconds(self) -> float:
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        return self._side.reach(shape, self._spot(age_seconds))

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        return self._side.paint(patch, self._spot(age_seconds))

    def _spot(self, age: float) -> Spot:
        outside = self._side.outside
        x = outside + (1.0 - 2 * outside) * age / self._lasts
        return Spot(x, self._placement.foot[1], self._placement.height)


class _Passing:
    """A vehicle seen from the side by a fixed camera."""

    def __init__(self, colour: Colour, body: Body, placement: Placement, *, rightwards: bool):
        self._body = body
        self._tilt = tilt_of(placement)
        self._car = Car(colour, "side", leftwards=not rightwards, tilt=self._tilt, body=body)
        half = 0.6 * body.length_metres / body.height_metres * placement.height / ASPECT
        self.outside = -half if rightwards else 1.0 + half
        self.placement = placement

    def reach(self, shape: tuple[int, int], spot: Spot) -> Region | None:
        (x, y), metre = spot.foot_pixels(shape), self._metre(shape, spot)
        half = 0.62 * self._body.length_metres * metre + 4
        deep = _TILTED_REACH * self._body.length_metres * metre + 4
        top = y - self._body.height_metres * metre - deep
        return region_of(shape, x - half, top, x + half, y + deep)

    def paint(self, patch: Patch, spot: Spot) -> Light:
        onto = patch.before.copy()
        foot, metre = spot.foot_pixels(patch.shape), self._metre(patch.shape, spot)
        shadow(onto, patch, self._car.shadow(foot, metre, 0.75), spot.clear)
        lay(onto, patch, self._car.cutout(foot, metre), spot.clear)
        return onto

    def _metre(self, shape: tuple[int, int], spot: Spot) -> float:
        return max(2.0, spot.height_pixels(shape)) / self._body.height_metres


class _EndOn:
    """A vehicle on the road ahead of a moving one, from behind or the front; a `Drawing`."""

    def __init__(
        self,
        colour: Colour,
        body: Body,
        approach: Approach,
        end: Literal["rear", "front"],
        *,
        amiss: bool,
    ) -> None:
        self._amiss = amiss
        tall = body is VAN
        self._body, self._approach, self._end = body, approach, end
        if end == "rear":
            self._pictures = [
                Sprite(*rear_of(colour, lights, tall=tall)) for lights in ("off", "hazard")
            ]
        else:
            face = _over(front_cabin(colour, tall=tall), front(colour, tall=tall))
            self._pictures = [Sprite(*face)]

    @property
    def lasts_seconds(self) -> float:
        return self._approach.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        return self._amiss

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        left, top, width, height = self._box(shape, age_seconds)
        rim = 0.2 * height + 4
        return region_of(shape, left - rim, top - rim, left + width + rim, top + height + 1.5 * rim)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        onto = patch.before.copy()
        left, top, width, height = self._box(patch.shape, age_seconds)
        clear = self._approach.at(age_seconds).clear
        foot = (left + width / 2, top + height - 0.01 * height)
        shadow(onto, patch, contact_shadow(foot, 1.2 * width, 0.2 * height, 0.75), clear)
        lit = self._end == "rear" and (age_seconds * _BLINKS_HERTZ) % 1.0 < 0.5
        picture = self._pictures[1 if lit else 0]
        # Only as much as the patch takes: near by it is larger than the picture.
        region = patch.region
        columns, rows = region.shape[1] + 8, region.shape[0] + 8
        placed = picture.placed(
            (columns, rows), left - region.left + 4, top - region.top + 4, width, height
        )
        lay(onto, patch, Cutout(placed, region.left - 4, region.top - 4), clear)
        return onto

    def _box(self, shape: tuple[int, int], age: float) -> tuple[float, float, float, float]:
        spot = self._approach.at(age)
        (x, y), height = spot.foot_pixels(shape), max(2.0, spot.height_pixels(shape))
        width = height * self._body.width_metres / self._body.height_metres
        return x - width / 2, y - height, width, height


def _chosen(rng: np.random.Generator) -> tuple[Colour, Body]:
    colour = COLOURS[int(rng.integers(len(COLOURS)))]
    return colour, VAN if rng.random() < 0.3 else HATCHBACK


def _over(behind: Painting, before: Painting) -> Painting:
    """Lay one painting over another of the same size."""
    (far_rgb, far_alpha), (near_rgb, near_alpha) = behind, before
    cover = near_alpha[..., None]
    alpha = near_alpha + far_alpha * (1.0 - near_alpha)
    mixed = near_rgb * cover + far_rgb * far_alpha[..., None] * (1.0 - cover)
    rgb = np.clip(mixed / np.maximum(alpha, 1e-3)[..., None], 0, 255)
    return rgb.astype(np.uint8), alpha.astype(np.float32)
