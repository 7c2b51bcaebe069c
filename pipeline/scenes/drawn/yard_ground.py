"""Yard ground: asphalt with bays and a lane, a footpath, lawn; behind it warehouse, fence, sky."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.drawn.plane import (
    FINE,
    Paint,
    corners_of,
    fill,
    lay,
    mottled,
    reduced,
)
from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.noise import Field, fractal
from edgewatch.pipeline.scenes.sprite import Canvas

PATH_METRES: Final = (11.0, 13.2)
"""The footpath runs across the picture, from so far to so far ahead."""
LANE_METRES: Final = (18.6, 23.4)
"""And so does the lane for vehicles."""

_NEAR_METRES: Final = 7.6
_FAR_METRES: Final = 36.0
"""Where the warehouse and the fence stand."""
_HALF_METRES: Final = 26.0
_TEXTURE_METRE: Final = 18.0
"""Pixels of the ground's painting a metre."""


def draw_yard(rng: np.random.Generator, view: View, size: tuple[int, int], side: float) -> Canvas:
    """Draw all that stands still; `side` is -1 or 1: where the warehouse's gate is."""
    fine = View(
        focal_pixels=view.focal_pixels * FINE,
        centre_x=view.centre_x * FINE,
        horizon_y=view.horizon_y * FINE,
        across_metres=view.across_metres,
        yaw_radians=0.0,
        curvature=0.0,
        height_metres=view.height_metres,
    )
    width, height = size[0] * FINE, size[1] * FINE
    rough = fractal(rng, 256, 512, cells=24, octaves=5, gain=0.7)
    canvas = _sky(rng, rough, width, height, fine.horizon_y)
    _trees(rough, canvas, fine)
    ground = _painted_ground(rng, rough, side)
    near, far, half = _NEAR_METRES, _FAR_METRES, _HALF_METRES
    places = [(-half, 0.0, far), (half, 0.0, far), (half, 0.0, near), (-half, 0.0, near)]
    lay(canvas, ground, corners_of(fine, places))
    _fence(canvas, fine, side)
    _warehouse(rng, rough, canvas, fine, side)
    return _grained(rough, reduced(canvas), view)


def _sky(rng: np.random.Generator, rough: Field, width: int, height: int, horizon: float) -> Canvas:
    low, high = np.array((206, 212, 216), np.float32), np.array((150, 178, 208), np.float32)
    up = np.clip(1.0 - np.arange(height, dtype=np.float32) / max(horizon, 1.0), 0, 1)
    column = low + (high - low) * up[:, None]
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[...] = column[:, None, :].astype(np.uint8)
    rows = max(2, int(horizon))
    shift = int(rng.integers(rough.shape[1]))
    clouds = cv2.resize(np.roll(rough[:64], shift, axis=1), (width, rows))
    cover = cv2.convertScaleAbs(np.clip(clouds, 0, 2), alpha=16.0)
    canvas[:rows] = cv2.add(canvas[:rows], cv2.cvtColor(cover, cv2.COLOR_GRAY2RGB))
    # Fields behind the fence, in haze.
    fields = mottled((height - rows, width), (138, 146, 118), rough[64:], 5.0)
    canvas[rows:] = fields
    return canvas


def _trees(rough: Field, canvas: Canvas, view: View) -> None:
    """A row of far trees behind everything."""
    width = canvas.shape[1]
    scale = view.scale(60.0)
    rounded = cv2.blur(rough[40:41], (7, 1))[0]
    ridge = np.interp(np.linspace(0, 511, width), np.arange(512), rounded)
    tops = view.horizon_y - scale * (3.2 + 1.1 * ridge)
    low = int(view.horizon_y + 0.2 * scale) + 2
    high = max(0, int(tops.min()) - 1)
    rows = np.arange(high, low, dtype=np.float32)[:, None]
    leaf = cv2.resize(rough, (width, rows.size)) * 9.0
    inside = np.clip(rows - tops[None, :] + 0.5, 0, 1).astype(np.float32)[..., None]
    tone = np.dstack([leaf + c for c in (84.0, 104.0, 76.0)])
    part = canvas[high:low]
    part[...] = np.clip(part + (tone - part) * inside, 0, 255)


