"""Ground: a stretch of road with asphalt, lane marks and verges, seen in perspective."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.noise import Field, fractal
from edgewatch.pipeline.scenes.sprite import Canvas

LANE_METRES: Final = 3.5
EDGE_METRES: Final = 3.9
"""Where the asphalt ends, on both sides of the centre line."""
PERIOD_METRES: Final = 72.0
"""The ground repeats after this length; a whole number of dashes."""
VISIBILITY_METRES: Final = 260.0
"""Distance at which haze has taken 63 % of a colour."""

_HALF_WIDTH_METRES: Final = 12.0
_VERGE_METRES: Final = 6.0
"""From here outwards the verge repeats."""
_ACROSS_STEP: Final = 0.04
_ALONG_STEP: Final = 0.06
_DASH_METRES: Final = 12.0
_FIRST_LEVEL_METRES: Final = 5.0
_LEVEL_RATIO: Final = 1.35
_LEVELS: Final = 14
_BLUR_SECONDS: Final = 1 / 125
"""Exposure time: what moves is smeared by it."""


class Ground:
    """The road surface: one texture and its reduced copies, one for each range of distance.

    A far row of the picture averages metres of road, so each range reads a copy whose grain
    matches the row's footprint: no shimmer, and far dashes melt into a line as they do in reality.
    """

    def __init__(
        self, rng: np.random.Generator, focal_pixels: float, haze: tuple[float, float, float]
    ) -> None:
        texture = _paint(rng)
        self._haze = np.array([*haze, 0.0])  # four numbers: OpenCV takes them for one colour
        self._starts = _FIRST_LEVEL_METRES * _LEVEL_RATIO ** np.arange(_LEVELS)
        smeared = cv2.blur(texture, (1, max(1, round(15 * _BLUR_SECONDS / _ALONG_STEP))))
        paint = np.asarray(smeared, np.uint8)
        self._levels = [_reduced(paint, start, focal_pixels) for start in self._starts]

    def draw(self, canvas: Canvas, view: View, along_metres: float) -> None:
        """Draw everything below the horizon; `along_metres` is the camera's place on the road."""
        first = max(0, int(np.floor(view.horizon_y)) + 2)
        if first >= canvas.shape[0]:
            return
        rows = np.arange(first, canvas.shape[0], dtype=np.float32)
        ahead = view.focal_pixels * view.height_metres / (rows - np.float32(view.horizon_y))
        columns = np.arange(canvas.shape[1], dtype=np.float32)
        slope = (columns - np.float32(view.centre_x)) / view.focal_pixels + view.yaw_radians
        bend = (0.5 * view.curvature) * ahead
        across = view.across_metres + (slope[None, :] - bend[:, None]) * ahead[:, None]
        ground = self._sample(across.astype(np.float32), ahead, along_metres)
        veil = (1.0 - np.exp(-ahead / VISIBILITY_METRES)).astype(np.float32)[:, None, None]
        veiled = np.asarray(cv2.subtract(ground, self._haze, dtype=cv2.CV_32F), np.float32)
        veiled *= -veil
        veiled += ground
        canvas[first:] = veiled

    def _sample(self, across: Field, ahead: Field, along_metres: float) -> npt.NDArray[np.uint8]:
        _fold(across)
        along = np.mod(along_metres + ahead, PERIOD_METRES) / PERIOD_METRES
        place = np.searchsorted(self._starts, ahead) - 1
        out = np.empty((*across.shape, 3), np.uint8)
        for level in np.unique(place):
            chosen = np.flatnonzero(place == level)
            band = slice(int(chosen[0]), int(chosen[-1]) + 1)
            texture = self._levels[max(0, int(level))]
            height, width = texture.shape[:2]
            map_x = across[band]
            map_x /= np.float32(2 * _HALF_WIDTH_METRES)
            map_x += np.float32(0.5)
            map_x *= np.float32(width)
            map_x -= np.float32(0.5)
            map_y = np.empty_like(map_x)
            map_y[...] = (along[band] * height - 0.5)[:, None]
            cv2.remap(
                texture,
                map_x,
                map_y,
                cv2.INTER_LINEAR,
                dst=out[band],
                borderMode=cv2.BORDER_WRAP,
            )
        return out


def _fold(across: Field) -> None:
    """Mirror the verge to and fro beyond the texture, as a triangle wave, in place."""
    reach = np.maximum(np.abs(across[:, 0]), np.abs(across[:, -1]))
    # Rows lead from the horizon down to the bumper: the near ones do not reach that far.
    wide = across[: across.shape[0] - int(np.argmax(reach[::-1] > _VERGE_METRES))]
    if not (reach > _VERGE_METRES).any():
        return
    outside = np.abs(wide)
    outside -= np.float32(_VERGE_METRES)
    beyond = outside > 0
    span = np.float32(_HALF_WIDTH_METRES - _VERGE_METRES)
    far = outside[beyond]
    folded = span - np.abs(np.mod(far, 2 * span) - span)
    wide[beyond] = np.copysign(np.float32(_VERGE_METRES) + folded, wide[beyond])


