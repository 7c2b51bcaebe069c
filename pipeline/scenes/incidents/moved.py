"""Moved: the camera is knocked and looks elsewhere; its harmless twin swings back."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.grain import difference
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels

_SHIFTS: Final = (0.05, 0.22)
"""Least and most that the picture shifts, in parts of its height."""
_TURNS_RADIANS: Final = 0.16
_SWING_HERTZ: Final = 5.5
_SWING_SECONDS: Final = 0.16
_BUMP_SECONDS: Final = 0.9
_BACK_SECONDS: Final = 0.25
_EXPOSURE_SECONDS: Final = 0.012
_BLUR_SAMPLES: Final = 3

Way = npt.NDArray[np.float64]
"""float64, shape (3,): x and y in parts of the picture's height, turn in radians."""


class Moved:
    """The picture jumps to another place, in one or two knocks, swings, and stays there."""

    def __init__(
        self,
        rng: np.random.Generator,
        placement: Placement,
        *,
        kind: IncidentKind | None = "moved",
    ) -> None:
        """`kind` None: a bump, after which the camera looks where it looked before."""
        self._kind = kind
        self._begins = placement.begins_seconds
        lasts = placement.lasts_seconds
        self._lasts = lasts if kind else min(lasts, _BUMP_SECONDS)
        least, most = _SHIFTS
        reach = float(np.clip(placement.height, least, most)) * float(rng.uniform(0.8, 1.2))
        turn = float(rng.uniform(0, 2 * np.pi))
        tilt = float(rng.uniform(0.3, 1.0)) * _TURNS_RADIANS * (1 if rng.random() < 0.5 else -1)
        whole = np.array((np.cos(turn) * reach, np.sin(turn) * reach, tilt * reach / most))
        first = float(rng.uniform(0.45, 1.0))
        self._knocks = [(0.0, whole * first)]
        if first < 0.8 and lasts > 1.5:
            self._knocks.append((float(rng.uniform(0.4, 0.9)), whole * (1.0 - first)))

    @property
    def kind(self) -> IncidentKind | None:
        """What it is; None for a bump."""
        return self._kind

    @property
    def begins_seconds(self) -> float:
        """Media time of the first changed picture, at the earliest."""
        return self._begins

    @property
    def ends_seconds(self) -> float:
        """Media time from which on the camera looks where it looked before."""
        return self._begins + self._lasts

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Show the picture as the knocked camera sees it; what it cannot know is mirrored in."""
        age = time_seconds - self._begins
        if age < 0 or time_seconds >= self.ends_seconds:
            return pixels, FrameTruth(time_seconds)
        ways = [self._way(max(0.0, age + late)) for late in self._exposure()]
        if float(np.ptp(ways, axis=0)[:2].max()) * pixels.shape[0] < 0.75:
            ways = ways[:1]
        if float(np.abs(ways).max()) * pixels.shape[0] < 0.2:
            return pixels, FrameTruth(time_seconds)
        seen = [_looked(pixels, way) for way in ways]
        composed = seen[0] if len(seen) == 1 else _mean(seen)
        mask = difference(composed, pixels)
        if not mask.any():
            return pixels, FrameTruth(time_seconds)
        composed.setflags(write=False)
        mask.setflags(write=False)
        return composed, FrameTruth(time_seconds, self._kind, mask)

    def _exposure(self) -> list[float]:
        return [_EXPOSURE_SECONDS * part / (_BLUR_SAMPLES - 1) for part in range(_BLUR_SAMPLES)]

    def _way(self, age: float) -> Way:
        """Tell how far off the camera looks."""
        way = np.zeros(3)
        for at, knock in self._knocks:
            since = age - at
            if since >= 0:
                way = way + knock * self._swing(since)
        if self._kind is None:
            return way
        left = (self._lasts - age) / min(_BACK_SECONDS, 0.3 * self._lasts)
        return way * min(1.0, max(0.0, left))

    def _swing(self, since: float) -> float:
        """Give the mount's answer to a knock: a damped oscillation."""
        fades = float(np.exp(-since / _SWING_SECONDS))
        swing = fades * float(np.cos(2 * np.pi * _SWING_HERTZ * since))
        if self._kind is not None:
            return 1.0 - 0.75 * swing
        ends = min(1.0, max(0.0, (self._lasts - since) / (0.3 * self._lasts)))
        return (1.25 * swing if since > 0 else 1.0) * ends


def _mean(pictures: list[Pixels]) -> Pixels:
    """Give what an exposure sees that lasts over all of them."""
    total = np.zeros(pictures[0].shape, np.uint16)
    for picture in pictures:
        total += picture
    return np.asarray((total + len(pictures) // 2) // len(pictures), np.uint8)


def _looked(pixels: Pixels, way: Way) -> Pixels:
    height, width = pixels.shape[:2]
    cosine, sine = float(np.cos(way[2])), float(np.sin(way[2]))
    middle_x, middle_y = 0.5 * (width - 1), 0.5 * (height - 1)
    matrix = np.array(
        [
            (cosine, -sine, middle_x - cosine * middle_x + sine * middle_y + way[0] * height),
            (sine, cosine, middle_y - sine * middle_x - cosine * middle_y + way[1] * height),
        ]
    )
    return np.asarray(
        cv2.warpAffine(
            pixels,
            matrix,
            (width, height),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT_101,
        ),
        np.uint8,
    )
