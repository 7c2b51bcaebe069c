"""The mask: regions of a camera's picture made grey, so that no engine judges what is in them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.types import Pixels

Ignored = npt.NDArray[np.bool_]
"""Which pixels of a frame are ignored, shape (height, width), read-only."""

GREY = 114
"""What ignored pixels become, in all three colours: the mean brightness of photographs that vision
models are trained on (CLIP's is 123, 117, 104), so that after their normalising it is next to
nothing. One fixed tone and not the camera's own mean, which would flicker with the scene and make
a clip's pixels depend on those before it: what is judged again must be the same."""

Polygons = Sequence[Sequence[tuple[float, float]]]
"""Corners (x, y) in shares of the picture; see `config.regions`."""

_SHIFT = 8
"""Bits after the point of a corner's place, for OpenCV."""


class Mask:
    """Hides the regions to ignore in a camera's frames. One thread uses it.

    What is to be hidden is worked out once for each size of the frames.
    """

    def __init__(self, regions: Polygons) -> None:
        self._regions = regions
        self._size = (0, 0)
        self._ignored: Ignored = np.zeros((0, 0), np.bool_)
        self._stencil: npt.NDArray[np.uint8] = np.zeros((0, 0), np.uint8)
        self._grey: Pixels = np.zeros((0, 0, 3), np.uint8)

    def hide(self, pixels: Pixels) -> tuple[Pixels, Ignored | None]:
        """Return the picture with its regions grey, read-only, and what they are.

        Without regions that is the very same picture, and None.
        """
        if not self._regions:
            return pixels, None
        height, width = pixels.shape[:2]
        if self._size != (width, height):
            self._size = (width, height)
            self._ignored = drawn(self._regions, width, height)
            self._stencil = self._ignored.astype(np.uint8)
            self._grey = np.full((height, width, 3), GREY, np.uint8)
        hidden: Pixels = pixels.copy()
        cv2.copyTo(self._grey, self._stencil, hidden)
        hidden.flags.writeable = False
        return hidden, self._ignored


def drawn(regions: Polygons, width: int, height: int) -> Ignored:
    """Return the pixels of a picture that regions touch."""
    canvas = np.zeros((height, width), np.uint8)
    for region in regions:
        # Pixels' middles are at whole numbers, and a share of 0 is the outer edge of the first one
        corners = np.array(region, np.float64) * (width, height) - 0.5
        places = np.rint(corners * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(canvas, [places], 1, shift=_SHIFT)
    ignored: Ignored = canvas.astype(np.bool_)
    ignored.flags.writeable = False
    return ignored
