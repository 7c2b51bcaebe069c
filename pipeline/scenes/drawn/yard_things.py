"""Yard things: small objects that stand about, as cutouts."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.drawn.plane import fill
from edgewatch.pipeline.scenes.sprite import Sprite

_LAMP_METRES: Final = (1.6, 5.2)
_BIN_METRES: Final = (0.8, 1.15)
_PIXELS_A_METRE: Final = 60.0


def lamp_cutout(foot: tuple[float, float], metre_pixels: float) -> Cutout:
    """A lamp post with its arm to the left."""
    return _placed(_lamp(), _LAMP_METRES, foot, metre_pixels)


def bin_cutout(foot: tuple[float, float], metre_pixels: float) -> Cutout:
    """A wheeled bin."""
    return _placed(_bin(), _BIN_METRES, foot, metre_pixels)


def _placed(
    sprite: Sprite,
    metres: tuple[float, float],
    foot: tuple[float, float],
    metre_pixels: float,
) -> Cutout:
    width, height = metres[0] * metre_pixels, metres[1] * metre_pixels
    left, top = foot[0] - width / 2, foot[1] - height
    first = (int(np.floor(left)) - 1, int(np.floor(top)) - 1)
    size = (int(np.ceil(width)) + 3, int(np.ceil(height)) + 3)
    layer = sprite.placed(size, left - first[0], top - first[1], width, height)
    return Cutout(layer, *first)


def _blank(metres: tuple[float, float]) -> tuple[int, int]:
    return round(metres[1] * _PIXELS_A_METRE), round(metres[0] * _PIXELS_A_METRE)


def _lamp() -> Sprite:
    height, width = _blank(_LAMP_METRES)
    alpha = np.zeros((height, width), np.float32)
    middle = width // 2
    alpha[10:, middle - 3 : middle + 3] = 1.0
    alpha[10:16, 8:middle] = 1.0
    alpha[14:20, 6:34] = 1.0
    rgb = np.full((height, width, 3), (92, 96, 100), np.uint8)
    rgb[:, middle + 1 :] = (62, 65, 68)
    rgb[17:20, 8:32] = (236, 232, 214)
    return Sprite(rgb, alpha)


def _bin() -> Sprite:
    height, width = _blank(_BIN_METRES)
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:] = (52, 74, 58)
    rgb[:, width // 2 :] = (40, 58, 46)
    rgb[: height // 6] = (70, 92, 76)
    rgb[round(0.9 * height) :] = (24, 24, 26)
    cover = np.zeros((height, width, 3), np.uint8)
    outline = [(0.02, 0.02), (0.98, 0.02), (0.98, 0.17), (0.92, 0.2), (0.84, 1.0), (0.16, 1.0)]
    corners = np.array([*outline, (0.08, 0.2), (0.02, 0.17)], np.float32) * (width, height)
    fill(cover, corners.astype(np.float32), (255, 255, 255))
    return Sprite(rgb, np.asarray(cover[..., 0] / np.float32(255), np.float32))
