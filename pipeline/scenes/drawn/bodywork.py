"""Bodywork: how cars and vans look from behind, from the front and from the side, painted."""

from __future__ import annotations

from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

Lights = Literal["off", "brake", "hazard"]

Paint = npt.NDArray[np.uint8]
Painting = tuple[Paint, npt.NDArray[np.float32]]
"""uint8 RGB, shape (height, width, 3), and alpha 0 to 1, float32, shape (height, width)."""
Colour = tuple[int, int, int]

COLOURS: Final[tuple[Colour, ...]] = (
    (146, 28, 30),
    (40, 66, 118),
    (176, 180, 184),
    (58, 60, 64),
    (184, 185, 182),
    (38, 84, 72),
)

_FRONT_BELT: Final = {False: 0.43, True: 0.40}
_END_PIXELS: Final = (420, 350)
_SIDE_PIXELS: Final = (440, 150)


def mirrored(picture: Painting) -> Painting:
    """Swap left and right."""
    rgb, alpha = picture
    return np.ascontiguousarray(rgb[:, ::-1]), np.ascontiguousarray(alpha[:, ::-1])


def shadow() -> Painting:
    """Paint the soft dark patch under a vehicle, seen from above."""
    alpha = np.zeros((64, 64), np.float32)
    alpha[8:-7, 8:-8] = 0.8
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 4), np.float32)
    return np.full((64, 64, 3), (16, 17, 20), np.uint8), alpha


