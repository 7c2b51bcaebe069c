"""Cutout: a layer with transparency and its place, ready to be laid over a picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgewatch.pipeline.scenes.sprite import Canvas, Haze, Layer, blend

CLEAR = Haze((0.0, 0.0, 0.0), 0.0)
"""No haze at all."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """A layer (uint8 RGBA, colour times alpha) whose top left pixel lies at (left, top)."""

    layer: Layer
    left: int
    top: int

    def paste(self, canvas: Canvas, haze: Haze = CLEAR) -> None:
        """Lay it over a canvas, in place; what is outside is cut off."""
        box = self._within(canvas)
        if box is not None:
            rows, columns, part = box
            blend(canvas[rows, columns], part, haze)

    def cast(self, foot_y: float, slant: float, length: float, darkness: float) -> Cutout:
        """Give the shadow that it casts on the ground, as a cutout to be pasted before it.

        `slant`: columns to the right a row of height; `length`: rows down (towards the viewer;
        negative: away) a row of height; `darkness` 0 to 1.
        """
        height, width = self.layer.shape[:2]
        foot = foot_y - self.top
        ups = np.array([foot, foot - height])
        lefts, rows = self.left + np.minimum(0, slant * ups), foot_y + length * ups
        left = int(np.floor(lefts.min())) - 1
        top = int(np.floor(rows.min())) - 1
        right = int(np.ceil((self.left + width + np.maximum(0, slant * ups)).max())) + 1
        bottom = int(np.ceil(rows.max())) + 1
        # A point (x, y) of the layer lies `foot - y` rows up; it goes to where its shadow falls.
        matrix = np.array(
            [
                (1.0, -slant, self.left + slant * foot - left),
                (0.0, -length, foot_y + length * foot - top),
            ]
        )
        size = (max(1, right - left), max(1, bottom - top))
        alpha = cv2.warpAffine(cv2.extractChannel(self.layer, 3), matrix, size)
        soft = cv2.convertScaleAbs(cv2.blur(alpha, (3, 2)), alpha=darkness)
        layer = np.zeros((*soft.shape, 4), np.uint8)
        layer[..., 3] = soft
        return Cutout(layer, left, top)

    def mirrored(self, foot_y: float, strength: float) -> Cutout:
        """Give its image in a glossy floor, blurred, `strength` 0 to 1 of what it is."""
        upside_down = cv2.flip(self.layer, 0)
        soft = cv2.convertScaleAbs(cv2.blur(upside_down, (3, 7)), alpha=strength)
        # A row so far above the foot is seen as far below it.
        top = round(2 * foot_y - (self.top + self.layer.shape[0]))
        return Cutout(np.asarray(soft, np.uint8), self.left, top)

    def _within(self, canvas: Canvas) -> tuple[slice, slice, Layer] | None:
        height, width = self.layer.shape[:2]
        top, left = max(0, self.top), max(0, self.left)
        bottom = min(canvas.shape[0], self.top + height)
        right = min(canvas.shape[1], self.left + width)
        if bottom <= top or right <= left:
            return None
        part = self.layer[top - self.top : bottom - self.top, left - self.left : right - self.left]
        return slice(top, bottom), slice(left, right), part


def contact_shadow(
    foot: tuple[float, float], across: float, deep: float, darkness: float = 0.6
) -> Cutout:
    """Darken the ground where something stands: a soft ellipse, `across` x `deep` pixels."""
    reach_x, reach_y = max(1.5, across / 2), max(1.0, deep / 2)
    left, top = int(np.floor(foot[0] - reach_x)) - 1, int(np.floor(foot[1] - reach_y)) - 1
    width, height = int(2 * reach_x) + 4, int(2 * reach_y) + 4
    x = (np.arange(width, dtype=np.float32) + 0.5 + left - foot[0]) / reach_x
    y = (np.arange(height, dtype=np.float32) + 0.5 + top - foot[1]) / reach_y
    near = np.clip(1.0 - (x * x)[None, :] - (y * y)[:, None], 0.0, 1.0)
    layer = np.zeros((height, width, 4), np.uint8)
    layer[..., 3] = np.rint(255.0 * darkness * near)
    return Cutout(layer, left, top)
