"""Scenery: sky, hills and what stands beside the road: trees, reflector posts, power poles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.view import NEAREST_METRES, View
from edgewatch.pipeline.scenes.noise import Field, fractal
from edgewatch.pipeline.scenes.sprite import Canvas, Haze, Sprite

HAZE_COLOUR: Final = (186.0, 196.0, 206.0)
FARTHEST_METRES: Final = 170.0
"""Roadside things farther away melt into the distant wood."""

_BACKDROP_MARGIN: Final = 320
_STRETCH_METRES: Final = 480.0
"""The roadside repeats after this length."""


class Backdrop:
    """Sky with clouds, two ranges of hills and a far wood: infinitely far, moves with the head."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        width, height = size[0] + 2 * _BACKDROP_MARGIN, size[1]
        self._horizon = height // 2 + 60
        picture = _sky(rng, self._horizon + 4, width)
        _hills(rng, picture, self._horizon, peak=62, colour=(150, 166, 184), cells=4)
        _hills(rng, picture, self._horizon, peak=38, colour=(124, 143, 146), cells=9)
        _hills(rng, picture, self._horizon, peak=13, colour=(88, 106, 88), cells=90)
        self._picture = np.empty((picture.shape[0] + height, width, 3), np.uint8)
        np.clip(picture, 0, 255, out=picture)
        self._picture[: picture.shape[0]] = picture
        self._picture[picture.shape[0] :] = HAZE_COLOUR

    def draw(self, canvas: Canvas, view: View) -> None:
        """Fill the canvas down to just below the horizon, where the ground begins; shifted with
        heading and pitch (sub-pixel, so that it never jumps)."""
        left = _BACKDROP_MARGIN + view.focal_pixels * view.yaw_radians
        left = float(np.clip(left, 0, 2 * _BACKDROP_MARGIN))
        top = self._horizon - view.horizon_y
        matrix = np.array([(1, 0, -left), (0, 1, -top)], np.float32)
        rows = int(np.clip(int(np.floor(view.horizon_y)) + 3, 1, canvas.shape[0]))
        canvas[:rows] = cv2.warpAffine(
            self._picture,
            matrix,
            (canvas.shape[1], rows),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )


