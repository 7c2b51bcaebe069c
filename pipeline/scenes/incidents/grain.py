"""Grain: what is drawn gets the noise of the footage around it, and truth its exact mask."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.region import Region
from edgewatch.pipeline.scenes.truth import Mask
from edgewatch.pipeline.types import Pixels

LEAST_CHANGE: Final = 1.5
"""Below this many 8-bit steps a change is not made at all: neither eye nor engine could tell."""
_HIDES_STEPS: Final = 40.0
"""A change of this many steps hides the footage's own grain altogether."""

Light = npt.NDArray[np.float32]
"""float32 RGB in 8-bit steps, shape (height, width, 3)."""


def noise_sigma(picture: Light) -> float:
    """Estimate the footage's grain in 8-bit steps.

    Source: J. Immerkaer, "Fast noise variance estimation", 1996; the median instead of the mean
    keeps edges and texture out of it.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    kernel = np.array([(1, -2, 1), (-2, 4, -2), (1, -2, 1)], np.float32)
    response = np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel))
    return float(np.median(response)) / (0.6745 * 6.0)


def grain(before: Light, after: Light, sigma: float, seed: int, time_seconds: float) -> Light:
    """Draw noise of deviation `sigma` where what is drawn hides the footage's own.

    The same seed and media time give the same noise.
    """
    rng = np.random.default_rng([seed, abs(round(time_seconds * 1000))])
    noise = rng.standard_normal(before.shape[:2], np.float32) * np.float32(sigma)
    noise *= np.minimum(largest(np.abs(after - before)) * np.float32(1 / _HIDES_STEPS), 1)
    return np.asarray(cv2.merge([noise, noise, noise]), np.float32)


def largest(picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Give the largest of each pixel's three channels, shape (height, width)."""
    red, green, blue = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)


def difference(one: Pixels, other: Pixels) -> Mask:
    """Tell which pixels of two pictures of one size are not the same."""
    red, green, blue = cv2.split(cv2.absdiff(one, other))
    return np.asarray(cv2.bitwise_or(cv2.bitwise_or(red, green), blue), np.uint8) > 0


def imprint(pixels: Pixels, region: Region, drawn: Pixels, wanted: Mask) -> tuple[Pixels, Mask]:
    """Put what was drawn for a region into a picture, at the pixels wanted.

    `drawn` and `wanted` have the region's shape. Returns the new picture, read-only, and the mask
    of the pixels that do differ, of the picture's shape. Nothing differs outside it.
    """
    old = region.of(pixels)
    differs = wanted & difference(drawn, old)
    composed = pixels.copy()
    np.copyto(region.of(composed), drawn, where=differs[..., None])
    composed.setflags(write=False)
    mask = np.zeros(pixels.shape[:2], np.bool_)
    region.of(mask)[...] = differs
    mask.setflags(write=False)
    return composed, mask
