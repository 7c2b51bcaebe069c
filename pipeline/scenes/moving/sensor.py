"""Sensor: grain and a gain that is never quite steady; each pixel for itself, as `light`."""

from __future__ import annotations

import cv2
import numpy as np

from edgewatch.pipeline.scenes.noise import Grain
from edgewatch.pipeline.types import Pixels


class Sensor:
    """One clip's sensor; the same seed gives the same noise for the same picture number."""

    def __init__(self, seed: int, size: tuple[int, int], sigma: float) -> None:
        """`sigma`: standard deviation of the noise in 8-bit steps; 0: none, and a steady gain."""
        self._seed, self._sigma = seed, sigma
        self._grain = Grain(np.random.default_rng([seed, 71]), size, sigma) if sigma > 0 else None

    def expose(self, pixels: Pixels, index: int, fps: float) -> Pixels:
        """Pass a picture, uint8 RGB, through the sensor; `index` counts from 0."""
        if self._grain is None:
            return pixels
        rng = np.random.default_rng([self._seed, 72, index])
        gain = 1.0 + 0.008 * np.sin(1.3 * index / fps) + rng.normal(0, 0.0015)
        amplified = cv2.convertScaleAbs(pixels, alpha=float(gain))
        return np.asarray(cv2.add(amplified, self._grain.sheet(rng), dtype=cv2.CV_8U), np.uint8)
