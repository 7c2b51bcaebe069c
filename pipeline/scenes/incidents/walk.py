"""Walk: how somebody comes into a fixed camera's picture and where the feet are by then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.cutout import contact_shadow
from edgewatch.pipeline.scenes.figure import Clothes, draw_figure
from edgewatch.pipeline.scenes.incidents.collage import lay, shadow
from edgewatch.pipeline.scenes.incidents.course import Spot
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of
from edgewatch.pipeline.scenes.posture import STRIDE_OF_HEIGHT, Pose

PERSON_METRES: Final = 1.75
ASPECT: Final = 16 / 9
"""Paces are measured in a picture of this shape; in others they are a little longer or shorter."""
_PACES: Final = (0.75, 2.0)
"""Slowest and fastest, strolling and running, in body heights a second."""
_APPEARS_SECONDS: Final = 0.4
_FALLEN_REACH: Final = 1.15
"""A body reaches so far from its feet, in its own heights."""


@dataclass(frozen=True, slots=True)
class Stance:
    """A person at a moment."""

    spot: Spot
    pose: Pose
    phase: float = 0.0
    progress: float = 1.0
    heading: float = 0.0


class Entrance:
    """Somebody walks from the nearer edge to a place, in time and at a pace that is human.

    If it is too far for that, who comes is seen from where the time allows: stepped into the light.
    """

    def __init__(self, placement: Placement, takes_seconds: float) -> None:
        x = placement.foot[0]
        self._from_left = x < 0.5
        height = max(placement.height, 0.01)
        outside = (min(x, 1.0 - x) * ASPECT + 0.5 * height) / height
        slow, fast = _PACES
        takes = max(0.3, takes_seconds)
        self.pace = min(fast, max(slow, outside / takes))
        self._way = min(max(outside, 0.5), self.pace * takes)
        self.arrives_seconds = self._way / self.pace
        self._steps_in = self._way >= outside
        self._x, self._height = x, height

    @property
    def heading(self) -> float:
        """Where the walker faces; see `figure.draw_figure`."""
        return 0.0 if self._from_left else math.pi

    def left(self, age_seconds: float) -> float:
        """How far it is still to go, in body heights; below 0 beyond the place."""
        return self._way - self.pace * age_seconds

    def x_at(self, left: float) -> float:
        """Give the column, in parts of the width, when so much is left to go."""
        return self._x + (-left if self._from_left else left) * self._height / ASPECT

    def phase(self, age_seconds: float) -> float:
        """Give the turn of the stride, so that the feet do not slide."""
        return stride(self.pace * age_seconds)

    def clear(self, age_seconds: float) -> float:
        """How much is to be seen of who did not come in over the edge."""
        return 1.0 if self._steps_in else min(1.0, age_seconds / _APPEARS_SECONDS)


def stride(heights: float) -> float:
    """Give the phase of a walk after so many body heights, in radians."""
    return 2 * math.pi * heights / STRIDE_OF_HEIGHT


def person_reach(stance: Stance, shape: tuple[int, int]) -> Region | None:
    """Tell what part of a picture a person and the shadow may touch; None if none."""
    (x, y), tall = stance.spot.foot_pixels(shape), stance.spot.height_pixels(shape)
    flat = stance.pose in ("falling", "lying")
    wide = (_FALLEN_REACH if flat else 0.55) * tall + 4
    return region_of(shape, x - wide, y - 1.12 * tall - 4, x + wide, y + 0.35 * tall + 4)


def paint_person(onto: Light, patch: Patch, stance: Stance, clothes: Clothes, tilt: float) -> None:
    """Draw a person and the shadow on the ground, in place."""
    tall = max(3.0, stance.spot.height_pixels(patch.shape))
    foot = stance.spot.foot_pixels(patch.shape)
    clear = stance.spot.clear
    down = stance.progress if stance.pose == "falling" else float(stance.pose == "lying")
    lies = 0.5 * tall * down * math.cos(stance.heading)
    across = (0.42 + 0.75 * down) * tall
    shade = contact_shadow((foot[0] + lies, foot[1]), across, (0.13 + 0.1 * down) * tall, 0.55)
    shadow(onto, patch, shade, clear)
    figure = draw_figure(
        tall,
        foot,
        stance.pose,
        phase=stance.phase,
        progress=stance.progress,
        heading=stance.heading,
        tilt=tilt,
        clothes=clothes,
    )
    lay(onto, patch, figure, clear)


def tilt_of(placement: Placement) -> float:
    """Tell how steeply the camera looks down at a place, in radians, from the rows below the
    horizon."""
    return float(np.clip(0.9 * (placement.foot[1] - placement.horizon), 0.05, 0.5))