def _reduced(
    texture: npt.NDArray[np.uint8], ahead_metres: float, focal_pixels: float
) -> npt.NDArray[np.uint8]:
    """Average the texture down to the footprint of a pixel at a distance."""
    across_step = max(_ACROSS_STEP, 0.8 * ahead_metres / focal_pixels)
    along_step = max(_ALONG_STEP, 0.8 * ahead_metres**2 / (focal_pixels * 1.35))
    width = max(8, round(2 * _HALF_WIDTH_METRES / across_step))
    height = max(4, round(PERIOD_METRES / along_step))
    reduced = cv2.resize(texture, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8)


def _paint(rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Paint one period seen from above, uint8 RGB, (along, across, 3)."""
    height = round(PERIOD_METRES / _ALONG_STEP)
    width = round(2 * _HALF_WIDTH_METRES / _ACROSS_STEP)
    across = (np.arange(width, dtype=np.float32) + 0.5) * _ACROSS_STEP - _HALF_WIDTH_METRES
    half = fractal(rng, height // 2, width // 2, cells=24, octaves=5, gain=0.6)
    coarse = np.asarray(cv2.resize(half, (width, height)), np.float32)
    fine = rng.standard_normal((height, width), np.float32)
    asphalt = _asphalt(coarse, fine, across)
    verge = _verge(coarse, fine)
    # The edge of the asphalt wanders by a few centimetres.
    wander = fractal(rng, height, 1, cells=40, octaves=3)[:, 0] * 0.05
    distance = np.abs(across)[None, :] - EDGE_METRES + wander[:, None]
    gravel = np.array((128, 120, 106), np.float32) + (fine * 14)[..., None]
    on_gravel = np.clip(distance / 0.08, 0, 1)[..., None]
    on_grass = np.clip((distance - 0.35 + coarse * 0.12) / 0.2, 0, 1)[..., None]
    ground = asphalt
    for over, amount in ((gravel, on_gravel), (verge, on_grass)):
        over -= ground
        over *= amount
        ground += over
    ground *= _tree_shadow(rng, height, across)[..., None]
    np.clip(ground, 0, 255, out=ground)
    return ground.astype(np.uint8)


def _asphalt(coarse: Field, fine: Field, across: Field) -> npt.NDArray[np.float32]:
    tone = 92 + 8 * coarse + 14 * fine
    lane_place = np.abs(np.abs(across) - LANE_METRES / 2)
    tyre_tracks = np.exp(-(((lane_place - 0.75) / 0.28) ** 2))
    tone -= 8 * tyre_tracks
    # A repaired strip and cracks: what a road that is used looks like.
    tone -= 26 * np.exp(-((coarse - 0.9) ** 2) / 0.0012) * (fine > -0.5)
    road = tone[..., None] * np.array((1.0, 1.0, 1.02), np.float32)
    paint = np.array((218, 216, 206), np.float32) + (fine * 8 + coarse * 6)[..., None]
    worn = np.clip(0.95 - 0.22 * np.clip(coarse, 0, 3), 0.3, 1)
    along = np.arange(coarse.shape[0], dtype=np.float32) * _ALONG_STEP
    dashed = (np.mod(along, _DASH_METRES) < 4.0)[:, None] & (np.abs(across) < 0.065)[None, :]
    edge = np.abs(np.abs(across) - (EDGE_METRES - 0.3)) < 0.06
    marked = np.where(dashed | edge[None, :], worn, 0.0)[..., None].astype(np.float32)
    paint -= road
    paint *= marked
    paint += road
    return np.asarray(paint, np.float32)


def _verge(coarse: Field, fine: Field) -> npt.NDArray[np.float32]:
    green = np.array((84, 104, 50), np.float32)
    dry = np.array((138, 132, 84), np.float32)
    mix = np.clip(0.35 + 0.3 * coarse, 0, 1)[..., None]
    blades = (15 * fine + 9 * coarse)[..., None]
    verge = (dry - green) * mix
    verge += green
    verge += blades
    return np.asarray(verge, np.float32)


def _tree_shadow(rng: np.random.Generator, height: int, across: Field) -> Field:
    """Shade from the trees on the right, as a factor 0.55 to 1."""
    quarter = fractal(rng, height // 4, across.size // 4, cells=14, octaves=4, gain=0.6)
    crowns = np.asarray(cv2.resize(quarter, (across.size, height)), np.float32)
    reach = np.clip((across - 0.6) / 2.5, 0, 1)[None, :]
    depth = np.clip(crowns - 0.45, 0, 0.5) / 0.5
    return np.asarray(1.0 - 0.42 * depth * reach, np.float32)
