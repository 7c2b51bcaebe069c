"""Clips to try a model with: as large as any that a camera makes. Pure."""

from __future__ import annotations

import math

import numpy as np

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import LargestClip

CELL = 28
"""Sides of frames are multiples of this."""
TRIAL_PROMPT = "An anomaly is fire or smoke."


def black_clip(largest: LargestClip) -> AskedClip:
    """Return a clip that shows nothing."""
    return AskedClip(np.zeros(_shape(largest), np.uint8), largest.fps, TRIAL_PROMPT)


def noise_clip(largest: LargestClip, seed: int = 1) -> AskedClip:
    """Return a clip of noise, the same for the same seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, _shape(largest), np.uint8)
    return AskedClip(pixels, largest.fps, TRIAL_PROMPT)


def _shape(largest: LargestClip) -> tuple[int, int, int, int]:
    side = CELL * max(1, math.isqrt(largest.pixels // CELL**2))
    return max(2, largest.frames - largest.frames % 2), side, side, 3
