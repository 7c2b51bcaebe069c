"""Debris: a box falls on the way, tumbles and lies; its harmless twin is blown past."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.cutout import Cutout, contact_shadow
from edgewatch.pipeline.scenes.incidents.collage import lay, shadow
from edgewatch.pipeline.scenes.incidents.course import Course, Spot, course_of
from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of

_TALL_METRES: Final = 0.6
_FALLS_SECONDS: Final = 0.55
_BOUNCES: Final = ((0.32, 0.35), (0.2, 0.12))
"""Seconds and height, in those of the thing, of each bounce after the fall."""
_FINE: Final = 3
_FADES_SECONDS: Final = 0.3
_RIMS: Final = ((0.0, 0.78), (0.08, 1.0))
"""How far inside a side begins, and how bright it is: edges are worn and dark."""
_SUN: Final = np.array((-0.45, -0.75, -0.5))
"""Where light comes from: x, y down, z towards the viewer."""
_SIDES: Final = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
_CORNERS: Final = np.array(
    [(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)]
)

_THINGS: Final = (
    ((1.25, 1.0, 0.9), (0.66, 0.50, 0.33)),
    ((2.4, 0.55, 0.5), (0.50, 0.40, 0.28)),
    ((1.0, 1.0, 1.0), (0.24, 0.28, 0.33)),
    ((1.6, 0.8, 1.1), (0.60, 0.60, 0.57)),
)
"""Measures and albedo: a cardboard box, a beam, a crate, a white appliance."""
_BLOWN: Final = (
    ((0.9, 1.0, 0.28), (0.68, 0.54, 0.37)),
    ((1.0, 0.8, 0.18), (0.86, 0.86, 0.84)),
    ((0.7, 0.75, 0.06), (0.42, 0.34, 0.14)),
)
"""A paper bag, a plastic bag, a leaf."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block that can be seen from any side."""

    measures: tuple[float, float, float]
    albedo: tuple[float, float, float]

    @property
    def footprint(self) -> tuple[float, float]:
        """Width and depth of what it covers as it lies, in its own heights."""
        return self.measures[0] / self.measures[1], self.measures[2] / self.measures[1]

    def cutout(
        self, middle: tuple[float, float], size: float, turn: npt.NDArray[np.float64]
    ) -> Cutout:
        """Draw it about `middle`, `size` pixels high as it lies, turned by a rotation matrix."""
        scale = size / self.measures[1]
        corners = (_CORNERS * self.measures) @ turn.T * scale
        reach = np.abs(corners[:, :2]).max(axis=0)
        left, top = (int(np.floor(m - r)) - 2 for m, r in zip(middle, reach, strict=True))
        width, height = (int(np.ceil(2 * r)) + 5 for r in reach)
        layer = np.zeros((height * _FINE, width * _FINE, 4), np.uint8)
        places = (corners[:, :2] + middle - (left, top)) * _FINE
        sun = _SUN / np.linalg.norm(_SUN)
        for side in _SIDES:
            one, two, three = (corners[index] for index in side[:3])
            normal = np.cross(two - one, three - two)
            outward = normal * np.sign(normal @ corners[list(side)].mean(axis=0))
            outward = outward / max(float(np.linalg.norm(outward)), 1e-9)
            # z grows towards the viewer: sides that look away are hidden.
            if outward[2] <= 0:
                continue
            bright = 0.5 + 0.55 * max(0.0, float(outward @ (sun * (1, 1, -1))))
            colour = [255.0 * bright * part for part in self.albedo]
            corners_of_side = places[list(side)]
            for inset, tone in _RIMS:
                inner = corners_of_side + inset * (corners_of_side.mean(axis=0) - corners_of_side)
                points = np.rint(inner * 16 - 8).astype(np.int32)
                shaded = [tone * channel for channel in colour]
                cv2.fillConvexPoly(layer, points, (*shaded, 255.0), cv2.LINE_AA, 4)
            self._stripe(layer, corners_of_side, colour)
        small = cv2.resize(layer, (width, height), interpolation=cv2.INTER_AREA)
        return Cutout(np.asarray(small, np.uint8), left, top)

    def _stripe(
        self,
        layer: npt.NDArray[np.uint8],
        side: npt.NDArray[np.float64],
        colour: list[float],
    ) -> None:
        """Draw a band across the middle of a side: tape, a slat, a crease."""
        one, two, three, four = side
        band = [one + part * (two - one) for part in (0.44, 0.56)]
        band += [four + part * (three - four) for part in (0.56, 0.44)]
        points = np.rint(np.array(band) * 16 - 8).astype(np.int32)
        shaded = [min(255.0, 1.18 * channel) for channel in colour]
        cv2.fillConvexPoly(layer, points, (*shaded, 255.0), cv2.LINE_AA, 4)