class _Easel:
    """Paints shapes, given in parts of the width and height, into a picture with alpha."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._width, self._height = size
        self._rgb = np.zeros((self._height, self._width, 3), np.uint8)
        self._cover = np.zeros((self._height, self._width), np.uint8)

    def shape(
        self, points: list[tuple[float, float]], top: Colour, bottom: Colour, soft: float = 0.0
    ) -> None:
        """Fill a polygon with a vertical gradient; `soft` rounds its corners, in pixels."""
        corners = np.array([(x * self._width, y * self._height) for x, y in points], np.float32)
        pad = 2 + 3 * int(soft)
        left, upper = np.maximum(np.floor(corners.min(axis=0)) - pad, 0).astype(int)
        right, lower = (np.ceil(corners.max(axis=0)) + pad).astype(int)
        part = np.s_[upper : min(lower, self._height), left : min(right, self._width)]
        stencil = np.zeros_like(self._cover[part])
        inside = np.rint((corners - (left, upper)) * 16).astype(np.int32)
        cv2.fillPoly(stencil, [inside], 255, cv2.LINE_AA, 4)
        if soft:
            blurred = cv2.GaussianBlur(stencil, (0, 0), soft).astype(np.float32)
            stencil = np.clip((blurred - 96) * 4, 0, 255).astype(np.uint8)
        rows = np.arange(stencil.shape[0], dtype=np.float32)[:, None, None] - pad
        place = np.clip(rows / max(stencil.shape[0] - 2 * pad, 1), 0, 1)
        colour = np.array(top, np.float32) + place * (np.array(bottom, np.float32) - top)
        self._fill(part, stencil, colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle; the radius is in parts of the height."""
        centre = (round(x * self._width), round(y * self._height))
        pixels = round(radius * self._height)
        reach = pixels + 3
        left, upper = max(0, centre[0] - reach), max(0, centre[1] - reach)
        part = np.s_[upper : centre[1] + reach, left : centre[0] + reach]
        stencil = np.zeros_like(self._cover[part])
        inside = (centre[0] - left, centre[1] - upper)
        cv2.circle(stencil, inside, pixels, 255, -1, cv2.LINE_AA)
        self._fill(part, stencil, np.array(colour, np.float32))

    def _fill(
        self, part: tuple[slice, slice], stencil: Paint, colour: npt.NDArray[np.float32]
    ) -> None:
        amount = (stencil.astype(np.float32) / 255)[..., None]
        region = self._rgb[part]
        region[...] = np.clip(region + (colour - region) * amount, 0, 255)
        np.maximum(self._cover[part], stencil, out=self._cover[part])

    def glow(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Add light around a lamp, on what is painted already."""
        # Farther away it adds less than one step of 8 bits to any colour.
        reach = 2.4 * radius * self._height
        low_x, low_y = max(0, int(x * self._width - reach)), max(0, int(y * self._height - reach))
        high_x = min(self._width, int(x * self._width + reach) + 2)
        high_y = min(self._height, int(y * self._height + reach) + 2)
        rows, columns = np.mgrid[low_y:high_y, low_x:high_x].astype(np.float32)
        distance = np.hypot(columns - x * self._width, rows - y * self._height)
        strength = np.exp(-((distance / (radius * self._height)) ** 2))[..., None]
        part = self._rgb[low_y:high_y, low_x:high_x]
        part[...] = np.clip(part + np.array(colour, np.float32) * strength, 0, 255)

    def picture(self) -> Painting:
        """Hand over the painting, its edges slightly softened."""
        rgb = cv2.GaussianBlur(self._rgb, (0, 0), 0.9)
        alpha = cv2.GaussianBlur(self._cover, (0, 0), 0.8).astype(np.float32) / 255
        # Colour goes on beyond the edge, so that softening does not darken it.
        spread = cv2.dilate(self._rgb, np.ones((5, 5), np.uint8))
        rgb = np.where((self._cover < 250)[..., None], spread, rgb)
        return np.asarray(rgb, np.uint8), np.asarray(alpha, np.float32)


def _shade(colour: Colour, factor: float, lift: float = 0.0) -> Colour:
    red, green, blue = (int(min(255, channel * factor + lift)) for channel in colour)
    return red, green, blue


def _symmetric(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Complete the left half of an outline, given from bottom to top, with its mirror image."""
    return points + [(1.0 - x, y) for x, y in reversed(points)]


def _paint_cabin(easel: _Easel, colour: Colour, belt: float) -> None:
    cabin = _symmetric([(0.06, belt + 0.05), (0.09, belt), (0.19, 0.06), (0.25, 0.015)])
    easel.shape(cabin, _shade(colour, 1.0, 40), _shade(colour, 0.72), soft=3)


def _paint_body(easel: _Easel, colour: Colour, belt: float) -> None:
    """Paint what front and rear share below the windows: wheels, underside, body."""
    for left in (0.045, 0.795):
        wheel = [(left, 0.80), (left + 0.16, 0.80), (left + 0.16, 1.0), (left, 1.0)]
        easel.shape(wheel, (22, 22, 24), (40, 40, 42), soft=3)
    under = [(0.1, 0.80), (0.9, 0.80), (0.88, 0.955), (0.12, 0.955)]
    easel.shape(under, (20, 20, 22), (14, 14, 16))
    body = _symmetric([(0.05, 0.91), (0.012, 0.82), (0.02, belt + 0.07), (0.07, belt)])
    easel.shape(body, _shade(colour, 1.0, 22), _shade(colour, 0.45), soft=3)


def rear(colour: Colour, lights: Lights, *, tall: bool) -> Painting:
    """Paint what a driver behind sees."""
    easel = _Easel(_END_PIXELS)
    belt = 0.30 if tall else 0.40
    _paint_cabin(easel, colour, belt)
    _paint_body(easel, colour, belt)
    glass = _symmetric([(0.14, belt + 0.01), (0.225, 0.10)])
    easel.shape(glass, (92, 104, 114), (30, 34, 38), soft=3)
    for seat in (0.30, 0.58):
        head = [(seat, belt), (seat + 0.01, belt - 0.11), (seat + 0.11, belt - 0.11)]
        easel.shape([*head, (seat + 0.12, belt)], (24, 26, 28), (20, 22, 24), soft=3)
    lamp = {"off": ((128, 22, 22), (92, 12, 14)), "brake": ((255, 92, 70), (255, 46, 36))}
    amber = ((255, 176, 60), (250, 130, 24))
    for mirror in (False, True):
        outline = [(0.03, belt + 0.08), (0.2, belt + 0.1), (0.16, belt + 0.24), (0.03, belt + 0.26)]
        points = [(1 - x, y) for x, y in outline] if mirror else outline
        easel.shape(points, *(amber if lights == "hazard" else lamp[lights]), soft=2)
    easel.shape(_symmetric([(0.36, 0.66), (0.36, 0.59)]), (226, 226, 218), (204, 204, 198))
    for stroke in np.linspace(0.39, 0.59, 7):
        easel.shape(
            [(stroke, 0.605), (stroke + 0.02, 0.605), (stroke + 0.02, 0.645), (stroke, 0.645)],
            (46, 48, 56),
            (46, 48, 56),
        )
    easel.shape(_symmetric([(0.02, 0.83), (0.015, 0.73)]), _shade(colour, 0.9, 20), (34, 35, 37))
    easel.shape(_symmetric([(0.02, 0.735), (0.02, 0.722)]), _shade(colour, 1.1, 60), (70, 70, 72))
    for x in (0.1, 0.9):
        if lights == "brake":
            easel.glow(x, belt + 0.16, 0.16, (110, 20, 12))
        elif lights == "hazard":
            easel.glow(x, belt + 0.16, 0.15, (84, 44, 4))
    return easel.picture()


def front_cabin(colour: Colour, *, tall: bool) -> Painting:
    """Paint windscreen and roof, and the bonnet running from there towards the viewer."""
    easel = _Easel(_END_PIXELS)
    belt = _FRONT_BELT[tall]
    _paint_cabin(easel, colour, belt)
    slope = _symmetric([(0.03, 0.8), (0.03, belt + 0.04), (0.09, belt - 0.02)])
    easel.shape(slope, _shade(colour, 1.1, 56), _shade(colour, 0.6), soft=3)
    glass = _symmetric([(0.12, belt), (0.215, 0.09)])
    easel.shape(glass, (120, 136, 148), (40, 46, 50), soft=3)
    driver = [(0.58, belt), (0.6, belt - 0.17), (0.68, belt - 0.17), (0.72, belt)]
    easel.shape(driver, (44, 42, 42), (30, 32, 34), soft=4)
    return easel.picture()


def front(colour: Colour, *, tall: bool) -> Painting:
    """Paint what is below the windscreen."""
    easel = _Easel(_END_PIXELS)
    belt = _FRONT_BELT[tall]
    _paint_body(easel, colour, belt)
    bonnet = _symmetric([(0.1, belt + 0.14), (0.14, belt + 0.01)])
    easel.shape(bonnet, _shade(colour, 1.1, 56), _shade(colour, 0.95, 12), soft=2)
    for mirror in (False, True):
        outline = [(0.05, belt + 0.13), (0.24, belt + 0.17), (0.22, belt + 0.24)]
        outline.append((0.05, belt + 0.22))
        points = [(1 - x, y) for x, y in outline] if mirror else outline
        easel.shape(points, (240, 242, 238), (168, 174, 178), soft=2)
    easel.shape(_symmetric([(0.3, 0.68), (0.27, belt + 0.18)]), (26, 27, 29), (42, 43, 45), soft=2)
    easel.shape(_symmetric([(0.37, 0.76), (0.37, 0.70)]), (222, 222, 214), (206, 206, 200))
    easel.shape(_symmetric([(0.14, 0.85), (0.1, 0.78)]), (30, 31, 33), (22, 23, 25), soft=2)
    for x in (0.14, 0.86):
        easel.glow(x, belt + 0.18, 0.09, (70, 70, 60))
    return easel.picture()


def side(colour: Colour, *, tall: bool) -> Painting:
    """Paint the left flank, front to the left."""
    easel = _Easel(_SIDE_PIXELS)
    nose = 0.50 if not tall else 0.48
    outline = [(0.01, 0.82), (0.0, nose + 0.08), (0.03, nose), (0.22, nose - 0.08)]
    roof = [(0.36, 0.04), (0.5, 0.015), (0.86, 0.03), (0.985, nose - 0.08), (1.0, 0.8)]
    if tall:
        roof = [(0.3, 0.03), (0.36, 0.01), (0.98, 0.01), (1.0, 0.1), (1.0, 0.82)]
    easel.shape([*outline, *roof], _shade(colour, 1.1, 44), _shade(colour, 0.5), soft=3)
    windows = [[(0.27, 0.4), (0.38, 0.1), (0.56, 0.09), (0.56, 0.4)]]
    if not tall:
        windows.append([(0.585, 0.4), (0.585, 0.09), (0.83, 0.11), (0.91, 0.38)])
    else:
        windows = [[(0.22, 0.4), (0.31, 0.09), (0.42, 0.09), (0.42, 0.4)]]
    for window in windows:
        easel.shape(window, (104, 118, 128), (34, 38, 42), soft=2)
    sill = [(0.1, 0.78), (0.9, 0.78), (0.9, 0.86), (0.1, 0.86)]
    easel.shape(sill, (38, 39, 41), (20, 20, 22))
    for x in (0.19, 0.81):
        easel.disc(x, 0.80, 0.205, (18, 18, 20))
        easel.disc(x, 0.825, 0.175, (34, 34, 36))
        easel.disc(x, 0.825, 0.105, (136, 140, 144))
        easel.disc(x, 0.825, 0.03, (52, 54, 56))
    for seam in (0.57, 0.30):
        line = [(seam, 0.42), (seam + 0.004, 0.42), (seam + 0.004, 0.78), (seam, 0.78)]
        easel.shape(line, _shade(colour, 0.4), _shade(colour, 0.3))
    return easel.picture()
