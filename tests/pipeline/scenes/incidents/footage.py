"""Small footage to put incidents into: a sky, ground with grain, and something that moves."""

from __future__ import annotations

from functools import cache

import numpy as np

from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement
from edgewatch.pipeline.types import Pixels

SIZE = (160, 96)
BEGINS = 1.0
LASTS = 3.0


@cache
def picture(
    seconds: float, size: tuple[int, int] = SIZE, level: float = 110.0, sigma: float = 3.0
) -> Pixels:
    """Draw the moment; the same moment is the same object."""
    width, height = size
    rng = np.random.default_rng([11, round(seconds * 1000)])
    rows = np.linspace(0.6, -0.25, height)[:, None, None]
    tint = np.array((1.0, 0.98, 0.93))
    columns = np.arange(width)[None, :, None]
    stripes = 0.12 * np.sign(np.sin(columns / 9.0 + 2.0 * seconds))
    noise = rng.normal(0.0, sigma, (height, width, 3))
    light = level * (1.0 + rows + stripes) * tint + noise
    pixels = np.asarray(np.clip(light, 0, 255), np.uint8)
    pixels.setflags(write=False)
    return pixels


def placement(
    camera: CameraKind = "fixed",
    *,
    foot: tuple[float, float] = (0.45, 0.75),
    height: float = 0.3,
    lasts_seconds: float = LASTS,
) -> Placement:
    """Put something in the middle of the ground."""
    return Placement(BEGINS, lasts_seconds, foot, height, camera, horizon=0.4)
