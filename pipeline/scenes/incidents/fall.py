"""Fall: somebody walks in, falls and lies; the harmless twin squats slowly and gets up."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.figure import Clothes
from edgewatch.pipeline.scenes.incidents.course import Spot
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region
from edgewatch.pipeline.scenes.incidents.walk import (
    Entrance,
    Stance,
    paint_person,
    person_reach,
    tilt_of,
)

_COMES_PART: Final = 0.35
_COMES_SECONDS: Final = 3.0
_FALLS_SECONDS: Final = 0.75
_SITS_DOWN_SECONDS: Final = 1.5
_FADES_SECONDS: Final = 0.3
_SQUATS: Final = 0.62
"""How far somebody sits down where there is no seat."""


class _Person:
    """Somebody who comes to the foot by walking."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._clothes = Clothes.chosen(rng)
        self._tilt = tilt_of(placement)
        self._placement = placement
        takes = min(_COMES_SECONDS, _COMES_PART * placement.lasts_seconds)
        self.entrance = Entrance(placement, takes)

    def coming(self, age: float) -> Stance | None:
        """Give the stance on the way; None once arrived."""
        left = self.entrance.left(age)
        if left <= 0:
            return None
        phase = self.entrance.phase(age)
        return Stance(self._spot(age, left), "walking", phase, 1.0, self.entrance.heading)

    def there(self, age: float, pose: Stance) -> Stance:
        """Put a pose at the foot, facing the way that was walked."""
        phase = self.entrance.phase(self.entrance.arrives_seconds)
        return Stance(self._spot(age, 0.0), pose.pose, phase, pose.progress, self.entrance.heading)

    def paint(self, patch: Patch, stance: Stance) -> Light:
        onto = patch.before.copy()
        paint_person(onto, patch, stance, self._clothes, self._tilt)
        return onto

    def _spot(self, age: float, left: float) -> Spot:
        ending = (self._placement.lasts_seconds - age) / _FADES_SECONDS
        clear = self.entrance.clear(age) * min(1.0, max(0.0, ending))
        x = self.entrance.x_at(left)
        return Spot(x, self._placement.foot[1], self._placement.height, clear)


_NOWHERE: Final = Spot(0.0, 0.0, 0.0)


class Fall:
    """A person falls to the ground and does not get up; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._person = _Person(rng, placement)
        self._lasts = placement.lasts_seconds

    @property
    def lasts_seconds(self) -> float:
        """Age at which nobody lies there any more."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether the fall has begun."""
        return age_seconds >= self._person.entrance.arrives_seconds

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which the person is just now."""
        return person_reach(self._stance(age_seconds), shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the person."""
        return self._person.paint(patch, self._stance(age_seconds))

    def _stance(self, age: float) -> Stance:
        coming = self._person.coming(age)
        if coming is not None:
            return coming
        fallen = min(1.0, (age - self._person.entrance.arrives_seconds) / _FALLS_SECONDS)
        pose = Stance(_NOWHERE, "falling", progress=fallen)
        return self._person.there(age, pose)


class SitsDown:
    """A person squats slowly, rests and gets up; a `Drawing`, a harmless twin."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._person = _Person(rng, placement)
        self._lasts = placement.lasts_seconds
        stays = self._lasts - self._person.entrance.arrives_seconds
        self._down_seconds = min(_SITS_DOWN_SECONDS, 0.3 * stays)
        self._up_from = self._lasts - 0.12 * stays - self._down_seconds

    @property
    def lasts_seconds(self) -> float:
        """Age at which nobody is there any more."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which the person is just now."""
        return person_reach(self._stance(age_seconds), shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the person."""
        return self._person.paint(patch, self._stance(age_seconds))

    def _stance(self, age: float) -> Stance:
        coming = self._person.coming(age)
        if coming is not None:
            return coming
        since = age - self._person.entrance.arrives_seconds
        down = min(1.0, since / self._down_seconds)
        up = min(1.0, max(0.0, (age - self._up_from) / self._down_seconds))
        pose = Stance(_NOWHERE, "sitting", progress=_SQUATS * min(down, 1.0 - up))
        return self._person.there(age, pose)
