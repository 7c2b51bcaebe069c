"""Course: where a thing stands in the picture over time, and how large it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from edgewatch.pipeline.scenes.incidents.incident import Placement

_FOCAL_HEIGHTS: Final = 1.0
"""Focal length of a vehicle's camera, in heights of the picture (53 degrees from top to bottom)."""
_ASPECT: Final = 16 / 9
_VANISHING_COLUMN: Final = 0.5
_FURTHEST_METRES: Final = 60.0
_SPEEDS_METRES: Final = (6.0, 17.0)
"""Slowest and fastest drive towards a thing, in metres a second."""
_LARGEST: Final = 5.0
"""Nearer than a fifth of the distance at its place, a thing is beside or below the camera."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Foot (x, y) and height in parts of the picture's width, height and height."""

    x: float
    y: float
    height: float
    clear: float = 1.0
    """How much of it is to be seen, 0 to 1: what is far fades in, it does not pop up."""

    def foot_pixels(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Give the foot in pixels, x and y, in a picture of `shape` (height, width)."""
        return self.x * shape[1], self.y * shape[0]

    def height_pixels(self, shape: tuple[int, int]) -> float:
        """Give the height in pixels."""
        return self.height * shape[0]


class Course(Protocol):
    """Where a thing is."""

    @property
    def lasts_seconds(self) -> float:
        """Age from which on it is out of sight."""

    def at(self, age_seconds: float) -> Spot:
        """Tell where it is."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A fixed camera sees it at one place."""

    placement: Placement

    @property
    def lasts_seconds(self) -> float:
        """As long as the placement says."""
        return self.placement.lasts_seconds

    def at(self, age_seconds: float) -> Spot:
        """Tell where it is: always there."""
        return Spot(*self.placement.foot, self.placement.height)


class Approach:
    """A moving vehicle comes nearer to it at an even speed, until it is passed.

    The ground is a plane: distance is the inverse of the rows below the horizon, so foot, size
    and place all grow away from the vanishing point by one factor. It is at the placement's foot
    and height at about the end of its time, then it is driven past.
    """

    def __init__(
        self,
        placement: Placement,
        tall_metres: float,
        *,
        across_metres: float | None = None,
        own_speed_metres: float = 0.0,
    ) -> None:
        """`across_metres`: beside the middle of the road, instead of where the foot says;
        `own_speed_metres`: what it drives towards the camera, a second."""
        self._horizon = placement.horizon
        self._below = max(0.02, placement.foot[1] - placement.horizon)
        self._height = placement.height
        self._nearest = _FOCAL_HEIGHTS * tall_metres / max(placement.height, 0.01)
        way = max(_FURTHEST_METRES, 1.6 * self._nearest) - self._nearest
        slow, fast = (speed + own_speed_metres for speed in _SPEEDS_METRES)
        self._speed = min(fast, max(slow, way / placement.lasts_seconds))
        self._arrives = min(placement.lasts_seconds, way / self._speed)
        aside = placement.foot[0] - _VANISHING_COLUMN
        if across_metres is not None:
            aside = across_metres * _FOCAL_HEIGHTS / (self._nearest * _ASPECT)
        self._aside = aside

    @property
    def metres_part(self) -> float:
        """Parts of the picture's width that a metre is at the nearest place."""
        return _FOCAL_HEIGHTS / (self._nearest * _ASPECT)

    @property
    def arrives_seconds(self) -> float:
        """Age at which it is at its place and height."""
        return self._arrives

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is driven past."""
        return self._arrives + (1 - 1 / _LARGEST) * self._nearest / self._speed

    def at(self, age_seconds: float) -> Spot:
        """Tell where it is: on the line from the vanishing point through its place."""
        ahead = self._nearest + self._speed * (self._arrives - age_seconds)
        nearer = self._nearest / max(ahead, self._nearest / _LARGEST)
        return Spot(
            _VANISHING_COLUMN + self._aside * nearer,
            self._horizon + self._below * nearer,
            self._height * nearer,
            clear=min(1.0, age_seconds / 0.5),
        )


def course_of(placement: Placement, tall_metres: float) -> Course:
    """Give the course of a thing that does not move by itself, `tall_metres` high."""
    if placement.camera == "driving":
        return Approach(placement, tall_metres)
    return Standing(placement)
