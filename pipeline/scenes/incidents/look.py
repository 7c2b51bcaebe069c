"""Look: how a camera shows the world just now; what is drawn is lit and blurred like it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.grain import Light, noise_sigma
from edgewatch.pipeline.scenes.incidents.region import Region
from edgewatch.pipeline.types import Pixels

Colour = npt.NDArray[np.float32]
"""float32 RGB in 8-bit steps, shape (3,)."""

_SAMPLES: Final = 6_000
_NEAR_PIXELS: Final = 160
_USUAL_GROUND: Final = 0.42
"""How bright ground in the light is, between the picture's black and white."""
_BLUR: Final = (0.35, 2.5)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the footage makes of black and white, and how noisy and how sharp it is."""

    black: Colour
    white: Colour
    shade: float
    """Light at the place: 1 where the ground is as bright as usual, less in shadow."""
    colourful: float
    """1 in colour, 0 in the grey of a night camera."""
    grain_sigma: float
    blur_pixels: float
    """Standard deviation of the footage's own softness."""

    def tone(self, albedo: tuple[float, float, float] | Colour) -> Colour:
        """Tell how a surface looks here in the light; `albedo` is RGB, 0 to 1."""
        return np.asarray(self.lit(np.asarray(albedo, np.float32).reshape(1, 1, 3))[0, 0])

    def lit(self, albedo: Light) -> Light:
        """Tell how surfaces look here; `albedo` 0 to 1, shape (height, width, 3)."""
        if self.colourful < 1.0:
            grey = albedo @ np.array((0.3, 0.59, 0.11), np.float32)
            albedo = grey[..., None] + (albedo - grey[..., None]) * np.float32(self.colourful)
        return self.black + albedo * ((self.white - self.black) * np.float32(self.shade))


def look_at(pixels: Pixels, region: Region) -> Look:
    """Measure a picture, and the light around a region of it."""
    step = max(1, round((pixels.shape[0] * pixels.shape[1] / _SAMPLES) ** 0.5))
    some = pixels[::step, ::step].reshape(-1, 3).astype(np.float32)
    ordered = np.sort(some, axis=0)
    black, white = (_little_cast(ordered[int(part * (len(ordered) - 1))]) for part in (0.01, 0.97))
    near = _near(pixels, region)
    luma = float(np.median(near.mean(axis=2)))
    span = max(8.0, float((white - black).mean()))
    shade = (luma - float(black.mean())) / (span * _USUAL_GROUND)
    chroma = float((some.max(axis=1) - some.min(axis=1)).mean())
    return Look(
        black=black,
        white=np.maximum(white, black + 8.0),
        # Half of what is darker there is no shadow: lawn is dark in the sun, too.
        shade=float(np.clip(0.5 + 0.5 * shade, 0.55, 1.1)),
        colourful=float(np.clip((chroma - 1.0) / 5.0, 0, 1)),
        grain_sigma=noise_sigma(near),
        blur_pixels=_blur_pixels(near),
    )


def _little_cast(colour: Colour) -> Colour:
    """Take most of the tint away: what is brightest may be a coloured thing, and no white."""
    grey = colour.mean()
    return np.asarray(grey + 0.35 * (colour - grey), np.float32)


def _near(pixels: Pixels, region: Region) -> Light:
    """Give the neighbourhood of a region's foot, at most so many pixels wide and high."""
    middle = (region.left + region.right) // 2
    half = _NEAR_PIXELS // 2
    left = min(max(0, middle - half), max(0, pixels.shape[1] - _NEAR_PIXELS))
    top = min(max(0, region.bottom - half), max(0, pixels.shape[0] - _NEAR_PIXELS))
    return pixels[top : top + _NEAR_PIXELS, left : left + _NEAR_PIXELS].astype(np.float32)


def _blur_pixels(near: Light) -> float:
    """Estimate softness from how much the steepest edges lose by a known blur.

    Source: S. Zhuo, T. Sim, "Defocus map estimation from a single image", 2011: the ratio R of
    the gradients gives sigma = known / sqrt(R^2 - 1).
    """
    known = 1.0
    grey = np.asarray(cv2.cvtColor(near, cv2.COLOR_RGB2GRAY), np.float32)
    steep = _gradient(grey)
    softer = _gradient(np.asarray(cv2.GaussianBlur(grey, (0, 0), known), np.float32))
    limit = np.partition(steep.ravel(), int(0.98 * (steep.size - 1)))[int(0.98 * (steep.size - 1))]
    edges = steep >= max(float(limit), 1.0)
    if not edges.any():
        return 0.8
    ratio = float(np.median(steep[edges] / np.maximum(softer[edges], 1e-3)))
    return float(np.clip(known / max(ratio * ratio - 1.0, 1e-3) ** 0.5, *_BLUR))


def _gradient(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(cv2.magnitude(across, down), np.float32)
