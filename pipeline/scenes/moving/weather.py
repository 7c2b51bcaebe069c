"""Weather: rain, snow and fog in front of the scene; each pixel for itself, as `light`."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.moving.depth import Street
from edgewatch.pipeline.scenes.noise import fractal
from edgewatch.pipeline.types import Pixels

Weather = Literal["clear", "rain", "snow", "fog"]
WEATHERS: tuple[Weather, ...] = ("clear", "rain", "snow", "fog")

Veil = npt.NDArray[np.uint8]
"""uint8, shape (height, width): how much of the scene is hidden, 0 to 255."""

_STREAKS: Final = 420
"""In a sheet of 640 x 360 pixels; of each of the layers."""
_FLAKES: Final = 260
_FOG_TONE: Final = 196
_FOG_PER_METRE: Final = 0.022


class Falling:
    """One clip's weather; the same seed gives the same."""

    def __init__(
        self, weather: Weather, seed: int, street: Street, *, brightness: float = 1.0
    ) -> None:
        """`street`: geometry, for fog; `brightness` 0 to 1: daylight that drops and fog reflect."""
        rng = np.random.default_rng([seed, 61])
        self._size = street.size
        self._layers: list[_Layer] = []
        self._veils: tuple[Veil, Veil] | None = None
        self._tone = round(_FOG_TONE * brightness)
        if weather == "rain":
            self._layers = [_rain_layer(rng, street.size, near) for near in (0.5, 1.0)]
            self._tone = round(205 * brightness)
        elif weather == "snow":
            self._layers = [_snow_layer(rng, street.size, near) for near in (0.4, 0.7, 1.2)]
            self._tone = round(236 * brightness)
        elif weather == "fog":
            self._veils = _fog_veil(rng, street), _fog_veil(rng, street)

    def in_front_of(self, pixels: Pixels, seconds: float) -> Pixels:
        """Put the weather before a picture, uint8 RGB; the same picture if it is clear."""
        for layer in self._layers:
            pixels = _veiled(pixels, layer.veil(self._size, seconds), self._tone)
        if self._veils is not None:
            share = 0.5 + 0.5 * float(np.sin(0.7 * seconds))
            mixed = cv2.addWeighted(self._veils[0], share, self._veils[1], 1 - share, 0)
            pixels = _veiled(pixels, np.asarray(mixed, np.uint8), self._tone)
        return pixels


class _Layer:
    """A sheet of drops that moves, and comes again at the other side."""

    def __init__(self, sheet: Veil, velocity: tuple[float, float]) -> None:
        self._sheet, self._velocity = sheet, velocity

    def veil(self, size: tuple[int, int], seconds: float) -> Veil:
        height, width = self._sheet.shape
        left = round(-self._velocity[0] * seconds) % width
        top = round(-self._velocity[1] * seconds) % height
        turned = np.roll(self._sheet, (-top, -left), (0, 1))
        return np.ascontiguousarray(turned[: size[1], : size[0]])


def _veiled(pixels: Pixels, veil: Veil, tone: int) -> Pixels:
    """Mix each pixel with grey of `tone`, as much as the veil says."""
    hides = cv2.merge([veil, veil, veil])
    through = cv2.multiply(pixels, cv2.bitwise_not(hides), scale=1 / 255)
    return np.asarray(cv2.add(through, cv2.convertScaleAbs(hides, alpha=tone / 255)), np.uint8)


def _count(many: int, size: tuple[int, int]) -> int:
    return max(4, round(many * size[0] * size[1] / (640 * 360)))


def _rain_layer(rng: np.random.Generator, size: tuple[int, int], near: float) -> _Layer:
    """Streaks of a shutter time; nearer ones are longer, faster and fainter."""
    width, height = size[0] + 37, size[1] + 53
    sheet = np.zeros((height, width), np.uint8)
    length = 0.075 * size[1] * near
    slant = float(rng.uniform(-0.18, 0.18))
    for _ in range(_count(_STREAKS, size)):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        long = length * float(rng.uniform(0.6, 1.4))
        bright = int(rng.integers(28, 80))
        start = (round(16 * x), round(16 * y))
        end = (round(16 * (x + slant * long)), round(16 * (y + long)))
        cv2.line(sheet, start, end, bright, 1, cv2.LINE_AA, shift=4)
    speed = 3.2 * size[1] * near
    return _Layer(sheet, (slant * speed, speed))


def _snow_layer(rng: np.random.Generator, size: tuple[int, int], near: float) -> _Layer:
    width, height = size[0] + 41, size[1] + 59
    sheet = np.zeros((height, width), np.uint8)
    radius = 0.0045 * size[1] * near
    for _ in range(_count(round(_FLAKES / near), size)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        across = max(0.6, radius * float(rng.uniform(0.6, 1.5)))
        bright = int(rng.integers(110, 230))
        centre = (round(16 * float(x)), round(16 * float(y)))
        cv2.circle(sheet, centre, round(16 * across), bright, -1, cv2.LINE_AA, shift=4)
    sheet = np.asarray(cv2.GaussianBlur(sheet, (3, 3), 0.7), np.uint8)
    fall = 0.33 * size[1] * near
    return _Layer(sheet, (float(rng.uniform(-0.5, 0.5)) * fall, fall))


def _fog_veil(rng: np.random.Generator, street: Street) -> Veil:
    """Beer-Lambert: what is seen through fog falls off by distance; uneven, as fog is."""
    width, height = street.size
    uneven = fractal(rng, max(2, height // 4), max(2, width // 4), cells=3, octaves=2)
    uneven = np.asarray(cv2.resize(uneven, (width, height)), np.float32)
    metres = np.minimum(1 / street.nearness(), 120.0)
    thick = _FOG_PER_METRE * np.clip(1 + 0.22 * uneven, 0.3, 2)
    return np.asarray(np.rint(255 * (1 - np.exp(-thick * metres))), np.uint8)
