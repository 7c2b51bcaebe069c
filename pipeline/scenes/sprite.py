"""Sprite: a picture with transparency that is put on a canvas at any size, without flicker."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Canvas = npt.NDArray[np.uint8]
"""uint8 RGB, shape (height, width, 3), written in place."""
Layer = npt.NDArray[np.uint8]
"""uint8 RGBA with colour times alpha, shape (height, width, 4)."""

_LARGE_PIXELS = 8000
_BANDS = 8

Corners = npt.NDArray[np.float32]
"""float32, shape (4, 2): x, y of top left, top right, bottom right, bottom left."""


@dataclass(frozen=True, slots=True)
class Haze:
    """Distance as colour: `amount` 0 (clear) to 1 (gone) of `colour`."""

    colour: tuple[float, float, float]
    amount: float


class Sprite:
    """A picture with alpha and its halved copies, so that small ones do not shimmer."""

    def __init__(self, rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.float32]) -> None:
        """Take uint8 RGB (height, width, 3) and alpha 0 to 1 (height, width)."""
        whole = np.dstack([rgb * alpha[..., None], alpha * 255.0])
        self._levels: list[Layer] = [np.rint(whole).astype(np.uint8)]
        while min(self._levels[-1].shape[:2]) >= 6:
            height, width = self._levels[-1].shape[:2]
            half = cv2.resize(
                self._levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA
            )
            self._levels.append(np.asarray(half, np.uint8))

    def paste(
        self, canvas: Canvas, left: float, top: float, width: float, height: float, haze: Haze
    ) -> None:
        """Draw the sprite upright into the box, clipped to the canvas."""
        box = _clipped(canvas, left, top, left + width, top + height)
        if box is None:
            return
        layer = self.placed(box.size, left - box.left, top - box.top, width, height)
        _blend_opaque(canvas[box.rows, box.columns], layer, haze)

    def placed(
        self, size: tuple[int, int], left: float, top: float, width: float, height: float
    ) -> Layer:
        """Give a layer of `size` (width, height) with the sprite drawn upright into the box."""
        level = self._level(width, height)
        across, down = width / level.shape[1], height / level.shape[0]
        # Half a pixel: places are edges, matrices map centres of pixels.
        matrix = np.array(
            [
                (across, 0.0, left + 0.5 * across - 0.5),
                (0.0, down, top + 0.5 * down - 0.5),
            ]
        )
        return np.asarray(cv2.warpAffine(level, matrix, size), np.uint8)

    def warp(self, canvas: Canvas, corners: Corners, haze: Haze) -> None:
        """Draw the sprite into a convex quadrangle, clipped to the canvas."""
        low, high = corners.min(axis=0), corners.max(axis=0)
        box = _clipped(canvas, float(low[0]), float(low[1]), float(high[0]), float(high[1]))
        if box is None:
            return
        level = self._level(float(high[0] - low[0]), float(high[1] - low[1]))
        rows, columns = level.shape[:2]
        source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32) - 0.5
        target = corners - np.array([box.left, box.top], np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
        layer = cv2.warpPerspective(level, matrix, box.size)
        blend(canvas[box.rows, box.columns], np.asarray(layer, np.uint8), haze)

    def _level(self, width: float, height: float) -> Layer:
        """Pick the smallest copy that is still at least about as large as the target."""
        for level in reversed(self._levels):
            if level.shape[0] >= 0.8 * height and level.shape[1] >= 0.8 * width:
                return level
        return self._levels[0]


@dataclass(frozen=True, slots=True)
class _Box:
    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        return self.right - self.left, self.bottom - self.top

    @property
    def rows(self) -> slice:
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        return slice(self.left, self.right)


def _clipped(canvas: Canvas, left: float, top: float, right: float, bottom: float) -> _Box | None:
    """Give the pixels of the canvas that a box touches, with one more around; None without any."""
    box = _Box(
        max(0, math.floor(left) - 1),
        max(0, math.floor(top) - 1),
        min(canvas.shape[1], math.ceil(right) + 1),
        min(canvas.shape[0], math.ceil(bottom) + 1),
    )
    return box if box.right > box.left and box.bottom > box.top else None


def _blend_opaque(region: Canvas, layer: Layer, haze: Haze) -> None:
    """Blend, and in large layers only where there is anything: poles are mostly empty."""
    rows, columns = layer.shape[:2]
    if rows * columns < _LARGE_PIXELS:
        blend(region, layer, haze)
        return
    alpha = cv2.extractChannel(layer, 3)
    band = -(-rows // _BANDS)
    for top in range(0, rows, band):
        seen = np.flatnonzero(cv2.reduce(alpha[top : top + band], 0, cv2.REDUCE_MAX)[0])
        if seen.size:
            part = np.s_[top : top + band, int(seen[0]) : int(seen[-1]) + 1]
            blend(region[part], layer[part], haze)


def blend(region: Canvas, layer: Layer, haze: Haze) -> None:
    """Put a layer over a region of the same size, in place."""
    clear = 1.0 - haze.amount
    red, green, blue = (haze.amount * channel / 255.0 for channel in haze.colour)
    into_haze = np.array([(clear, 0, 0, red), (0, clear, 0, green), (0, 0, clear, blue)])
    colour = cv2.transform(layer, into_haze)
    see_through = cv2.bitwise_not(cv2.extractChannel(layer, 3))
    behind = cv2.multiply(region, cv2.cvtColor(see_through, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    cv2.add(behind, colour, dst=region)
