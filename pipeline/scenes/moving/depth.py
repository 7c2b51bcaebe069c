"""Depth: how far away what a picture shows would be, were it a street between two rows of houses.

A still picture has no depth. Flat ground below the horizon and walls on both sides are a fair guess
for streets, yards and corridors, and they have a property that nothing else has: moving forward
changes no pixel's depth, so that a warp along them stays exact for any way travelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FOCAL_OF_WIDTH: Final = 0.8
"""Focal length in picture widths, as a usual dashboard or surveillance camera's: 64 degrees."""
_WALLS_METRES: Final = 9.0
_FARTHEST_METRES: Final = 150.0

Field = npt.NDArray[np.float32]
"""float32, shape (height, width)."""


@dataclass(frozen=True, slots=True)
class Street:
    """The guessed geometry of one picture."""

    size: tuple[int, int]
    """Width and height in pixels."""
    vanishing: tuple[float, float]
    """Vanishing point of the direction of travel in pixels; its row is the horizon."""
    camera_height_metres: float

    def nearness(self) -> Field:
        """1 / distance in 1/metres, for each pixel.

        Ground: row - horizon = focal * camera height / distance (pinhole over a plane).
        """
        width, height = self.size
        focal = FOCAL_OF_WIDTH * width
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        ground = (rows - self.vanishing[1]) / np.float32(focal * self.camera_height_metres)
        walls = np.abs(columns - self.vanishing[0]) / np.float32(focal * _WALLS_METRES)
        # The sky is far whatever stands at the sides.
        above = np.clip((self.vanishing[1] - rows) / np.float32(0.25 * height), 0, 1)
        walls = walls * (1 - 0.8 * above)
        nearest = np.maximum(np.maximum(ground, walls), 1 / _FARTHEST_METRES)
        return np.asarray(nearest, np.float32)
