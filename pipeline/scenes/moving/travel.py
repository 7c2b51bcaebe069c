"""Travel: a still as seen by a camera that drives on: it expands about the vanishing point."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.moving.depth import Field, Street
from edgewatch.pipeline.types import Pixels

CAMERA_HEIGHT_METRES: Final = 1.35
_MOST_GROWTH: Final = 2.0
"""The nearest ground is enlarged this much at the end: beyond that a still is only a blur."""
_FASTEST_MPS: Final = 2.5


class Travel:
    """Crawling traffic: a still cannot be driven through, only into, for a few metres.

    Going forward by d, what is at distance Z comes to Z - d: a pixel shows what lay at
    1 / (1 + d / Z) of its own way from the vanishing point.
    """

    def __init__(self, seed: int, street: Street, seconds: float) -> None:
        """`street`: geometry of the world picture; `seconds`: of the clip."""
        rng = np.random.default_rng([seed, 43])
        self._street = street
        self._nearness = street.nearness()
        width, height = street.size
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        self._aside: Field = columns - np.float32(street.vanishing[0])
        self._below: Field = rows - np.float32(street.vanishing[1])
        farthest = (_MOST_GROWTH - 1) / float(self._nearness[-1].max())
        self._speed = min(_FASTEST_MPS, farthest / max(seconds, 0.1))
        self._phase = float(rng.uniform(0, 2 * np.pi))

    def metres(self, seconds: float) -> float:
        """How far the camera has come; never back."""
        wavers = 0.25 * (np.sin(1.9 * seconds + self._phase) - np.sin(self._phase)) / 1.9
        return max(0.0, float(self._speed * (seconds + wavers)))

    def see(self, world: Pixels, seconds: float) -> Pixels:
        """Show a world picture, uint8 RGB, at a moment."""
        shrink = 1.0 / (1.0 + np.float32(self.metres(seconds)) * self._nearness)
        map_x = self._aside * shrink + np.float32(self._street.vanishing[0])
        map_y = self._below * shrink + np.float32(self._street.vanishing[1])
        seen = cv2.remap(world, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        return np.asarray(seen, np.uint8)
