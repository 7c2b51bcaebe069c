"""Path: where a camera that cannot be walked away with looks, moment by moment.

A camera on its pole sways, one on a motor pans and zooms, one in a hand shakes. Each is an affine
map of the world picture, which is larger than what is shown by a margin all around.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

MARGIN: Final = 0.08
"""Of the picture's width and height, drawn beyond each edge, so that no motion shows a border."""

Motion = Literal["none", "sway", "ptz", "handheld", "drive"]
"""How the camera moves: not at all; in the wind; turned and zoomed by a motor; carried; driven."""
MOTIONS: tuple[Motion, ...] = ("none", "sway", "ptz", "handheld", "drive")

Matrix = npt.NDArray[np.float64]
"""float64, shape (2, 3): x, y of the world picture to x, y of the picture, in pixels."""

_WAVES: Final = 7


@dataclass(frozen=True, slots=True)
class _Habit:
    """How far a camera strays, in parts of the margin, degrees, and parts of the zoom."""

    across: float
    down: float
    turn_degrees: float
    rates_hz: tuple[float, float]
    trembles: float = 0.0
    """Fast part of the shift, in parts of the margin."""


_HABITS: dict[Motion, _Habit] = {
    "none": _Habit(0.0, 0.0, 0.0, (1.0, 1.0)),
    "sway": _Habit(0.05, 0.05, 0.10, (0.15, 0.8), trembles=0.008),
    "ptz": _Habit(0.01, 0.01, 0.02, (0.3, 1.0)),
    "handheld": _Habit(0.55, 0.55, 0.9, (0.2, 2.6), trembles=0.03),
    "drive": _Habit(0.06, 0.10, 0.25, (0.4, 2.2), trembles=0.02),
}


class Path:
    """A camera's way over the world picture; the same seed goes the same way at any rate."""

    def __init__(self, motion: Motion, seed: int, size: tuple[int, int], seconds: float) -> None:
        """`size`: of the picture shown, width and height in pixels; `seconds`: of the clip."""
        rng = np.random.default_rng([seed, 41])
        self._size, self._habit = size, _HABITS[motion]
        self._waves = [_Wave(rng, self._habit.rates_hz) for _ in range(3)]
        self._trembling = [_Wave(rng, (7.0, 13.0)) for _ in range(2)]
        self._turned = _Turn(rng, seconds) if motion == "ptz" else None

    @property
    def world_size(self) -> tuple[int, int]:
        """Width and height of the world picture in pixels."""
        across, down = self.margin
        return self._size[0] + 2 * across, self._size[1] + 2 * down

    @property
    def margin(self) -> tuple[int, int]:
        """Pixels beyond the left and the upper edge, as beyond the others."""
        return round(MARGIN * self._size[0]), round(MARGIN * self._size[1])

    def matrix(self, seconds: float) -> Matrix:
        """Where the camera looks at a time, as the map from world to picture."""
        habit, (across, down) = self._habit, self.margin
        shift_x = across * (
            habit.across * self._waves[0].at(seconds)
            + habit.trembles * self._trembling[0].at(seconds)
        )
        shift_y = down * (
            habit.down * self._waves[1].at(seconds)
            + habit.trembles * self._trembling[1].at(seconds)
        )
        zoom = 1.0
        if self._turned is not None:
            part_x, part_y, zoom = self._turned.at(seconds)
            shift_x += 0.9 * across * part_x
            shift_y += 0.9 * down * part_y
        turn = np.deg2rad(habit.turn_degrees) * self._waves[2].at(seconds)
        return self._about_centre(float(turn), zoom, float(shift_x), float(shift_y))

    def _about_centre(self, turn: float, zoom: float, shift_x: float, shift_y: float) -> Matrix:
        """Turn and zoom about the centre of the world, then shift into the picture."""
        cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
        world_x, world_y = (0.5 * (side - 1) for side in self.world_size)
        centre_x, centre_y = (0.5 * (side - 1) for side in self._size)
        linear = np.array([(cosine, sine), (-sine, cosine)])
        offset = np.array([centre_x + shift_x, centre_y + shift_y]) - linear @ (world_x, world_y)
        return np.column_stack([linear, offset])


class _Wave:
    """Smooth noise of a band, -1 to 1: a sum of sines (low-pass noise that needs no past)."""

    def __init__(self, rng: np.random.Generator, rates_hz: tuple[float, float]) -> None:
        self._rates = rng.uniform(*rates_hz, _WAVES)
        self._phases = rng.uniform(0, 2 * np.pi, _WAVES)
        # Slow parts are the larger ones, as of a hand or a pole.
        weights = 1.0 / np.maximum(self._rates, 0.1)
        self._weights = weights / weights.sum()

    def at(self, seconds: float) -> float:
        swings = np.sin(2 * np.pi * self._rates * seconds + self._phases)
        return float(self._weights @ swings)


class _Turn:
    """A motor's way: it rests, turns and zooms to the next view, and rests."""

    def __init__(self, rng: np.random.Generator, seconds: float) -> None:
        starts = float(rng.uniform(0.15, 0.5)) * seconds
        takes = float(rng.uniform(1.0, 2.2))
        self._times = (0.0, starts, starts + takes, max(seconds, starts + takes + 0.1))
        here = rng.uniform(-0.4, 0.4, 2)
        there = np.clip(here + rng.choice((-1.0, 1.0), 2) * rng.uniform(0.5, 0.8, 2), -1, 1)
        zoom = float(rng.uniform(1.0, 1.35))
        self._views = (np.append(here, 1.0), np.append(there, zoom))

    def at(self, seconds: float) -> tuple[float, float, float]:
        part = float(np.interp(seconds, self._times, (0.0, 0.0, 1.0, 1.0)))
        eased = part * part * (3 - 2 * part)
        shift_x, shift_y, zoom = self._views[0] + eased * (self._views[1] - self._views[0])
        return float(shift_x), float(shift_y), float(zoom)
