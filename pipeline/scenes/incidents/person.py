"""Person: somebody is on the road who must not be; the harmless twin walks on along the side."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.figure import Clothes
from edgewatch.pipeline.scenes.incidents.course import Approach, Spot
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region
from edgewatch.pipeline.scenes.incidents.walk import (
    ASPECT,
    PERSON_METRES,
    Entrance,
    Stance,
    paint_person,
    person_reach,
    stride,
    tilt_of,
)

_COMES_PART: Final = 0.35
_COMES_SECONDS: Final = 3.5
_WANDERS_HEIGHTS: Final = 1.4
_WANDER_PACE: Final = 0.6
_ON_ROAD_HEIGHTS: Final = 1.5
_FADES_SECONDS: Final = 0.3
_DRIVING_TILT: Final = 0.06
_CROSSES_METRES: Final = (0.5, 1.3)
"""How fast somebody crosses before a moving vehicle, in metres a second."""
_BESIDE_METRES: Final = (4.2, 5.5)
_WALKS_METRES: Final = 1.3


class PersonOnRoad:
    """Somebody walks to the foot and wanders about there; a `Drawing`.

    Before a moving vehicle, somebody crosses slowly.
    """

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._clothes = Clothes.chosen(rng)
        self._placement = placement
        self._approach: Approach | None = None
        self._tilt = tilt_of(placement)
        if placement.camera == "driving":
            self._approach = Approach(placement, PERSON_METRES)
            self._tilt = _DRIVING_TILT
        takes = min(_COMES_SECONDS, _COMES_PART * placement.lasts_seconds)
        self._entrance = Entrance(placement, takes)
        way = 1.0 if rng.random() < 0.5 else -1.0
        self._crossing_metres = way * float(rng.uniform(*_CROSSES_METRES))

    @property
    def lasts_seconds(self) -> float:
        """Age at which nobody is there any more."""
        return self._approach.lasts_seconds if self._approach else self._placement.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether the person is on the road by now."""
        if self._approach is not None:
            return age_seconds >= 0
        return self._entrance.left(age_seconds) <= _ON_ROAD_HEIGHTS

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which the person is just now."""
        return person_reach(self._stance(age_seconds), shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the person."""
        onto = patch.before.copy()
        paint_person(onto, patch, self._stance(age_seconds), self._clothes, self._tilt)
        return onto

    def _stance(self, age: float) -> Stance:
        if self._approach is not None:
            return self._crossing(self._approach, age)
        foot, height = self._placement.foot, self._placement.height
        clear = self._entrance.clear(age) * _fading(self.lasts_seconds - age)
        left = self._entrance.left(age)
        if left > 0:
            spot = Spot(self._entrance.x_at(left), foot[1], height, clear)
            return Stance(spot, "walking", self._entrance.phase(age), 1.0, self._entrance.heading)
        walked = _WANDER_PACE * (age - self._entrance.arrives_seconds)
        # On for a while and back again, like somebody who is lost.
        there, back = divmod(walked, _WANDERS_HEIGHTS)
        returning = bool(int(there) % 2)
        beyond = _WANDERS_HEIGHTS - back if returning else back
        spot = Spot(self._entrance.x_at(-beyond), foot[1], height, clear)
        heading = self._entrance.heading + (math.pi if returning else 0.0)
        phase = self._entrance.phase(self._entrance.arrives_seconds) + stride(walked)
        return Stance(spot, "walking", phase, 1.0, heading)

    def _crossing(self, approach: Approach, age: float) -> Stance:
        spot = approach.at(age)
        aside = self._crossing_metres * (age - approach.arrives_seconds)
        nearer = spot.height / self._placement.height
        spot = replace(spot, x=spot.x + aside * approach.metres_part * nearer)
        walked = abs(self._crossing_metres) * age / PERSON_METRES
        heading = 0.0 if self._crossing_metres > 0 else math.pi
        return Stance(spot, "walking", stride(walked), 1.0, heading)


class PasserBy:
    """Somebody walks on through the picture, along the side; a `Drawing`, a harmless twin."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._clothes = Clothes.chosen(rng)
        self._rightwards = bool(rng.random() < 0.5)
        self._tilt = tilt_of(placement)
        self._approach: Approach | None = None
        self._lasts = placement.lasts_seconds
        if placement.camera == "driving":
            side = 1.0 if self._rightwards else -1.0
            self._approach = Approach(
                placement, PERSON_METRES, across_metres=side * float(rng.uniform(*_BESIDE_METRES))
            )
            self._tilt = _DRIVING_TILT
            self._lasts = self._approach.lasts_seconds
        farther = float(rng.uniform(0.8, 0.95))
        below = max(0.02, placement.foot[1] - placement.horizon)
        self._row = placement.horizon + farther * below
        self._height = farther * placement.height
        self._way = (ASPECT + self._height) / max(self._height, 0.01)
        self._pace = min(1.6, max(0.75, self._way / max(0.5, self._lasts)))
        if self._approach is None:
            self._lasts = min(self._lasts, self._way / self._pace)

    @property
    def lasts_seconds(self) -> float:
        """Age at which the person has passed."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which the person is just now."""
        return person_reach(self._stance(age_seconds), shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the person."""
        onto = patch.before.copy()
        paint_person(onto, patch, self._stance(age_seconds), self._clothes, self._tilt)
        return onto

    def _stance(self, age: float) -> Stance:
        if self._approach is not None:
            phase = stride(_WALKS_METRES * age / PERSON_METRES)
            heading = -math.pi / 2 if self._rightwards else math.pi / 2
            return Stance(self._approach.at(age), "walking", phase, 1.0, heading)
        heights = self._pace * age
        x = (heights - 0.5) * self._height / ASPECT
        x, heading = (x, 0.0) if self._rightwards else (1.0 - x, math.pi)
        spot = Spot(x, self._row, self._height, _fading(self._lasts - age))
        return Stance(spot, "walking", stride(heights), 1.0, heading)


def _fading(left_seconds: float) -> float:
    return min(1.0, max(0.0, left_seconds / _FADES_SECONDS))
