"""Collage: cut-out pictures laid into a patch, in its light, as soft as the footage is."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.overlay import Patch

_OWN_BLUR_PIXELS: Final = 0.5
"""How soft the edges of a cut-out are before."""


def lay(onto: Light, patch: Patch, cutout: Cutout, clear: float = 1.0) -> None:
    """Lay a cutout over `onto`, the patch being drawn, in place; what is outside is cut off.

    `clear` 0 to 1: how much of it is to be seen.
    """
    blur = max(0.0, patch.look.blur_pixels**2 - _OWN_BLUR_PIXELS**2) ** 0.5
    rim = 1 + int(np.ceil(2.5 * blur))
    height, width = cutout.layer.shape[:2]
    top, left = cutout.top - rim - patch.region.top, cutout.left - rim - patch.region.left
    rows = slice(max(0, top), min(onto.shape[0], top + height + 2 * rim))
    columns = slice(max(0, left), min(onto.shape[1], left + width + 2 * rim))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    padded = cv2.copyMakeBorder(cutout.layer, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
    if blur > 0.2:
        padded = cv2.GaussianBlur(padded, (0, 0), blur)
    part = padded[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    layer = part.astype(np.float32) * np.float32(clear / 255.0)
    cover = layer[..., 3:]
    # Colours are multiplied by their cover already: black must be, too.
    surface = patch.look.lit(layer[..., :3]) - patch.look.black * (1.0 - cover)
    onto[rows, columns] = onto[rows, columns] * (1.0 - cover) + surface


def shadow(onto: Light, patch: Patch, cutout: Cutout, clear: float = 1.0) -> None:
    """Darken `onto` by a cutout's cover alone, in place: shadows take light, they add none."""
    height, width = cutout.layer.shape[:2]
    top, left = cutout.top - patch.region.top, cutout.left - patch.region.left
    rows = slice(max(0, top), min(onto.shape[0], top + height))
    columns = slice(max(0, left), min(onto.shape[1], left + width))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return
    part = cutout.layer[
        rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, 3:
    ]
    cover = part.astype(np.float32) * np.float32(clear / 255.0)
    floor = patch.look.black
    onto[rows, columns] = (
        onto[rows, columns] + (np.minimum(floor, onto[rows, columns]) - onto[rows, columns]) * cover
    )
