"""Flame: tongues of fire at any moment, as colour and cover."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.region import region_of
from edgewatch.pipeline.scenes.noise import Field, fractal

_TEXTURE_PIXELS: Final = 256
_ASIDE, _UP, _DOWN = 0.85, 1.25, 0.25
"""Beyond this there is no flame, in its heights."""
# Heat to colour, as a camera sees it: red edge, orange body, nearly white core.
_HEATS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_COLOURS: Final = np.array(
    [(96, 18, 4), (206, 62, 10), (250, 138, 28), (255, 208, 92), (255, 244, 206)], np.float32
)
_PALETTE: Final = np.stack(
    [np.interp(np.linspace(0, 1, 1024), _HEATS, _COLOURS[:, channel]) for channel in range(3)],
    axis=-1,
).astype(np.float32)


class Flame:
    """Fire fed by noise that rises; the same seed burns the same way."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._noise = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=6, octaves=4, gain=0.55)
        self._sway = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=3, octaves=2)

    def burn(
        self,
        picture: npt.NDArray[np.float32],
        foot: tuple[float, float],
        height: float,
        at_seconds: float,
        amount: float,
        colourful: float = 1.0,
    ) -> None:
        """Draw flames over a picture, in place: float32 RGB in 8-bit steps.

        `amount` and `colourful` are 0 to 1; a night camera sees no colour.
        """
        shape = picture.shape[:2]
        reach = region_of(
            (shape[0], shape[1]),
            foot[0] - _ASIDE * height,
            foot[1] - _UP * height,
            foot[0] + _ASIDE * height + 1,
            foot[1] + _DOWN * height + 1,
        )
        if reach is None:
            return
        colour, cover = self.layer(reach.shape, reach.inside(foot), height, at_seconds)
        if colourful < 1.0:
            grey = colour.max(axis=2, keepdims=True)
            colour += (grey - colour) * np.float32(1.0 - colourful)
        part = reach.of(picture)
        part += (colour - part) * (cover * np.float32(amount))[..., None]

    def layer(
        self,
        shape: tuple[int, int],
        foot: tuple[float, float],
        height: float,
        at_seconds: float,
    ) -> tuple[npt.NDArray[np.float32], Field]:
        """Draw flames of about `height` pixels standing on `foot` (x, y).

        Returns colour (float32 RGB, 0 to 255, height x width x 3) and cover (0 to 1).
        """
        rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
        up = (foot[1] - rows) / np.float32(height)
        aside = (columns - np.float32(foot[0])) / np.float32(0.36 * height)
        sway = self._sample(self._sway, aside * 30, up * 60 + 100 * at_seconds)
        aside = aside + 0.34 * sway * np.clip(up, 0, 1)
        turbulence = self._sample(self._noise, aside * 46, up * 74 + 190 * at_seconds)
        waist = np.clip(1.05 - 0.55 * up, 0.2, 2)
        body = 1.0 - (aside / waist) ** 2
        risen = np.clip(up, 0, None)
        lively = 0.25 + np.clip(risen, 0, 1)
        heat = 1.15 * body * (1.0 - 0.7 * risen) + 0.42 * turbulence * lively - 0.2 * risen
        heat -= 2.2 * np.clip(risen - 0.75, 0, None)  # no tongue leaves the fire
        # A ragged lower rim, so that the fire stands on the ground and not on a line.
        rim = np.clip((up + 0.06 + 0.05 * turbulence) / 0.08, 0, 1)
        heat = np.where(body > 0, heat, 0.0) * rim
        cover = np.clip(heat * 2.6, 0, 1).astype(np.float32)
        heat = np.clip(heat, 0, 1)
        return _PALETTE[np.rint(heat * (len(_PALETTE) - 1)).astype(np.int32)], cover

    def _sample(self, texture: Field, x: Field, y: Field) -> Field:
        wrapped_x = np.mod(x, _TEXTURE_PIXELS).astype(np.float32)
        wrapped_y = np.mod(y, _TEXTURE_PIXELS).astype(np.float32)
        sampled = cv2.remap(
            texture, wrapped_x, wrapped_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        return np.asarray(sampled, np.float32)
