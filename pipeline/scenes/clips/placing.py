"""Placing: where in a scene, how large and when an incident happens."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.drawn.ride import BRAKING_SECONDS
from edgewatch.pipeline.scenes.drawn.table import camera_kind, height_at, horizon, places
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement
from edgewatch.pipeline.scenes.truth import IncidentKind

PERSONS_TALL: Final = MappingProxyType[IncidentKind, float](
    {
        "stopped_vehicle": 0.9,
        "debris": 0.4,
        "person_on_road": 1.0,
        "fall": 1.0,
        "smoke": 1.1,
        "flame": 0.9,
        "fire": 0.9,
    }
)
"""Heights in those of a standing person at the same place."""
_FLOOD_RISES: Final = 0.3
_EARLIEST, _LATEST = 0.2, 0.65
"""Of the clip: before there is something normal to compare with, after it something to see."""
_PERSON_METRES: Final = 1.75
_CAMERA_METRES: Final[MappingProxyType[CameraKind, float]] = MappingProxyType(
    {"driving": 1.35, "fixed": 4.0}
)
"""Height of the camera above the ground: tells how tall things are on a still's ground."""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where things can stand in a picture, and how tall a person is there."""

    camera: CameraKind
    horizon: float
    scene: str = ""
    """A drawn scene's name; empty: a still, whose ground is guessed from the horizon."""

    @classmethod
    def of_scene(cls, name: str) -> Ground:
        """The ground of a drawn scene. Raises SceneRefused."""
        return cls(camera_kind(name), horizon(name), name)

    def some_foot(self, rng: np.random.Generator) -> tuple[float, float]:
        """Choose a place, and stray from it a little."""
        if self.scene:
            known = places(self.scene)
            x, y = known[int(rng.integers(len(known)))]
            return x + float(rng.uniform(-0.02, 0.02)), y + float(rng.uniform(-0.015, 0.015))
        below = 1.0 - self.horizon
        return float(rng.uniform(0.3, 0.7)), self.horizon + below * float(rng.uniform(0.45, 0.75))

    def person_at(self, foot: tuple[float, float]) -> float:
        """Height of a standing person, in parts of the picture's height."""
        if self.scene:
            return height_at(self.scene, foot)
        below = max(0.02, foot[1] - self.horizon)
        return below * _PERSON_METRES / _CAMERA_METRES[self.camera]


def place_incident(
    kind: IncidentKind,
    ground: Ground,
    seed: int,
    seconds: float,
    *,
    begins_seconds: float | None = None,
    foot: tuple[float, float] | None = None,
    height: float | None = None,
) -> Placement:
    """Place an incident in a clip of `seconds`; what is not given is drawn from the seed.

    The begin is uniform over the middle of the clip (a fixed one could be learnt), and it lasts
    until the clip ends. An impact begins when the car ahead brakes, so early that it is seen.
    """
    rng = np.random.default_rng([seed, 31])
    latest = _LATEST * seconds
    if kind == "impact":
        latest = max(0.0, min(latest, seconds - BRAKING_SECONDS - 0.5))
    drawn = float(rng.uniform(min(_EARLIEST * seconds, latest), latest))
    begins = round(drawn, 3) if begins_seconds is None else begins_seconds
    some_foot = ground.some_foot(rng)
    stands = foot or (round(some_foot[0], 4), round(some_foot[1], 4))
    if height is None:
        tall = PERSONS_TALL.get(kind)
        height = _FLOOD_RISES if tall is None else tall * ground.person_at(stands)
        height = round(min(0.9, height), 4)
    lasts = max(0.1, seconds - begins) + 1.0
    return Placement(begins, lasts, stands, height, ground.camera, ground.horizon)
