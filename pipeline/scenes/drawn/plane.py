"""Plane: a flat painting (floor, wall, ground) put into the perspective of a fixed camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.sprite import Canvas

Paint = npt.NDArray[np.uint8]
Place = tuple[float, float, float]
"""Across, up, ahead in metres, as in `View`."""

FINE: Final = 2
"""Backgrounds are put together this much larger and averaged down: no stairs at edges."""


def corners_of(view: View, places: Sequence[Place]) -> npt.NDArray[np.float32]:
    """Project places; float32, shape (n, 2): x, y."""
    return np.array([(view.column(a, d), view.row(u, d)) for a, u, d in places], np.float32)


def lay(canvas: Canvas, painting: Paint, corners: npt.NDArray[np.float32]) -> None:
    """Put a painting into a quadrangle, in place; corners from the painting's top left, clockwise.

    The quadrangle may reach beyond the canvas.
    """
    height, width = painting.shape[:2]
    low = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)), (canvas.shape[1], canvas.shape[0])).astype(int)
    if (high <= low).any():
        return
    region = canvas[low[1] : high[1], low[0] : high[0]]
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    target = corners - low.astype(np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    size = (region.shape[1], region.shape[0])
    cv2.warpPerspective(
        painting,
        matrix,
        size,
        dst=region,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def fill(canvas: Canvas, corners: npt.NDArray[np.float32], colour: Sequence[float]) -> None:
    """Fill a convex shape, in place."""
    points = np.rint((corners - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(canvas, points, [float(c) for c in colour], cv2.LINE_AA, 4)


def reduced(canvas: Canvas) -> Canvas:
    """Average a fine canvas down to the picture's size."""
    height, width = canvas.shape[:2]
    small = cv2.resize(canvas, (width // FINE, height // FINE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def mottled(
    shape: tuple[int, int], colour: Sequence[float], field: npt.NDArray[np.float32], amount: float
) -> Paint:
    """Paint a surface of one colour, made uneven by a field (resized to it); uint8 RGB."""
    uneven = cv2.resize(field, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR) * amount
    tones = [np.clip(uneven + c, 0, 255) for c in colour]
    return np.asarray(cv2.merge(tones), np.float32).astype(np.uint8)
