"""Sensor: what lens, exposure and chip make of a picture."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.noise import Grain
from edgewatch.pipeline.scenes.sprite import Canvas
from edgewatch.pipeline.types import Pixels

Shade = npt.NDArray[np.uint8]
"""uint8, shape (height, width): 255 leaves a pixel as it is, 0 makes it black."""


class Sensor:
    """A fixed camera's: darker corners, slow changes of exposure, grain."""

    def __init__(self, seed: int, size: tuple[int, int], *, sigma: float = 2.4) -> None:
        """Draw the grain of `sigma` 8-bit steps for pictures of `size` (width, height)."""
        self._seed = seed
        self._grain = Grain(np.random.default_rng([seed, 7]), size, sigma=sigma)
        self._lens = vignette(size)

    def develop(self, picture: Canvas, shade: Shade | None, gain: float, index: int) -> Pixels:
        """Give the picture as the camera would, read-only; `picture` may be written to.

        `shade` is laid over it first; `gain` is the exposure, about 1; `index` decides the noise.
        """
        rng = np.random.default_rng([self._seed, 8, index])
        gain *= 1.0 + float(rng.normal(0, 0.0015))
        dark = self._lens
        if shade is not None:
            dark = np.asarray(cv2.multiply(shade, self._lens, scale=1 / 255), np.uint8)
        soft = cv2.GaussianBlur(picture, (3, 3), 0.55)
        factor = cv2.cvtColor(dark, cv2.COLOR_GRAY2RGB)
        exposed = cv2.multiply(soft, factor, scale=gain / 255)
        grainy = cv2.add(exposed, self._grain.sheet(rng), dtype=cv2.CV_8U)
        developed = np.asarray(grainy, np.uint8)
        developed.setflags(write=False)
        return developed


def vignette(size: tuple[int, int]) -> Shade:
    """Darken towards the corners, as small lenses do."""
    width, height = size
    across = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :]
    down = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None]
    distance = np.hypot(across, down) / 0.707
    return np.asarray(255.0 * (1.0 - 0.2 * distance**3), np.uint8)
