"""Covered: something wipes over the lens and stays; its harmless twin only passes by."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.mixing import mixed, tripled
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, whole
from edgewatch.pipeline.scenes.noise import Field, fractal

_TEXTURE_PIXELS: Final = 64
_ALBEDOS: Final = (
    (0.10, 0.10, 0.11), (0.34, 0.22, 0.17), (0.46, 0.45, 0.42), (0.20, 0.24, 0.18),
)  # fmt: skip
"""Cloth, a hand, a plastic bag, a leaf: what is that near gets little light."""
_WIPE_SECONDS: Final = (0.35, 0.8)
_WITHDRAWN_SECONDS: Final = 0.3
_LEAK_PIXELS: Final = (32, 18)
_SOFT: Final = 0.10
"""Width of the edge, out of focus, in parts of the picture's longer side."""


class _Occluder:
    """Something so near that it is a blur; nearly uniform."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._albedo = np.array(_ALBEDOS[int(rng.integers(len(_ALBEDOS)))], np.float32)
        self._folds = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=2, octaves=2)
        self._rim = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=4, octaves=2, gain=0.4)
        turn = float(rng.uniform(0, 2 * np.pi))
        self._way = (float(np.cos(turn)), float(np.sin(turn)))
        self.wipe_seconds = float(rng.uniform(*_WIPE_SECONDS))

    def ahead(self, patch: Patch) -> Field:
        """Give how far each pixel lies along the way it moves: about -0.5 to 0.5, with its ragged
        rim; in parts of the picture's extent in that direction."""
        height, width = patch.shape
        longer = max(patch.shape)
        down = ((np.arange(height, dtype=np.float32) + 0.5) - height / 2)[:, None] / longer
        across = ((np.arange(width, dtype=np.float32) + 0.5) - width / 2)[None, :] / longer
        extent = (abs(self._way[0]) * width + abs(self._way[1]) * height) / longer
        along = (across * self._way[0] + down * self._way[1]) / extent
        return np.asarray(along + 0.05 * self._spread(self._rim, patch), np.float32)

    def paint(self, patch: Patch, cover: Field) -> Light:
        """Put it over the picture as `cover` says, 0 to 1."""
        folds = self._spread(self._folds, patch)
        colour = patch.look.tone(self._albedo) * tripled(1.0 + np.float32(0.10) * folds)
        # Light leaks in at the picture's rim, of the colour of what is behind.
        small = cv2.resize(patch.before, _LEAK_PIXELS, interpolation=cv2.INTER_AREA)
        size = (patch.shape[1], patch.shape[0])
        over = cv2.resize(cv2.blur(small, (5, 5)) * 0.06, size) + colour * np.float32(0.94)
        return mixed(patch.before, np.asarray(over, np.float32), cover)

    def _spread(self, texture: Field, patch: Patch) -> Field:
        size = (patch.shape[1], patch.shape[0])
        return np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_LINEAR), np.float32)


class Cover:
    """It wipes over the lens, stays until the end, and is withdrawn; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._occluder = _Occluder(rng)
        self._lasts = placement.lasts_seconds

    @property
    def lasts_seconds(self) -> float:
        """Age at which the lens is free again."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it covers the lens: from its first pixel on."""
        return age_seconds >= 0

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give all of the picture."""
        return whole(shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw it as far as it has come."""
        wipe = min(self._occluder.wipe_seconds, 0.4 * self._lasts)
        back = min(_WITHDRAWN_SECONDS, 0.3 * self._lasts)
        come = min(1.0, age_seconds / wipe, max(0.0, (self._lasts - age_seconds) / back))
        edge = -0.75 + 1.55 * come
        cover = np.clip((edge - self._occluder.ahead(patch)) / _SOFT, 0, 1)
        return self._occluder.paint(patch, cover)


class PassingBy:
    """A hand, a leaf or an insect passes close before the lens; a `Drawing`, a harmless twin."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._occluder = _Occluder(rng)
        self._wide = float(rng.uniform(0.35, 0.8))
        self._lasts = min(placement.lasts_seconds, 2.2 * self._occluder.wipe_seconds)

    @property
    def lasts_seconds(self) -> float:
        """Age at which it has passed."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give all of the picture."""
        return whole(shape)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw it where it is just now."""
        front = -0.75 + (1.5 + self._wide) * age_seconds / self._lasts
        ahead = self._occluder.ahead(patch)
        before = np.clip((front - ahead) / _SOFT, 0, 1)
        behind = np.clip((ahead - (front - self._wide)) / _SOFT, 0, 1)
        return self._occluder.paint(patch, np.asarray(before * behind, np.float32))