def _painted_ground(rng: np.random.Generator, rough: Field, side: float) -> Paint:
    """Paint it seen from above: the first row is the farthest, columns from left to right."""
    metre = _TEXTURE_METRE
    rows = round((_FAR_METRES - _NEAR_METRES) * metre)
    columns = round(2 * _HALF_METRES * metre)
    grain = rng.standard_normal((rows // 2, columns // 2), np.float32)
    uneven = cv2.resize(rough, (columns // 2, rows // 2)) * 6.0 + grain * 7.0
    ground = mottled((rows, columns), (112, 112, 114), uneven, 1.0)

    def band(low: float, high: float) -> slice:
        return slice(round((_FAR_METRES - high) * metre), round((_FAR_METRES - low) * metre))

    def column(across: float) -> int:
        return round((across + _HALF_METRES) * metre)

    lane = ground[band(*LANE_METRES)]
    lane[...] = cv2.convertScaleAbs(lane, alpha=0.86)
    path = band(*PATH_METRES)
    paved = mottled((path.stop - path.start, columns), (158, 152, 142), uneven, 1.1)
    for at in range(0, columns, round(0.6 * metre)):
        paved[:, at : at + 1] = cv2.convertScaleAbs(paved[:, at : at + 1], alpha=0.82)
    ground[path] = paved
    for edge in PATH_METRES:
        ground[band(edge - 0.07, edge + 0.07)] = (182, 178, 168)
    lawn = band(_NEAR_METRES, PATH_METRES[0] - 0.07)
    ground[lawn] = mottled((lawn.stop - lawn.start, columns), (92, 110, 58), uneven, 1.7)
    for edge in LANE_METRES:
        line = ground[band(edge - 0.06, edge + 0.06)]
        for at in range(0, columns, round(2.0 * metre)):
            line[:, at : at + round(1.1 * metre)] = (206, 204, 196)
    for bay in range(9):
        at = column(side * (-10.35 + 2.7 * bay))
        ground[band(25.8, 30.4), at - 1 : at + 1] = (206, 205, 198)
    for _ in range(int(rng.integers(3, 7))):
        spot = (int(rng.integers(columns)), int(rng.integers(rows // 2)))
        axes = (int(rng.integers(6, 22)), int(rng.integers(4, 12)))
        cv2.ellipse(ground, spot, axes, 0, 0, 360, (92, 92, 95), -1, cv2.LINE_AA)
    return np.ascontiguousarray(ground)


def _fence(canvas: Canvas, view: View, side: float) -> None:
    """Posts and rails on the open side."""
    far = _FAR_METRES - 0.2
    high = view.row(1.9, far)
    for across in np.arange(-26.0, 26.0, 2.0):
        x = view.column(float(across), far)
        top, foot = (round(x), round(view.row(2.0, far))), (round(x), round(view.row(0.0, far)))
        cv2.line(canvas, top, foot, (104, 108, 106), 2, cv2.LINE_AA)
    for up in (0.15, 0.7, 1.3, 1.9):
        y = round(view.row(up, far))
        cv2.line(canvas, (0, y), (canvas.shape[1], y), (118, 122, 120), 1, cv2.LINE_AA)
    mesh = canvas[round(high) : round(view.row(0.0, far))]
    mesh[...] = cv2.convertScaleAbs(mesh, alpha=0.94, beta=4)


def _warehouse(
    rng: np.random.Generator, rough: Field, canvas: Canvas, view: View, side: float
) -> None:
    """A wall of sheet metal with a roller gate, a door and windows."""
    far, high = _FAR_METRES, float(rng.uniform(5.2, 6.6))
    left, right = sorted((side * -21.0, side * 3.0))
    tint = np.array(((150, 156, 162), (168, 158, 140), (134, 150, 146))[int(rng.integers(3))])
    metre = 24.0
    shape = (round(high * metre), round((right - left) * metre))
    wall = mottled(shape, tint.tolist(), rough, 3.0)
    ribs = (np.arange(shape[1]) % 12 < 2)[None, :, None]
    wall = np.where(ribs, cv2.convertScaleAbs(wall, alpha=0.9), wall)
    wall[: round(0.3 * metre)] = (84, 88, 92)
    wall[-round(0.5 * metre) :] = (112, 110, 106)

    def panel(across: float, width: float, low: float, top: float, colour: tuple[int, ...]) -> None:
        x0, x1 = ((across - left + s * width / 2) * metre for s in (-1, 1))
        rows = slice(round((high - top) * metre), round((high - low) * metre))
        wall[rows, round(x0) : round(x1)] = colour

    gate = side * -10.5
    panel(gate, 4.4, 0.0, 4.2, (70, 74, 78))
    panel(gate, 4.0, 0.0, 4.0, (188, 190, 188))
    for up in np.arange(0.3, 4.0, 0.35):
        panel(gate, 4.0, float(up), float(up) + 0.06, (160, 162, 162))
    panel(side * -5.0, 1.3, 0.0, 2.3, (60, 62, 66))
    panel(side * -5.0, 1.1, 0.0, 2.15, (86, 40, 38))
    for window in (-18.5, -16.0, -2.6, 0.2):
        panel(side * window, 1.7, 2.3, 3.7, (206, 208, 206))
        panel(side * window, 1.5, 2.4, 3.6, (72, 88, 102))
        panel(side * window + 0.3, 0.7, 3.0, 3.6, (112, 130, 146))
    places = [(left, high, far), (right, high, far), (right, 0.0, far), (left, 0.0, far)]
    lay(canvas, np.ascontiguousarray(wall), corners_of(view, places))
    shade = [(left, 0.02, far), (right, 0.02, far), (right, 0.0, far - 1.6), (left, 0.0, far - 1.6)]
    dark = canvas.copy()
    fill(dark, corners_of(view, shade), (52, 54, 58))
    cv2.addWeighted(dark, 0.45, canvas, 0.55, 0.0, dst=canvas)


def _grained(rough: Field, canvas: Canvas, view: View) -> Canvas:
    """Give the near ground the grain that its painting is too coarse for."""
    first = max(0, int(view.horizon_y + 0.25 * (canvas.shape[0] - view.horizon_y)))
    part = canvas[first:]
    height, width = part.shape[:2]
    fine = np.tile(rough, (2 + height // 256, 2 + width // 512))[7 : 7 + height, 3 : 3 + width]
    strength = np.linspace(0.0, 4.5, height, dtype=np.float32)[:, None]
    grain = np.asarray(fine * strength, np.int16)
    canvas[first:] = cv2.add(part, cv2.merge([grain] * 3), dtype=cv2.CV_8U)
    return canvas
