"""Foliage: the shadow of a tree beside the camera, moving in the wind over the ground."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.drawn.plane import corners_of
from edgewatch.pipeline.scenes.drawn.sensor import Shade
from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.noise import fractal

_PIXELS: Final = 256
_DARKEST: Final = 118
_LAYERS: Final = ((1.0, 0.9, 0.0), (0.75, 1.7, 1.9))
"""Of each: how far it swings, how fast, and its phase."""


class Foliage:
    """Two layers of leaves that swing apart, cast on the ground as one shadow."""

    def __init__(
        self, rng: np.random.Generator, view: View, size: tuple[int, int], side: float
    ) -> None:
        """Grow the tree on a side (-1 left, 1 right) for pictures of `size` (width, height)."""
        self._size = size
        self._phase = float(rng.uniform(0, 2 * np.pi))
        self._wind = float(rng.uniform(0.6, 1.5))
        near, far = sorted((side * 15.0, side * 0.8))
        places = [(near, 0.0, 26.0), (far, 0.0, 26.0), (far, 0.0, 7.8), (near, 0.0, 7.8)]
        target = corners_of(view, places) - 0.5
        edge = float(_PIXELS)
        source = np.array([(0, 0), (edge, 0), (edge, edge), (0, edge)], np.float32) - 0.5
        matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target)
        self._layers = [
            np.asarray(
                cv2.warpPerspective(_leaves(rng), matrix, size, borderValue=(255,)), np.uint8
            )
            for _ in _LAYERS
        ]
        # A metre where most of the shadow lies.
        self._metre = view.scale(13.0)

    def shade(self, seconds: float) -> Shade:
        """Give the shadow at a time: uint8, shape (height, width), 255 where there is none."""
        moved = []
        for layer, (reach, rate, phase) in zip(self._layers, _LAYERS, strict=True):
            turn = rate * seconds + phase + self._phase
            gust = 1.0 + 0.4 * np.sin(0.31 * seconds + self._phase)
            x = 0.09 * self._metre * self._wind * reach * gust * np.sin(turn)
            y = 0.03 * self._metre * self._wind * reach * gust * np.sin(1.37 * turn)
            matrix = np.array([(1.0, 0.0, x), (0.0, 1.0, y)], np.float32)
            moved.append(cv2.warpAffine(layer, matrix, self._size, borderMode=cv2.BORDER_REPLICATE))
        return np.asarray(cv2.min(moved[0], moved[1]), np.uint8)


def _leaves(rng: np.random.Generator) -> Shade:
    """Draw the crown's shadow from above: lumps and gaps, fading at the edges."""
    lumps = fractal(rng, _PIXELS, _PIXELS, cells=7, octaves=5, gain=0.62)
    place = np.linspace(-1, 1, _PIXELS, dtype=np.float32)
    inside = np.clip(1.25 - np.hypot(place[:, None], place[None, :]) * 1.35, 0, 1)
    cover = np.clip((lumps - 0.1) * 1.8, 0, 1) * np.clip(inside * 2, 0, 1)
    soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 1.2)
    return np.asarray(255.0 - (255 - _DARKEST) * soft, np.uint8)
