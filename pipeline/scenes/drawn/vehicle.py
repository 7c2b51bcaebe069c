"""Vehicle: a car or van as painted end and side, put into the road's perspective."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np

from edgewatch.pipeline.scenes.drawn.bodywork import (
    Colour,
    Lights,
    front,
    front_cabin,
    mirrored,
    rear,
    shadow,
    side,
)
from edgewatch.pipeline.scenes.drawn.scenery import haze
from edgewatch.pipeline.scenes.drawn.view import NEAREST_METRES, View
from edgewatch.pipeline.scenes.sprite import Canvas, Haze, Sprite

Facing = Literal["away", "towards"]


@dataclass(frozen=True, slots=True)
class Body:
    """Outer measures in metres."""

    length_metres: float = 4.3
    width_metres: float = 1.82
    height_metres: float = 1.52


HATCHBACK: Final = Body()
VAN: Final = Body(length_metres=5.6, width_metres=2.05, height_metres=2.5)


class Vehicle:
    """One vehicle's pictures; drawn anywhere on the road."""

    def __init__(self, colour: Colour, facing: Facing, body: Body = HATCHBACK) -> None:
        self.body = body
        self._colour, self._facing, self._tall = colour, facing, body is VAN
        self._bonnet_metres = 0.35 if self._tall else 1.0

    def draw(
        self,
        canvas: Canvas,
        view: View,
        across_metres: float,
        ahead_metres: float,
        lights: Lights = "off",
    ) -> None:
        """Draw it with its near end at a place; what is too close or behind is left out."""
        near = max(ahead_metres, NEAREST_METRES)
        far = ahead_metres + self.body.length_metres
        if far <= NEAREST_METRES + 0.5:
            return
        air = haze(near)
        self._draw_shadow(canvas, view, across_metres, near, far)
        half = self.body.width_metres / 2
        left, right = across_metres - half, across_metres + half
        if view.across_metres < left:
            self._draw_side(canvas, view, left, 1.0, near, far, self._flank(left=True), air)
        elif view.across_metres > right:
            self._draw_side(canvas, view, right, -1.0, near, far, self._flank(left=False), air)
        windscreen = ahead_metres + self._bonnet_metres
        towards = self._facing == "towards"
        if towards and windscreen >= NEAREST_METRES:
            cabin = _cabin_sprite(self._colour, self._tall)
            self._draw_end(canvas, view, cabin, across_metres, windscreen)
        if ahead_metres >= NEAREST_METRES:
            seen = None if towards else lights
            end = _end_sprite(self._colour, seen, self._tall)
            self._draw_end(canvas, view, end, across_metres, ahead_metres)

    def _flank(self, *, left: bool) -> Sprite:
        """The flank is painted with its front to the left. The far end of a left flank is on the
        left, of a right flank on the right; and it is the front of what drives away."""
        return _flank_sprite(self._colour, self._tall, left != (self._facing == "away"))

    def _draw_end(
        self, canvas: Canvas, view: View, end: Sprite, across_metres: float, ahead_metres: float
    ) -> None:
        scale = view.scale(ahead_metres)
        width, height = self.body.width_metres * scale, self.body.height_metres * scale
        left = view.column(across_metres, ahead_metres) - width / 2
        top = view.row(0.0, ahead_metres) - height
        end.paste(canvas, left, top, width, height, haze(ahead_metres))

    def _draw_side(
        self,
        canvas: Canvas,
        view: View,
        across_metres: float,
        inwards: float,
        near: float,
        far: float,
        side: Sprite,
        air: Haze,
    ) -> None:
        high = self.body.height_metres
        lean = 0.1 * self.body.width_metres * inwards  # the cabin is narrower than the sills
        near_foot = (view.column(across_metres, near), view.row(0.0, near))
        near_top = (view.column(across_metres + lean, near), view.row(high, near))
        far_foot = (view.column(across_metres, far), view.row(0.0, far))
        far_top = (view.column(across_metres + lean, far), view.row(high, far))
        if inwards > 0:  # left flank: the far end is to the left of the near one
            corners = np.array([far_top, near_top, near_foot, far_foot], np.float32)
        else:
            corners = np.array([near_top, far_top, far_foot, near_foot], np.float32)
        if abs(float(corners[1, 0] - corners[0, 0])) < 0.5:
            return
        side.warp(canvas, corners, air)

    def _draw_shadow(
        self, canvas: Canvas, view: View, across_metres: float, near: float, far: float
    ) -> None:
        half = self.body.width_metres * 0.56
        near = max(near - 0.25, NEAREST_METRES)
        corners = [
            (view.column(across_metres - half - 0.25, far), view.row(0.0, far)),
            (view.column(across_metres + half, far), view.row(0.0, far)),
            (view.column(across_metres + half, near), view.row(0.0, near)),
            (view.column(across_metres - half - 0.25, near), view.row(0.0, near)),
        ]
        _shadow_sprite().warp(canvas, np.array(corners, np.float32), haze(near))


# Painted when first seen, and once a process: a scene shows few of them, and scenes share them.


@cache
def _end_sprite(colour: Colour, lights: Lights | None, tall: bool) -> Sprite:
    """Rear with its lights; without any, the front."""
    painting = front(colour, tall=tall) if lights is None else rear(colour, lights, tall=tall)
    return Sprite(*painting)


@cache
def _cabin_sprite(colour: Colour, tall: bool) -> Sprite:
    return Sprite(*front_cabin(colour, tall=tall))


@cache
def _flank_sprite(colour: Colour, tall: bool, turned: bool) -> Sprite:
    flank = side(colour, tall=tall)
    return Sprite(*(mirrored(flank) if turned else flank))


@cache
def _shadow_sprite() -> Sprite:
    return Sprite(*shadow())
