"""Corridor walls: floor, walls, ceiling with lamps, and the doors that can open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.drawn.plane import (
    FINE,
    Paint,
    Place,
    corners_of,
    fill,
    lay,
    mottled,
    reduced,
)
from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.noise import Field, fractal
from edgewatch.pipeline.scenes.sprite import Canvas

HALF_METRES: Final = 2.0
"""From the middle to each wall."""
LENGTH_METRES: Final = 26.0
DOORS_METRES: Final = (8.5, 13.0, 17.5)
"""Middles of the doors, along both walls."""

_HIGH_METRES: Final = 3.0
_NEAR_METRES: Final = 1.3
_DOOR_HALF_METRES: Final = 0.55
_DOOR_HIGH_METRES: Final = 2.1
_METRE: Final = 40.0
"""Pixels of the paintings a metre."""


@dataclass(frozen=True, slots=True, eq=False)
class Door:
    """A door in a wall: shut in the background, open when drawn so."""

    side: float
    """-1: in the left wall; 1: in the right one."""
    middle_metres: float
    outline: npt.NDArray[np.float32]
    """Its corners in the picture: far top, near top, near foot, far foot."""
    leaf_colour: tuple[int, int, int]
    room_colour: tuple[int, int, int]

    def draw_open(self, canvas: Canvas, opened: float) -> None:
        """Draw the room behind and the leaf turned into it, in place; `opened` 0 to 1."""
        far_top, near_top, near_foot, far_foot = self.outline
        fill(canvas, self.outline, self.room_colour)
        floor = [far_foot, near_foot, near_foot + 0.12 * (near_top - near_foot)]
        floor.append(far_foot + 0.10 * (far_top - far_foot))
        fill(canvas, np.array(floor), [0.72 * c for c in self.room_colour])
        # The hinge is at the far end: the leaf's near edge swings away behind the wall.
        share = 1.0 - 0.86 * opened
        top, foot = (
            far_top + (near_top - far_top) * share,
            far_foot + (near_foot - far_foot) * share,
        )
        tone = 0.85 - 0.25 * opened
        leaf = np.array([far_top, top, foot, far_foot])
        fill(canvas, leaf, [tone * c for c in self.leaf_colour])

    def seen_through(self, cutout: Cutout) -> Cutout:
        """Cut off what of a figure the wall hides: it is seen in the opening and before it."""
        height, width = cutout.layer.shape[:2]
        opening = np.zeros((height, width), np.uint8)
        reach = self.outline.copy()
        # The corridor itself, from the wall inwards, hides nothing.
        inwards = -self.side * 10_000.0
        edge = reach[[1, 2]] if self.side * (reach[1, 0] - reach[0, 0]) > 0 else reach[[0, 3]]
        shape = np.vstack([reach, edge + np.array((inwards, 0.0))]).astype(np.float32)
        offset = np.array((cutout.left, cutout.top), np.float32)
        points = np.rint((np.clip(shape - offset, -4000, 4000)) * 16).astype(np.int32)
        cv2.fillConvexPoly(opening, cv2.convexHull(points), 255, cv2.LINE_AA, 4)
        layer = cv2.multiply(cutout.layer, cv2.merge([opening] * 4), scale=1 / 255)
        return Cutout(np.asarray(layer, np.uint8), cutout.left, cutout.top)


def draw_corridor(
    rng: np.random.Generator, view: View, size: tuple[int, int]
) -> tuple[Canvas, list[Door]]:
    """Draw all that stands still, and list the doors, from near to far."""
    fine = View(
        focal_pixels=view.focal_pixels * FINE,
        centre_x=view.centre_x * FINE,
        horizon_y=view.horizon_y * FINE,
        across_metres=view.across_metres,
        yaw_radians=0.0,
        curvature=0.0,
        height_metres=view.height_metres,
    )
    rough = fractal(rng, 256, 512, cells=16, octaves=5, gain=0.6)
    canvas = np.zeros((size[1] * FINE, size[0] * FINE, 3), np.uint8)
    paint = ((196, 192, 182), (184, 194, 196), (200, 190, 170))[int(rng.integers(3))]
    dado = ((118, 132, 138), (128, 120, 104), (104, 124, 112))[int(rng.integers(3))]
    wood = ((128, 92, 60), (96, 104, 116), (150, 120, 84))[int(rng.integers(3))]
    half, near, far, high = HALF_METRES, _NEAR_METRES, LENGTH_METRES, _HIGH_METRES

    def put(painting: Paint, *places: Place) -> None:
        lay(canvas, painting, corners_of(fine, places))

    end = _end_wall(rough, paint, dado)
    put(end, (-half, high, far), (half, high, far), (half, 0.0, far), (-half, 0.0, far))
    floor = _floor(rough, end)
    put(floor, (-half, 0.0, far), (half, 0.0, far), (half, 0.0, near), (-half, 0.0, near))
    ceiling = _ceiling(rough)
    put(ceiling, (-half, high, far), (half, high, far), (half, high, near), (-half, high, near))
    for side in (-1.0, 1.0):
        wall = _wall(rough, paint, dado, wood)
        x = side * half
        put(wall, (x, high, far), (x, high, near), (x, 0.0, near), (x, 0.0, far))
    rooms = ((222, 216, 196), (96, 98, 102), (206, 214, 220))
    doors = [
        Door(
            side,
            middle,
            corners_of(view, _door_places(side, middle)),
            wood,
            rooms[int(rng.integers(3))],
        )
        for middle in DOORS_METRES
        for side in (-1.0, 1.0)
    ]
    return reduced(canvas), doors


def _door_places(side: float, middle: float) -> list[Place]:
    x, far, near = side * HALF_METRES, middle + _DOOR_HALF_METRES, middle - _DOOR_HALF_METRES
    high = _DOOR_HIGH_METRES
    return [(x, high, far), (x, high, near), (x, 0.0, near), (x, 0.0, far)]


def _along(metres: float) -> int:
    """Column of a wall's painting, or row of the floor's: counted from the far end."""
    return round((LENGTH_METRES - metres) * _METRE)


def _lit(length: int) -> npt.NDArray[np.float32]:
    """How bright the lamps make each place from the far end to the near one."""
    ahead = LENGTH_METRES - np.arange(length, dtype=np.float32) / _METRE
    light = np.full(length, 0.62, np.float32)
    for lamp in _lamps():
        light += 0.36 * np.exp(-(((ahead - lamp) / 1.5) ** 2))
    return light


def _lamps() -> npt.NDArray[np.float64]:
    return np.arange(3.6, LENGTH_METRES, 4.4)


def _shaded(painting: Paint, factor: npt.NDArray[np.float32]) -> Paint:
    whole = cv2.merge([np.broadcast_to(factor, painting.shape[:2]).astype(np.float32)] * 3)
    shaded = cv2.multiply(painting, whole, dtype=cv2.CV_8U)
    return np.asarray(shaded, np.uint8)


def _wall(
    rough: Field, paint: tuple[int, ...], dado: tuple[int, ...], wood: tuple[int, ...]
) -> Paint:
    """Far end to the left."""
    rows, columns = round(_HIGH_METRES * _METRE), _along(_NEAR_METRES)
    wall = mottled((rows, columns), paint, rough, 3.0)

    def up(metres: float) -> int:
        return round((_HIGH_METRES - metres) * _METRE)

    wall[up(1.05) :] = mottled((rows - up(1.05), columns), dado, rough, 3.0)
    wall[up(1.1) : up(1.0)] = [round(0.72 * c) for c in dado]
    wall[up(0.12) :] = (58, 58, 60)
    for middle in DOORS_METRES:
        frame = slice(_along(middle + _DOOR_HALF_METRES + 0.09), _along(middle - 0.64))
        wall[up(_DOOR_HIGH_METRES + 0.09) :, frame] = (214, 212, 206)
        leaf = slice(_along(middle + _DOOR_HALF_METRES), _along(middle - _DOOR_HALF_METRES))
        wall[up(_DOOR_HIGH_METRES) :, leaf] = wood
        lower = slice(_along(middle + 0.4), _along(middle - 0.4))
        wall[up(1.95) : up(1.2), lower] = [round(0.85 * c) for c in wood]
        wall[up(1.08) : up(0.98), _along(middle - 0.36) : _along(middle - 0.48)] = (206, 204, 196)
        sign = slice(_along(middle + 1.15), _along(middle + 0.85))
        wall[up(1.75) : up(1.45), sign] = (70, 96, 132)
    # Lamps light the upper wall more than the foot.
    upright = np.linspace(1.06, 0.86, rows, dtype=np.float32)[:, None]
    return _shaded(wall, upright * _lit(columns)[None, :])


def _floor(rough: Field, end: Paint) -> Paint:
    """Far end at the top: tiles, and what a polished floor mirrors of lamps and end wall."""
    rows, columns = _along(_NEAR_METRES), round(2 * HALF_METRES * _METRE)
    floor = mottled((rows, columns), (142, 138, 130), rough, 5.0)
    tile = round(0.5 * _METRE)
    for at in range(0, rows, tile):
        floor[at : at + 1] = (118, 114, 108)
    for at in range(0, columns, tile):
        floor[:, at : at + 1] = (118, 114, 108)
    place = np.linspace(-1, 1, columns, dtype=np.float32)
    gloss = 1.0 + 0.22 * np.exp(-((place / 0.28) ** 2))
    shaded = _shaded(floor, _lit(rows)[:, None] * gloss[None, :])
    reach = min(rows, round(7.0 * _METRE))
    mirror = cv2.resize(end[::-1], (columns, reach), interpolation=cv2.INTER_LINEAR)
    mirror = cv2.blur(mirror, (9, 31))
    fade = cv2.merge(
        [np.repeat(np.linspace(0.4, 0, reach, dtype=np.float32)[:, None], columns, 1)] * 3
    )
    part = shaded[:reach].astype(np.float32)
    shaded[:reach] = np.clip(part + (mirror - part) * fade, 0, 255)
    return shaded


def _ceiling(rough: Field) -> Paint:
    rows, columns = _along(_NEAR_METRES), round(2 * HALF_METRES * _METRE)
    ceiling = _shaded(mottled((rows, columns), (196, 196, 192), rough, 2.0), _lit(rows)[:, None])
    step = round(0.6 * _METRE)
    for at in range(0, rows, step):
        ceiling[at : at + 1] = (128, 128, 126)
    for at in range(columns // 2 % step, columns, step):
        ceiling[:, at : at + 1] = (128, 128, 126)
    for lamp in _lamps():
        panel = slice(_along(float(lamp) + 0.6), _along(float(lamp) - 0.6))
        ceiling[panel, round(1.4 * _METRE) : round(2.6 * _METRE)] = (252, 252, 244)
    return ceiling


def _end_wall(rough: Field, paint: tuple[int, ...], dado: tuple[int, ...]) -> Paint:
    """A glazed double door with daylight behind it."""
    metre = 2 * _METRE
    rows, columns = round(_HIGH_METRES * metre), round(2 * HALF_METRES * metre)
    wall = mottled((rows, columns), [0.75 * c for c in paint], rough, 3.0)
    wall[round(1.95 * metre) :] = [round(0.75 * c) for c in dado]
    left, right, top = round(0.9 * metre), round(3.1 * metre), round(0.75 * metre)
    wall[top:, left:right] = (86, 90, 94)
    for x0, x1 in ((1.0, 1.95), (2.05, 3.0)):
        pane = wall[top + 8 : rows - 12, round(x0 * metre) : round(x1 * metre)]
        down = np.linspace(0, 1, pane.shape[0])[:, None, None]
        pane[...] = np.array((236, 240, 242)) * (1 - 0.35 * down)
    return wall
