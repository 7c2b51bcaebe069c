"""Noise: seeded textures for surfaces and clouds, and the grain of a sensor."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float32]
"""float32, shape (height, width)."""

_GRAIN_SHEETS = 4


def fractal(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    cells: int,
    octaves: int,
    gain: float = 0.5,
) -> Field:
    """Sum octaves of smooth noise that tiles in both directions; zero mean, unit deviation.

    `cells`: features along the longer side in the first octave; each octave has twice as many, and
    `gain` times the amplitude.
    """
    total = np.zeros((height, width), np.float32)
    longer = max(height, width)
    amplitude = 1.0
    for octave in range(octaves):
        count = cells << octave
        if count > longer:
            break
        rows = min(height, max(2, round(count * height / longer)))
        columns = min(width, max(2, round(count * width / longer)))
        grid = rng.standard_normal((rows, columns), np.float32)
        total += amplitude * _tile_resized(grid, height, width)
        amplitude *= gain
    total -= total.mean()
    return total / max(float(total.std()), 1e-6)


def _tile_resized(grid: Field, height: int, width: int) -> Field:
    """Enlarge a grid as if it went on for ever, so that opposite edges meet."""
    rows, columns = grid.shape
    pad = 2
    wrapped = np.pad(grid, pad, mode="wrap")
    row = (np.arange(height, dtype=np.float32) + 0.5) * (rows / height) - 0.5 + pad
    column = (np.arange(width, dtype=np.float32) + 0.5) * (columns / width) - 0.5 + pad
    map_x = np.ascontiguousarray(np.broadcast_to(column, (height, width)))
    map_y = np.ascontiguousarray(np.broadcast_to(row[:, None], (height, width)))
    return np.asarray(cv2.remap(wrapped, map_x, map_y, cv2.INTER_CUBIC), np.float32)


class Grain:
    """Sensor noise: a few sheets drawn once, shifted anew for each picture.

    Luma noise with a little colour, standard deviation `sigma` in 8-bit steps.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], sigma: float) -> None:
        width, height = size
        self._margin = 32
        shape = (_GRAIN_SHEETS, height + self._margin, width + self._margin)
        luma = rng.standard_normal(shape, np.float32)
        colour = rng.standard_normal((*shape, 3), np.float32)
        # In place: millions of numbers, of which every copy costs as much as drawing them.
        colour *= np.float32(0.5)
        luma *= np.float32(0.85)
        colour += luma[..., None]
        colour *= np.float32(sigma)
        np.rint(colour, out=colour)
        np.clip(colour, -127, 127, out=colour)
        self._sheets = colour.astype(np.int16)
        self._size = size

    def sheet(self, rng: np.random.Generator) -> npt.NDArray[np.int16]:
        """Give the noise of one picture, int16, shape (height, width, 3)."""
        which = int(rng.integers(_GRAIN_SHEETS))
        top, left = rng.integers(self._margin, size=2)
        width, height = self._size
        return self._sheets[which, top : top + height, left : left + width]
