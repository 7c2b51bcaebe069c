"""What of a camera's frames is judged, where regions of them are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
import numpy.typing as npt

Booleans = npt.NDArray[np.bool_]

_MOSTLY = 0.5
"""A cell of which more is ignored is not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """The judged part of frames of one size, at both sizes at which the engine looks at them."""

    pixels: Booleans
    """Of the small grey picture: none that an ignored pixel went into or lies next to."""
    cells: Booleans
    """Of the network's grid, (rows, columns)."""

    @classmethod
    def of(
        cls, ignored: Booleans, small_size: tuple[int, int], grid: tuple[int, int]
    ) -> Self | None:
        """Return what is left to judge; None: all of it.

        `small_size`: (width, height) of the small picture. `grid`: (rows, columns) of cells.
        """
        if not ignored.any() or ignored.all():
            return None
        hidden = ignored.astype(np.float32)
        touched = np.asarray(cv2.resize(hidden, small_size, interpolation=cv2.INTER_AREA)) > 0
        beside = np.asarray(cv2.dilate(touched.astype(np.uint8), np.ones((3, 3), np.uint8))) > 0
        rows, columns = grid
        shares = cv2.resize(hidden, (columns, rows), interpolation=cv2.INTER_AREA)
        # However little is left, something is judged
        pixels = next((~one for one in (beside, touched) if not one.all()), np.ones_like(touched))
        return cls(pixels, np.asarray(shares <= max(_MOSTLY, float(shares.min())), np.bool_))

    @property
    def pixel_share(self) -> float:
        """How much of the small picture is judged, above 0."""
        return float(self.pixels.mean())

    @property
    def cell_share(self) -> float:
        """How much of the grid is judged, above 0."""
        return float(self.cells.mean())