@dataclass(frozen=True, slots=True)
class _Thing:
    sprite: Sprite
    across_metres: float
    along_metres: float
    width_metres: float
    height_metres: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A roadside thing at its distance, ready to be drawn in order of depth."""

    ahead_metres: float
    thing: _Thing

    def draw(self, canvas: Canvas, view: View) -> None:
        """Draw it upright."""
        scale = view.scale(self.ahead_metres)
        width, height = self.thing.width_metres * scale, self.thing.height_metres * scale
        left = view.column(self.thing.across_metres, self.ahead_metres) - width / 2
        foot = view.row(0.0, self.ahead_metres)
        if left > canvas.shape[1] or left + width < 0:
            return
        self.thing.sprite.paste(canvas, left, foot - height, width, height, haze(self.ahead_metres))


def haze(ahead_metres: float) -> Haze:
    """How much of a thing the air has taken at a distance; near the farthest it fades in."""
    fade_in = max(0.0, (ahead_metres - 0.8 * FARTHEST_METRES) / (0.2 * FARTHEST_METRES))
    amount = 1.0 - float(np.exp(-ahead_metres / 260.0)) * (1.0 - 0.5 * fade_in)
    return Haze(HAZE_COLOUR, min(1.0, amount))


class Roadside:
    """What stands left and right of the road, repeating after a stretch."""

    def __init__(self, rng: np.random.Generator) -> None:
        crowns = [_tree(rng) for _ in range(5)]
        bushes = [_bush(rng) for _ in range(3)]
        self._things: list[_Thing] = []
        for side in (-1.0, 1.0):
            self._plant(rng, side, crowns, bushes)
        post, pole = _post(), _pole()
        for along in np.arange(0.0, _STRETCH_METRES, 24.0):
            for side in (-1.0, 1.0):
                self._things.append(_Thing(post, side * 4.6, float(along), 0.14, 1.0))
        for along in np.arange(10.0, _STRETCH_METRES, 48.0):
            self._things.append(_Thing(pole, -7.6, float(along), 2.2, 8.5))

    def _plant(
        self, rng: np.random.Generator, side: float, crowns: list[Sprite], bushes: list[Sprite]
    ) -> None:
        along = 0.0
        while along < _STRETCH_METRES:
            high = float(rng.uniform(5.0, 9.5))
            away = side * float(rng.uniform(8.0, 15.0))
            crown = crowns[int(rng.integers(len(crowns)))]
            self._things.append(_Thing(crown, away, along, high * 0.8, high))
            bush = bushes[int(rng.integers(len(bushes)))]
            low = float(rng.uniform(0.9, 2.4))
            near = side * float(rng.uniform(6.5, 12.0))
            self._things.append(_Thing(bush, near, along + 4.0, low * 1.7, low))
            along += float(rng.uniform(7.0, 20.0))

    def ahead_of(self, along_metres: float) -> list[Placed]:
        """List what can be seen from a place on the road."""
        placed = []
        for thing in self._things:
            ahead = (thing.along_metres - along_metres) % _STRETCH_METRES
            if NEAREST_METRES < ahead < FARTHEST_METRES:
                placed.append(Placed(ahead, thing))
        return placed


def _sky(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.float32]:
    up = np.linspace(1.0, 0.0, height, dtype=np.float32)[:, None, None]
    low, high = np.array(HAZE_COLOUR, np.float32) + 22, np.array((112, 152, 200), np.float32)
    sky = low + (high - low) * up**0.8
    sky = np.repeat(sky, width, axis=1)
    # Clouds lie in a plane: flatter and finer towards the horizon.
    field = fractal(rng, 512, 1024, cells=7, octaves=6, gain=0.55)
    depth = 1.0 / (np.linspace(1.0, 0.06, height, dtype=np.float32))
    map_y = np.mod(depth * 60, 512)[:, None] * np.ones((1, width), np.float32)
    spread = (np.arange(width, dtype=np.float32) - width / 2)[None, :]
    map_x = np.mod(512 + spread * depth[:, None] * 0.45, 1024).astype(np.float32)
    cloud = cv2.remap(field, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    cover = np.clip((cloud + 0.1) / 1.4, 0, 1)[..., None] * (0.25 + 0.75 * up)
    lit = np.array((238, 240, 243), np.float32) - 34 * np.clip(cloud - 0.9, 0, 1)[..., None]
    lit -= sky
    lit *= cover
    lit += sky
    return np.asarray(lit, np.float32)


def _hills(
    rng: np.random.Generator,
    picture: npt.NDArray[np.float32],
    horizon: int,
    *,
    peak: float,
    colour: tuple[int, int, int],
    cells: int,
) -> None:
    """Draw one range in place, its ridge `peak` pixels above the horizon at the most."""
    width = picture.shape[1]
    ridge = fractal(rng, 1, width, cells=cells, octaves=6, gain=0.45)[0]
    tops = horizon - peak * np.clip(0.5 + 0.24 * ridge, 0.08, 1)
    body = fractal(rng, picture.shape[0], width, cells=160, octaves=3)[..., None]
    first = max(0, int(tops.min()) - 1)
    body, picture = body[first:], picture[first:]
    rows = np.arange(first, first + picture.shape[0], dtype=np.float32)[:, None]
    inside = np.clip(rows - tops[None, :] + 0.5, 0, 1)[..., None]
    depth = np.clip((rows - tops[None, :]) / peak, 0, 1)[..., None]
    tone = np.array(colour, np.float32) * (1.0 + 0.05 * body)
    tone = tone + (np.array(HAZE_COLOUR, np.float32) - tone) * (0.45 * depth)
    picture += (tone - picture) * inside


def _tree(rng: np.random.Generator) -> Sprite:
    """Draw a broad-leaved tree: trunk, and clumps of leaves lit from the upper right."""
    height, width = 240, 192
    shape = np.zeros((height, width))
    light = np.zeros((height, width))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    clumps = 34
    spots = np.column_stack(
        [rng.normal(96, 32, clumps), rng.normal(92, 36, clumps), rng.uniform(18, 34, clumps)]
    )
    for x, y, radius in spots[np.argsort(spots[:, 1])[::-1]]:
        x, y = float(np.clip(x, radius, width - radius)), float(np.clip(y, radius, 160.0))
        part = np.s_[
            max(0, int(y - radius)) : int(y + radius) + 2,
            max(0, int(x - radius)) : int(x + radius) + 2,
        ]
        column, row = columns[part], rows[part]
        reach = 1.0 - np.hypot(column - x, (row - y) * 1.1) / radius
        glow = 0.55 + 0.3 * (column - x) / radius - 0.45 * (row - y) / radius
        light[part] = np.where(reach > 0.12, glow, light[part])
        shape[part] = np.maximum(shape[part], reach)
    ragged = fractal(rng, height, width, cells=40, octaves=3, gain=0.8)
    leaves = np.clip((shape + 0.13 * ragged - 0.14) / 0.1, 0, 1) * (shape > 0)
    light = np.clip(cv2.GaussianBlur(light, (0, 0), 3) + 0.24 * ragged, 0, 1.3)[..., None]
    dark, bright = np.array((30, 44, 24), np.float32), np.array((112, 134, 62), np.float32)
    tint = 1 + rng.normal(0, 0.07, 3).astype(np.float32)
    rgb = (dark + (bright - dark) * light) * tint
    alpha = leaves
    trunk = np.abs(columns - 96 + 3 * np.sin(rows / 30)) < 4 + (rows - 150).clip(0) / 30
    only_trunk = trunk & (rows > 110) & (leaves < 0.5)
    bark = np.array((66, 56, 46), np.float32) + 10 * ragged[..., None]
    rgb = np.where(only_trunk[..., None], bark, rgb)
    alpha = np.where(only_trunk, 1.0, alpha)
    return Sprite(np.clip(rgb, 0, 255).astype(np.uint8), alpha.astype(np.float32))


def _bush(rng: np.random.Generator) -> Sprite:
    height, width = 96, 160
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    ragged = fractal(rng, height, width, cells=26, octaves=4, gain=0.8)
    reach = 1.0 - np.hypot((columns - 80) / 78, (rows - 96) / 90)
    alpha = np.clip((reach + 0.12 * ragged - 0.06) / 0.1, 0, 1)
    light = np.clip(0.95 - rows / 110 + 0.22 * ragged, 0, 1.2)[..., None]
    dark, bright = np.array((34, 46, 26), np.float32), np.array((108, 120, 62), np.float32)
    rgb = dark + (bright - dark) * light
    return Sprite(np.clip(rgb, 0, 255).astype(np.uint8), alpha.astype(np.float32))


def _post() -> Sprite:
    """Draw a white reflector post with its slanted black band."""
    rgb = np.full((120, 24, 3), (222, 222, 216), np.uint8)
    rgb[:, 15:] = (176, 178, 178)
    cv2.fillConvexPoly(rgb, np.array([(0, 30), (24, 18), (24, 44), (0, 56)]), (32, 32, 34))
    cv2.rectangle(rgb, (9, 30), (14, 42), (214, 120, 60), -1)
    alpha = np.ones((120, 24), np.float32)
    return Sprite(rgb, alpha)


def _pole() -> Sprite:
    """Draw a wooden power pole with its cross arm."""
    alpha: Field = np.zeros((425, 110), np.float32)
    alpha[8:, 51:59] = 1.0
    alpha[30:36, 8:102] = 1.0
    for x in (12, 38, 70, 96):
        alpha[20:30, x : x + 4] = 1.0
    rgb = np.full((425, 110, 3), (86, 74, 62), np.uint8)
    rgb[:, 56:] = (116, 102, 86)
    return Sprite(rgb, alpha)
