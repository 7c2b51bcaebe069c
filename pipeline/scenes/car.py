"""Car: a vehicle seen by a fixed camera, from the side, from a corner or from an end."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.cutout import CLEAR, Cutout, contact_shadow
from edgewatch.pipeline.scenes.drawn.bodywork import (
    COLOURS,
    Colour,
    Painting,
    front,
    mirrored,
    rear,
    side,
)
from edgewatch.pipeline.scenes.drawn.vehicle import HATCHBACK, VAN, Body
from edgewatch.pipeline.scenes.sprite import Canvas, Haze, Layer, Sprite

CarView = Literal["side", "three_quarter", "rear", "front"]

_HEADINGS: Final = {"side": 0.0, "three_quarter": -0.65, "rear": np.pi / 2, "front": -np.pi / 2}
_DRAWN_PIXELS: Final = 256.0
"""Length at which the body is put together, once; smaller ones are reduced copies."""
_FEWEST_SLICES: Final = 30
_EDGE_ON_RADIANS: Final = 0.14
"""Nearer to straight towards the viewer it is not turned: slices seen edge on leave gaps."""


class Car:
    """One vehicle under one angle; put anywhere at any size. Not for sharing between threads."""

    def __init__(
        self,
        colour: Colour = COLOURS[1],
        view: CarView = "side",
        *,
        leftwards: bool = False,
        heading: float | None = None,
        tilt: float = 0.2,
        body: Body = HATCHBACK,
        light: tuple[float, float, float] = (1.0, 1.0, 1.0),
    ) -> None:
        """Put the body together.

        `heading` in radians overrides `view`: 0 drives to the right, pi / 2 away from the viewer,
        -pi / 2 towards. `leftwards` mirrors it. `tilt`: how steeply the camera looks down, in
        radians. `body` is `vehicle.HATCHBACK` or `vehicle.VAN`.
        """
        self.body = body
        angle = _HEADINGS[view] if heading is None else heading
        self._angle = _turned_aside(np.pi - angle if leftwards else angle)
        layer, self._foot, self._scale = _assembled(colour, self._angle, tilt, body)
        alpha = layer[..., 3].astype(np.float32) / 255.0
        rgb = layer[..., :3] / np.maximum(alpha, 1e-3)[..., None] * np.array(light, np.float32)
        self._sprite = Sprite(np.clip(rgb, 0, 255).astype(np.uint8), alpha)
        self._size = (layer.shape[1], layer.shape[0])
        self._tilt = tilt

    def draw(
        self,
        canvas: Canvas,
        foot: tuple[float, float],
        metre_pixels: float,
        haze: Haze = CLEAR,
        *,
        shadow: float = 0.6,
    ) -> None:
        """Draw it in place with its shadow; the middle of its ground lies at `foot`.

        `metre_pixels` is the size of a metre there, in pixels; `shadow` 0 to 1 how dark it is.
        """
        if shadow > 0:
            self.shadow(foot, metre_pixels, shadow).paste(canvas, haze)
        factor = metre_pixels / self._scale
        left, top = foot[0] - self._foot[0] * factor, foot[1] - self._foot[1] * factor
        width, height = self._size[0] * factor, self._size[1] * factor
        self._sprite.paste(canvas, left, top, width, height, haze)

    def cutout(self, foot: tuple[float, float], metre_pixels: float) -> Cutout:
        """Give it as a layer, without its shadow."""
        factor = metre_pixels / self._scale
        left, top = foot[0] - self._foot[0] * factor, foot[1] - self._foot[1] * factor
        first_x, first_y = int(np.floor(left)) - 1, int(np.floor(top)) - 1
        columns = int(np.ceil(left + self._size[0] * factor)) + 1 - first_x
        rows = int(np.ceil(top + self._size[1] * factor)) + 1 - first_y
        layer = self._sprite.placed(
            (columns, rows),
            left - first_x,
            top - first_y,
            self._size[0] * factor,
            self._size[1] * factor,
        )
        return Cutout(layer, first_x, first_y)

    def shadow(
        self, foot: tuple[float, float], metre_pixels: float, darkness: float = 0.6
    ) -> Cutout:
        """Give the dark patch under it."""
        cosine, sine = abs(float(np.cos(self._angle))), abs(float(np.sin(self._angle)))
        length, width = self.body.length_metres, self.body.width_metres
        across = (cosine * length + sine * width) * metre_pixels * 1.12
        deep = (sine * length + cosine * width) * metre_pixels * float(np.sin(self._tilt)) * 1.35
        return contact_shadow(foot, across, max(deep, 0.22 * metre_pixels), darkness)


def _turned_aside(angle: float) -> float:
    """Keep a little of a flank in sight."""
    angle = float(np.mod(angle + np.pi, 2 * np.pi) - np.pi)
    for straight in (np.pi / 2, -np.pi / 2):
        if abs(angle - straight) < _EDGE_ON_RADIANS:
            return straight + (_EDGE_ON_RADIANS if angle > straight else -_EDGE_ON_RADIANS)
    return angle


def _assembled(
    colour: Colour, angle: float, tilt: float, body: Body
) -> tuple[Layer, tuple[float, float], float]:
    """Stack slices of the silhouette from the far flank to the near one, then put the near flank
    and the near end on. Returns the layer, where the ground's middle is in it, and pixels a metre.
    """
    tall = body is VAN
    scale = _DRAWN_PIXELS / body.length_metres
    forward = np.array((np.cos(angle), -np.sin(angle) * np.sin(tilt))) * scale
    leftward = np.array((-np.sin(angle), -np.cos(angle) * np.sin(tilt))) * scale
    up = np.array((0.0, -1.0)) * scale * float(np.cos(tilt))
    length, width, high = body.length_metres, body.width_metres, body.height_metres
    ends = [
        f * forward * length / 2 + s * leftward * width / 2 + u * up * high
        for f in (-1, 1) for s in (-1, 1) for u in (0, 1)
    ]  # fmt: skip
    low, top = np.min(ends, axis=0) - 4, np.max(ends, axis=0) + 4
    shape = (int(np.ceil(top[1] - low[1])), int(np.ceil(top[0] - low[0])))
    canvas: Layer = np.zeros((*shape, 4), np.uint8)
    foot = (-float(low[0]), -float(low[1]))
    # Mirrored, its front is to the right; more pixels than will be shown cost time only.
    flank = _reduced(mirrored(side(colour, tall=tall)), round(_DRAWN_PIXELS * 1.1))
    skin = _skin(flank, colour, tall=tall)
    near_left = leftward[1] > 0 or (leftward[1] == 0 and np.cos(angle) < 0)
    near = 1.0 if near_left else -1.0

    def flank_corners(across: float, inwards: float) -> npt.NDArray[np.float32]:
        base = across * leftward * width / 2
        tops = base * (1.0 - inwards) + up * high
        back, fore = -forward * length / 2, forward * length / 2
        return np.array([back + tops, fore + tops, fore + base, back + base], np.float32)

    slice_layer = _premultiplied(*skin)
    # The farther the slices lie apart in the picture, the more of them it takes.
    slices = max(_FEWEST_SLICES, int(width * float(np.hypot(*leftward))))
    for across in np.linspace(-near, near, slices):
        corners = flank_corners(float(across), 0.12)
        _over_layer(canvas, slice_layer, corners + np.array(foot, np.float32))
    _over(canvas, flank, flank_corners(near, 0.12) + np.array(foot, np.float32))
    _put_end(canvas, colour, body, forward, leftward, up, foot)
    return canvas, foot, scale


def _reduced(painting: Painting, width: int) -> Painting:
    rgb, alpha = painting
    size = (width, round(width * alpha.shape[0] / alpha.shape[1]))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    thin = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), np.asarray(thin, np.float32)


def _put_end(
    canvas: Layer,
    colour: Colour,
    body: Body,
    forward: npt.NDArray[np.float64],
    leftward: npt.NDArray[np.float64],
    up: npt.NDArray[np.float64],
    foot: tuple[float, float],
) -> None:
    """Put on the end that faces the viewer."""
    if abs(forward[1]) < 1e-6 * np.hypot(*forward):
        return
    tall = body is VAN
    fore = forward[1] > 0
    rgb, alpha = front(colour, tall=tall) if fore else rear(colour, "off", tall=tall)
    alpha = alpha.copy()
    alpha[round(0.9 * alpha.shape[0]) :] = 0.0  # its wheels: they are the flank's
    middle = (0.985 if fore else -0.99) * forward * body.length_metres / 2
    half = leftward * body.width_metres / 2
    left, right = (-half, half) if half[0] > 0 else (half, -half)
    high = up * body.height_metres
    slope = np.zeros(2) if fore else 0.10 * forward * body.length_metres * (0.3 if tall else 1.0)
    corners = [middle + left + high + slope, middle + right + high + slope]
    corners += [middle + right, middle + left]
    _over(canvas, (rgb, alpha), np.array(corners, np.float32) + np.array(foot, np.float32))


def _skin(flank: Painting, colour: Colour, *, tall: bool) -> Painting:
    """Paint what a slice across the body shows at its rim: bonnet, screens and roof."""
    _, alpha = flank
    height, width = alpha.shape
    rgb = np.zeros((height, width, 3), np.uint8)
    lit = tuple(min(255, round(c * 1.08 + 34)) for c in colour)
    rgb[:] = lit
    # Windscreen and rear window, front to the right: from the bonnet's end up to the roof.
    upper = slice(round(0.09 * height), round(0.40 * height))
    if tall:
        rgb[upper, round(0.70 * width) :] = (58, 66, 74)
    else:
        rgb[upper, round(0.645 * width) :] = (58, 66, 74)
        rgb[upper, : round(0.13 * width)] = (50, 56, 62)
    rgb[round(0.55 * height) :] = tuple(round(c * 0.75) for c in colour)
    rgb[round(0.82 * height) :] = (20, 20, 22)
    rgb[round(0.7 * height) :, round(0.985 * width) :] = (40, 41, 44)
    return rgb, alpha


def _over(canvas: Layer, painting: Painting, corners: npt.NDArray[np.float32]) -> None:
    """Lay a painting into a quadrangle, in place; corners from top left, clockwise."""
    rgb, alpha = painting
    _over_layer(canvas, _premultiplied(rgb, alpha), corners)


def _premultiplied(rgb: npt.NDArray[np.uint8], alpha: npt.NDArray[np.float32]) -> Layer:
    return np.rint(np.dstack([rgb * alpha[..., None], alpha * 255.0])).astype(np.uint8)


def _over_layer(canvas: Layer, layer: Layer, corners: npt.NDArray[np.float32]) -> None:
    height, width = layer.shape[:2]
    low = np.maximum(np.floor(corners.min(axis=0)) - 1, 0).astype(int)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    region = canvas[low[1] : high[1], low[0] : high[0]]
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - 0.5
    target = corners - low.astype(np.float32) - 0.5
    matrix = cv2.getPerspectiveTransform(source.astype(np.float32), target.astype(np.float32))
    warped = cv2.warpPerspective(layer, matrix, (region.shape[1], region.shape[0]))
    through = cv2.bitwise_not(cv2.extractChannel(warped, 3))
    behind = cv2.multiply(region, cv2.merge([through] * 4), scale=1 / 255)
    cv2.add(warped, behind, dst=region)
