"""A moving camera over a picture that is larger than what it shows: sways, turns, is driven."""

from __future__ import annotations

import cv2
import numpy as np

from edgewatch.pipeline.scenes.moving.depth import Street
from edgewatch.pipeline.scenes.moving.path import Matrix, Motion, Path
from edgewatch.pipeline.scenes.moving.travel import CAMERA_HEIGHT_METRES, Travel
from edgewatch.pipeline.types import Pixels


class MovingCamera:
    """Looks at a world picture; the same seed looks the same way at any time, in any order.

    The *world* is a still or a drawn picture with a margin around what is shown. What is put into
    the world before `see` goes through the same warp as the world itself.
    """

    def __init__(
        self, motion: Motion, seed: int, size: tuple[int, int], seconds: float, *, horizon: float
    ) -> None:
        """`size`: of the pictures, (width, height); `seconds`: of the clip; `horizon`: its row in
        parts of the height."""
        self._size = size
        self._path = Path(motion, seed, size, seconds)
        self._travel: Travel | None = None
        if motion == "drive":
            width, height = self._path.world_size
            row = self._path.margin[1] + horizon * size[1]
            street = Street((width, height), (0.5 * (width - 1), row), CAMERA_HEIGHT_METRES)
            self._travel = Travel(seed, street, seconds)

    @property
    def world_size(self) -> tuple[int, int]:
        """Width and height that a world picture must have."""
        return self._path.world_size

    def matrix(self, seconds: float) -> Matrix:
        """Map of the world to the picture at a time (before what travelling adds)."""
        return self._path.matrix(seconds)

    def travelled_metres(self, seconds: float) -> float | None:
        """How far the camera has been driven; None if it is not."""
        return None if self._travel is None else self._travel.metres(seconds)

    def see(self, world: Pixels, seconds: float) -> Pixels:
        """Show a world, uint8 RGB of `world_size`, at a time."""
        if self._travel is not None:
            world = self._travel.see(world, seconds)
        picture = cv2.warpAffine(
            world,
            self.matrix(seconds),
            self._size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return np.asarray(picture, np.uint8)


def fitted(still: Pixels, size: tuple[int, int]) -> Pixels:
    """Cut the middle of a still, uint8 RGB, to the shape of `size` (width, height); scale it."""
    width, height = size
    rows, columns = still.shape[:2]
    if columns * height > rows * width:
        kept = max(1, round(rows * width / height))
        left = (columns - kept) // 2
        still = still[:, left : left + kept]
    else:
        kept = max(1, round(columns * height / width))
        top = (rows - kept) // 2
        still = still[top : top + kept]
    shrinks = still.shape[0] > height
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    scaled = cv2.resize(np.ascontiguousarray(still), size, interpolation=how)
    return np.asarray(scaled, np.uint8)