class Debris:
    """A thing that falls, bounces and lies where it must not; a `Drawing`.

    From a moving vehicle it lies there already and comes nearer.
    """

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._block = _Block(*_THINGS[int(rng.integers(len(_THINGS)))])
        self._course: Course = course_of(placement, _TALL_METRES)
        self._driving = placement.camera == "driving"
        self._height = placement.height
        self._comes = (1.0 if rng.random() < 0.5 else -1.0) * float(rng.uniform(1.5, 3.0))
        self._lies = float(rng.uniform(-0.5, 0.5))
        self._spins = float(rng.uniform(7.0, 11.0))
        self._splinters = [_Block((1.6, 0.5, 0.8), self._block.albedo) for _ in range(3)]
        self._strewn = rng.uniform((-2.2, -0.25), (2.2, 0.35), (3, 2))

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is cleared away."""
        return self._course.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is debris: from its fall on."""
        return age_seconds >= 0

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which it falls and lies."""
        spot = self._course.at(age_seconds)
        (x, y), tall = spot.foot_pixels(shape), spot.height_pixels(shape)
        drop = 0.0 if self._driving or age_seconds > self._rests() else 3.4
        wide = 3.6 * tall + 4
        return region_of(shape, x - wide, y - (1.7 + drop) * tall - 4, x + wide, y + tall + 4)

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw it, its splinters and their shadows."""
        spot = self._course.at(age_seconds)
        tall = max(1.5, spot.height_pixels(patch.shape))
        x, y = spot.foot_pixels(patch.shape)
        up, aside, turned = self._flight(age_seconds)
        clear = spot.clear if self._driving else self._left(age_seconds)
        onto = patch.before.copy()
        landed = self._driving or age_seconds >= _FALLS_SECONDS
        for block, (across, down) in zip(self._splinters, self._strewn, strict=True):
            thrown = 1.0 if self._driving else _slowing(age_seconds - _FALLS_SECONDS, 0.5)
            if landed and thrown > 0.05:
                place = (x + across * thrown * tall, y + down * tall)
                _put(onto, patch, block, place, 0.22 * tall, 3.0 * across + 2 * thrown, clear)
        wide, deep = self._block.footprint
        shade = contact_shadow(
            (x + aside * tall, y + 0.1 * tall),
            (1.3 * wide + 0.6 * up) * tall,
            0.75 * deep * tall,
            0.8 / (1.0 + up),
        )
        shadow(onto, patch, shade, clear)
        turn = _turn(self._lies, turned)
        middle = (x + aside * tall, y - (0.5 + up) * tall)
        lay(onto, patch, self._block.cutout(middle, tall, turn), clear)
        return onto

    def _rests(self) -> float:
        return _FALLS_SECONDS + sum(seconds for seconds, _ in _BOUNCES)

    def _left(self, age: float) -> float:
        return min(1.0, max(0.0, (self.lasts_seconds - age) / _FADES_SECONDS))

    def _flight(self, age: float) -> tuple[float, float, float]:
        """Give height over the ground and way aside, in its own heights, and turn in radians."""
        if self._driving:
            return 0.0, 0.0, 0.0
        slides = 1.0 - _slowing(age, self._rests())
        turned = -np.sign(self._comes) * self._spins * slides
        if age < _FALLS_SECONDS:
            return 3.2 * (1.0 - (age / _FALLS_SECONDS) ** 2), self._comes * slides, turned
        since = age - _FALLS_SECONDS
        for seconds, high in _BOUNCES:
            if since < seconds:
                part = since / seconds
                return 4 * high * part * (1 - part), self._comes * slides, turned
            since -= seconds
        return 0.0, 0.0, 0.0


