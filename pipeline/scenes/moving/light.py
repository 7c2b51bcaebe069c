"""Light: time of day, a cloud that passes, lamps that flicker; each pixel for itself.

Nothing here looks at a pixel's neighbours: what an incident did not change before, it does not
change after.
"""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.noise import fractal
from edgewatch.pipeline.types import Pixels

Light = Literal["day", "dusk", "night", "cloud", "flicker"]
"""As it is; low warm light; a dark night; a cloud's shadow that passes; lamps beating with the
mains."""
LIGHTS: tuple[Light, ...] = ("day", "dusk", "night", "cloud", "flicker")

DARKNESS: Final[dict[Light, float]] = {
    "day": 0.0,
    "dusk": 0.45,
    "night": 1.0,
    "cloud": 0.1,
    "flicker": 0.1,
}
"""How much a sensor has to amplify, 0 to 1."""

_TINTS: Final[dict[Light, tuple[float, float, float, float]]] = {
    # Factors of red, green and blue, and the power that deepens shadows.
    "dusk": (0.74, 0.60, 0.52, 1.12),
    "night": (0.36, 0.39, 0.48, 1.2),
}
_CLOUD_DEPTH: Final = 0.32
_FLICKER_DEPTH: Final = 0.05


class Lighting:
    """One clip's light; the same seed gives the same."""

    def __init__(self, light: Light, seed: int, size: tuple[int, int]) -> None:
        """`size`: of the pictures, (width, height)."""
        rng = np.random.default_rng([seed, 51])
        self._light, self._size = light, size
        self._table = _table(*_TINTS[light]) if light in _TINTS else None
        self._sheet: npt.NDArray[np.float32] | None = None
        if light == "cloud":
            self._sheet = _cloud(rng, size)
            self._drift = float(rng.uniform(0.12, 0.3)) * size[0]
        self._beat_hz = float(rng.uniform(0.8, 2.0))
        self._phase = float(rng.uniform(0, 2 * np.pi))

    def tone(self, pixels: Pixels) -> Pixels:
        """Give a picture, uint8 RGB, the time of day: the steady part. What shines by itself is put
        into the picture afterwards."""
        if self._table is None:
            return pixels
        return np.asarray(cv2.LUT(pixels, self._table), np.uint8)

    def vary(self, pixels: Pixels, seconds: float) -> Pixels:
        """Give a picture, uint8 RGB, what changes with time: cloud and flicker."""
        if self._sheet is not None:
            width = self._size[0]
            left = round(self._drift * seconds) % width
            gain = np.ascontiguousarray(self._sheet[:, left : left + width])
            return _scaled(pixels, np.asarray(cv2.merge([gain, gain, gain]), np.float32))
        if self._light == "flicker":
            return _scaled(pixels, self._flicker(seconds))
        return pixels

    def _flicker(self, seconds: float) -> npt.NDArray[np.float32]:
        """Mains light sampled by a rolling shutter: a slow beat with bands that wander."""
        width, height = self._size
        rows = np.linspace(0, 1.5 * np.pi, height, dtype=np.float32)
        wave = 1 + _FLICKER_DEPTH * np.sin(2 * np.pi * self._beat_hz * seconds + self._phase + rows)
        column = wave.astype(np.float32)[:, None, None]
        return np.ascontiguousarray(np.broadcast_to(column, (height, width, 3)))


def _scaled(pixels: Pixels, gain: npt.NDArray[np.float32]) -> Pixels:
    return np.asarray(cv2.multiply(pixels, gain, dtype=cv2.CV_8U), np.uint8)


def _table(red: float, green: float, blue: float, power: float) -> npt.NDArray[np.uint8]:
    """Tone curve of each channel, uint8, shape (1, 256, 3)."""
    levels = (np.arange(256) / 255.0) ** power
    curves = np.stack([levels * red, levels * green, levels * blue], axis=-1)
    return np.rint(255 * curves).astype(np.uint8)[None]


def _cloud(rng: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Gain under a sky with clouds, twice as wide as the picture, going on at its edges."""
    width, height = size
    field = fractal(rng, max(2, height // 4), max(2, width // 4), cells=2, octaves=2)
    shade = 1 - _CLOUD_DEPTH / (1 + np.exp(-3 * field))
    large = cv2.resize(shade.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(np.tile(large, (1, 2)))
