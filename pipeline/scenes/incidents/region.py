"""Region: the rectangle of a picture that an incident may touch; the rest costs nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Element = TypeVar("_Element", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Region:
    """Rows `top` to `bottom` and columns `left` to `right`, ends excluded; never empty."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.bottom - self.top, self.right - self.left

    def of(self, picture: npt.NDArray[_Element]) -> npt.NDArray[_Element]:
        """Give the view of a picture that the region is."""
        return picture[self.top : self.bottom, self.left : self.right]

    def inside(self, point: tuple[float, float]) -> tuple[float, float]:
        """Give a point of the picture, x and y in pixels, in the region's own coordinates."""
        return point[0] - self.left, point[1] - self.top

    def grown(self, pixels: int, shape: tuple[int, int]) -> Region:
        """Add a rim, as far as a picture of that shape goes."""
        return Region(
            max(0, self.top - pixels),
            min(shape[0], self.bottom + pixels),
            max(0, self.left - pixels),
            min(shape[1], self.right + pixels),
        )


def region_of(
    shape: tuple[int, int], left: float, top: float, right: float, bottom: float
) -> Region | None:
    """Give the whole pixels that a box touches in a picture of `shape` (height, width).

    None if it touches none.
    """
    found = Region(
        max(0, math.floor(top)),
        min(shape[0], math.ceil(bottom)),
        max(0, math.floor(left)),
        min(shape[1], math.ceil(right)),
    )
    return found if found.bottom > found.top and found.right > found.left else None


def whole(shape: tuple[int, int]) -> Region:
    """Give the region that is all of a picture."""
    return Region(0, shape[0], 0, shape[1])