class Blown:
    """A bag or a leaf that the wind carries past; a `Drawing`, a harmless twin."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._block = _Block(*_BLOWN[int(rng.integers(len(_BLOWN)))])
        self._placement = placement
        self._way = 1.0 if rng.random() < 0.5 else -1.0
        self._lasts = min(placement.lasts_seconds, float(rng.uniform(2.2, 3.2)))
        self._hops = float(rng.uniform(1.1, 1.7))
        self._spins = float(rng.uniform(4.0, 7.0))
        self._phase = float(rng.uniform(0, np.pi))

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is out of the picture."""
        return self._lasts

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which it is just now."""
        spot, up = self._at(age_seconds)
        (x, y), tall = spot.foot_pixels(shape), spot.height_pixels(shape)
        return region_of(
            shape, x - 1.6 * tall - 4, y - (up + 1.6) * tall - 4, x + 1.6 * tall + 4, y + tall + 4
        )

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw it in flight, and its faint shadow."""
        spot, up = self._at(age_seconds)
        tall = max(1.5, spot.height_pixels(patch.shape))
        x, y = spot.foot_pixels(patch.shape)
        onto = patch.before.copy()
        shadow(onto, patch, contact_shadow((x, y), 1.2 * tall, 0.4 * tall, 0.5 / (1.0 + up)))
        turn = _turn(self._phase + 1.7 * age_seconds, self._way * self._spins * age_seconds)
        lay(onto, patch, self._block.cutout((x, y - (0.5 + up) * tall), tall, turn))
        return onto

    def _at(self, age: float) -> tuple[Spot, float]:
        """Give where its shadow is, and how high it flies, in its own heights."""
        part = age / self._lasts
        margin = 0.08 + 1.2 * self._placement.height
        x = -margin + (1.0 + 2 * margin) * part
        up = 1.3 * abs(float(np.sin(np.pi * self._hops * age + self._phase)))
        foot = self._placement.foot[1]
        return Spot(x if self._way > 0 else 1.0 - x, foot, self._placement.height), up


def _put(
    onto: Light,
    patch: Patch,
    block: _Block,
    foot: tuple[float, float],
    tall: float,
    turned: float,
    clear: float,
) -> None:
    shadow(onto, patch, contact_shadow(foot, 2.2 * tall, 0.6 * tall, 0.6), clear)
    turn = _turn(turned, 0.0)
    lay(onto, patch, block.cutout((foot[0], foot[1] - 0.5 * tall), tall, turn), clear)


def _turn(about: float, over: float) -> npt.NDArray[np.float64]:
    """Turn about the upright axis, roll over in the picture, and look down on it a little."""
    spin = np.array(
        [
            (np.cos(about), 0, np.sin(about)),
            (0, 1, 0),
            (-np.sin(about), 0, np.cos(about)),
        ]
    )
    roll = np.array([(np.cos(over), -np.sin(over), 0), (np.sin(over), np.cos(over), 0), (0, 0, 1)])
    tilt = 0.3
    down = np.array([(1, 0, 0), (0, np.cos(tilt), np.sin(tilt)), (0, -np.sin(tilt), np.cos(tilt))])
    return np.asarray(down @ roll @ spin, np.float64)


def _slowing(age: float, seconds: float) -> float:
    """Go from 0 to 1 in `seconds`, ever more slowly."""
    part = min(1.0, max(0.0, age / seconds))
    return 1.0 - (1.0 - part) ** 2
