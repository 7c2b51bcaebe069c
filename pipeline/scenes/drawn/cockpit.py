"""Cockpit: the bonnet at the lower edge and, after an impact, how it buckles, steams and breaks."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.smoke import Smoke, Wind
from edgewatch.pipeline.scenes.sprite import Canvas, Haze, blend

_COLUMNS: Final = 33
_BONNET_HEIGHT: Final = 0.075
"""Rise of the bonnet's edge above the lower border, in picture heights."""
_BUCKLED_HEIGHT: Final = 0.15
_FRAGMENTS: Final = 46
_CLEAR: Final = Haze((0.0, 0.0, 0.0), 0.0)
_STEAM_SECONDS: Final = 60.0


class Cockpit:
    """What belongs to the own car: always at the same place in the picture."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self._size = size
        self._folds = np.abs(
            np.interp(np.linspace(0, 1, _COLUMNS), np.linspace(0, 1, 9), rng.uniform(0.35, 1.0, 9))
        )
        self._whole = self._bands(0.0)
        self._steam = Smoke(
            rng,
            begins_seconds=0.25,
            ends_seconds=_STEAM_SECONDS,
            puffs_per_second=9.0,
            life_seconds=3.2,
            wind=Wind(rise=0.55, drift=0.12),
            thickness=0.75,
        )
        self._cracks = _cracks(rng, size)
        self._fragments = _Fragments(rng)

    def draw(self, picture: Canvas, since_impact_seconds: float | None) -> None:
        """Draw the bonnet, and the damage if there is any, in place."""
        since = since_impact_seconds
        if since is not None:
            self._fragments.draw(picture, since)
        self._draw_bonnet(picture, 0.0 if since is None else min(1.0, since / 0.12))
        if since is not None:
            self._draw_steam(picture, since)
            blend(picture, self._cracks, _CLEAR)

    def _draw_bonnet(self, picture: Canvas, buckled: float) -> None:
        if buckled == 0.0:
            for points, colour in self._whole:
                cv2.fillPoly(picture, [points], colour, cv2.LINE_AA, 4)
            return
        columns, edge = self._edge(buckled)
        for points, colour in self._bands(buckled):
            cv2.fillPoly(picture, [points], colour, cv2.LINE_AA, 4)
        self._draw_creases(picture, columns, edge, buckled)

    def _edge(self, buckled: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Columns and rows of the bonnet's far edge."""
        width, height = self._size
        place = np.linspace(-1, 1, _COLUMNS)
        smooth = _BONNET_HEIGHT * (1.0 - 0.55 * place**2 - 0.25 * place**8)
        tent = _BUCKLED_HEIGHT * (1.0 - 0.5 * np.abs(place)) * self._folds
        edge = height * (1.0 - smooth - buckled * tent)
        return (place + 1) / 2 * width, edge

    def _bands(
        self, buckled: float
    ) -> list[tuple[npt.NDArray[np.int32], tuple[float, float, float]]]:
        """Shapes and their colours, from the far edge inwards."""
        width, height = self._size
        columns, edge = self._edge(buckled)
        bands = []
        for depth in np.linspace(0, 1, 7):
            # Bands from the far edge inwards: the sky's reflection fades towards the windscreen.
            tone = 34 + 40 * (1 - depth) ** 2
            ragged = buckled * 26 * (self._folds.mean() - 0.5) * depth
            line = edge + (height - edge) * depth * 0.8
            outline = np.column_stack([columns, line])
            closed = np.vstack([outline, [(width, height + 2), (0, height + 2)]])
            colour = (tone + ragged, tone + 3 + ragged, tone + 8 + ragged)
            bands.append((np.rint(closed * 16).astype(np.int32), colour))
        return bands

    def _draw_creases(
        self,
        picture: Canvas,
        columns: npt.NDArray[np.float64],
        edge: npt.NDArray[np.float64],
        buckled: float,
    ) -> None:
        width, height = self._size
        for index in range(4, _COLUMNS - 4, 4):
            lit = 150 if index % 8 else 20
            start = (int(columns[index] * 16), int((edge[index] + 2) * 16))
            towards = 0.5 * (columns[index] + width / 2)
            end = (int(towards * 16), int((edge[index] + buckled * 0.07 * height) * 16))
            cv2.line(picture, start, end, (lit, lit, lit + 4), 1, cv2.LINE_AA, 4)

    def _draw_steam(self, picture: Canvas, since_seconds: float) -> None:
        width, height = self._size
        half = (height // 2, width // 2)
        source = (0.47 * half[1], 0.97 * half[0])
        cover, light = self._steam.layer(half, source, 0.5 * half[0], since_seconds)
        cover = np.asarray(cv2.resize(cover, (width, height)), np.float32)[..., None] * 0.85
        light = np.asarray(cv2.resize(light, (width, height)), np.float32)[..., None]
        steam = np.array((150, 153, 158), np.float32) + 75 * light
        picture[...] = np.clip(picture + (steam - picture) * cover, 0, 255)


class _Fragments:
    """Splinters of lamp and bumper that fly off at the impact."""

    def __init__(self, rng: np.random.Generator) -> None:
        count = _FRAGMENTS
        self._start = rng.uniform((0.25, 0.62), (0.75, 0.86), (count, 2))
        self._speed = rng.normal((0.0, -0.75), (0.7, 0.4), (count, 2))
        self._size = rng.uniform(0.004, 0.015, count)
        self._spin = rng.uniform(-14, 14, count)
        shapes = rng.uniform(-1, 1, (count, 2, 2))
        self._shapes = np.concatenate([shapes, -shapes * rng.uniform(0.3, 1, (count, 1, 1))], 1)
        palette = np.array([(30, 31, 34), (190, 194, 198), (186, 40, 34), (226, 150, 50)])
        self._colours = palette[rng.choice(4, count, p=(0.4, 0.3, 0.2, 0.1))]

    def draw(self, picture: Canvas, since_seconds: float) -> None:
        """Draw those still in the air."""
        if since_seconds > 1.6:
            return
        height, width = picture.shape[:2]
        place = self._start + self._speed * since_seconds
        place[:, 1] += 0.5 * 2.6 * since_seconds**2
        angle = self._spin * since_seconds
        for index in np.flatnonzero(place[:, 1] < 1.05):
            cosine, sine = np.cos(angle[index]), np.sin(angle[index])
            turn = np.array([(cosine, -sine), (sine, cosine)])
            shape = self._shapes[index] @ turn * self._size[index] * height
            centre = place[index] * (width, height)
            hull = cv2.convexHull(np.rint((shape + centre) * 16).astype(np.int32))
            colour = tuple(int(channel) for channel in self._colours[index])
            cv2.fillConvexPoly(picture, hull, colour, cv2.LINE_AA, 4)


def _cracks(rng: np.random.Generator, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Draw a star of cracks in the windscreen, as a layer."""
    width, height = size
    lines = np.zeros((height, width), np.uint8)
    centre = np.array((0.72 * width, 0.34 * height))
    angles = np.sort(rng.uniform(0, 2 * np.pi, 15))
    rays = []
    for angle in angles:
        points, heading, place = [centre], float(angle), centre
        for _ in range(int(rng.integers(3, 9))):
            heading += float(rng.normal(0, 0.16))
            stride = height * float(rng.uniform(0.03, 0.065))
            place = place + stride * np.array((np.cos(heading), np.sin(heading)))
            points.append(place)
        rays.append(np.array(points))
    for ray in rays:
        cv2.polylines(lines, [np.rint(ray * 16).astype(np.int32)], False, 170, 1, cv2.LINE_AA, 4)
    for step in (1, 2):
        for ray, following in pairwise(rays):
            if rng.uniform() < 0.65:
                chord = np.rint(np.array([ray[step], following[step]]) * 16).astype(np.int32)
                cv2.polylines(lines, [chord], False, 130, 1, cv2.LINE_AA, 4)
    alpha = np.asarray(lines, np.float32) * 0.75
    layer = np.dstack([alpha * tone for tone in (0.90, 0.93, 0.95)] + [alpha])
    return np.rint(layer).astype(np.uint8)
