"""Smoke: a plume of puffs that rise, grow, drift and thin out, at any moment of its life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.noise import Field, fractal

_TEXTURE_PIXELS: Final = 96
_TEXTURES: Final = 6


@dataclass(frozen=True, slots=True)
class Wind:
    """How the plume moves, in units of the plume's own scale (see `Smoke.layer`) a second."""

    rise: float
    drift: float


class Smoke:
    """A plume between two moments; puffs leave its source at a steady rate."""

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        begins_seconds: float,
        ends_seconds: float,
        puffs_per_second: float,
        life_seconds: float,
        wind: Wind,
        thickness: float,
    ) -> None:
        """`thickness`: optical depth in the middle of a young puff."""
        count = max(1, round((ends_seconds - begins_seconds) * puffs_per_second))
        self._born = np.sort(rng.uniform(begins_seconds, ends_seconds, count))
        # A fire starts small: the first puffs are thin.
        grown = np.clip((self._born - begins_seconds) / 1.5, 0.5, 1.0)
        self._thickness = thickness * grown * rng.uniform(0.6, 1.2, count)
        self._life = life_seconds * rng.uniform(0.75, 1.25, count)
        self._rise = wind.rise * rng.uniform(0.8, 1.2, count)
        self._drift = wind.drift * rng.uniform(0.7, 1.3, count)
        self._offset = rng.normal(0.0, 0.12, count)
        self._sway = rng.uniform(0.0, 2 * np.pi, count)
        self._radius = rng.uniform(0.16, 0.26, count)
        self._texture = rng.integers(_TEXTURES, size=count)
        self._textures = [_puff(rng) for _ in range(_TEXTURES)]

    @property
    def gone_seconds(self) -> float:
        """Moment after which nothing of the plume is left."""
        return float((self._born + self._life).max())

    def layer(
        self, shape: tuple[int, int], source: tuple[float, float], scale: float, at_seconds: float
    ) -> tuple[Field, Field]:
        """Draw the plume on an empty field.

        `shape`: (height, width); `source`: x, y in pixels; `scale`: pixels a unit of the plume,
        which rises and spreads over a few units. Returns cover 0 to 1, and light 0 (its shaded
        underside) to 1 (lit from above), both float32 of that shape.
        """
        depth = np.zeros(shape, np.float32)
        age = at_seconds - self._born
        for index in np.flatnonzero((age > 0) & (age < self._life)):
            self._add_puff(depth, int(index), float(age[index]), source, scale)
        cover = 1.0 - np.exp(-depth)
        body = cv2.GaussianBlur(depth, (0, 0), max(1.0, 0.07 * scale))
        above = np.roll(body, max(1, round(0.09 * scale)), axis=0)
        light = np.clip(0.55 + 0.9 * (body - above) / (body + 0.4), 0, 1)
        return np.asarray(cover, np.float32), np.asarray(light, np.float32)

    def _add_puff(
        self, depth: Field, index: int, age: float, source: tuple[float, float], scale: float
    ) -> None:
        part = age / float(self._life[index])
        slowed = (1.0 - np.exp(-0.5 * age)) / 0.5  # hot gas cools and rises more slowly
        sway = 0.10 * part * np.sin(self._sway[index] + 1.3 * age)
        x = source[0] + scale * (self._offset[index] + self._drift[index] * age + sway)
        y = source[1] - scale * self._rise[index] * slowed
        radius = scale * (self._radius[index] + 0.36 * slowed * (0.5 + self._radius[index]))
        thickness = self._thickness[index] * min(1.0, age / 0.3) * (1.0 - part) ** 1.3
        _add(depth, self._textures[self._texture[index]], x, y, radius, float(thickness))


def _add(depth: Field, puff: Field, x: float, y: float, radius: float, amount: float) -> None:
    """Add a puff to a field, placed to a part of a pixel and clipped."""
    height, width = depth.shape
    left, top = max(0, int(x - radius)), max(0, int(y - radius))
    right, bottom = min(width, int(x + radius) + 2), min(height, int(y + radius) + 2)
    if right <= left or bottom <= top:
        return
    step = 2.0 * radius / _TEXTURE_PIXELS
    matrix = np.array([(step, 0, x - radius - left), (0, step, y - radius - top)])
    size = (right - left, bottom - top)
    depth[top:bottom, left:right] += amount * np.asarray(cv2.warpAffine(puff, matrix, size))


def _puff(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Draw one ragged ball, 0 at its rim."""
    place = np.linspace(-1, 1, _TEXTURE_PIXELS, dtype=np.float32)
    distance = np.hypot(place[None, :], place[:, None])
    ragged = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=3, octaves=5, gain=0.62)
    ball = np.clip(1.0 - distance, 0, 1) ** 1.2
    return np.asarray(np.clip(ball * (1.0 + 0.65 * ragged), 0, None) * (distance < 1), np.float32)
