"""Water: rises over the ground in the picture; its harmless twin is a puddle that shimmers."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.grain import Light
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.incidents.mixing import mixed, tripled
from edgewatch.pipeline.scenes.incidents.overlay import Patch
from edgewatch.pipeline.scenes.incidents.region import Region, region_of
from edgewatch.pipeline.scenes.noise import Field, fractal

_TEXTURE_PIXELS: Final = 256
_RISES_PART: Final = 0.6
"""Of its time a flood rises; then it stands until it has run off."""
_RUNS_OFF_SECONDS: Final = 0.8
_BELOW_HORIZON: Final = 0.03
_UNEVEN_REACH: Final = 0.9
"""Water reaches so far above its line where the ground is low, in parts of its height."""
_NEAREST_ROWS: Final = 0.06
"""Rows below the horizon, in parts of the picture, at which the water's pattern is finest."""


class _Surface:
    """Ground that is uneven, and water on it up to some level."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._ground = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=4, octaves=4)
        self._ripples = fractal(rng, _TEXTURE_PIXELS, _TEXTURE_PIXELS, cells=14, octaves=3)
        self._horizon = placement.horizon
        self._foot = placement.foot
        self._mud = np.array((0.30, 0.27, 0.21), np.float32) * float(rng.uniform(0.85, 1.15))

    def top(self, height: float) -> float:
        """Tell which row the water may reach, in parts of the picture's height."""
        return max(self._horizon + _BELOW_HORIZON, self._foot[1] - height)

    def paint(self, patch: Patch, edge: float, depth: Field, age: float, calm: float) -> Light:
        """Cover the ground with water where `depth` is above 0 (1: deep).

        `edge`: the patch's row from which on things are mirrored. `calm` 0 to 1: how little it
        moves.
        """
        far = self._distance(patch)
        ripple = self._ripple(patch, far, age)
        waves = ripple * (np.float32(0.006 * patch.shape[0]) * (1.15 - far))
        above = _mirrored(patch, edge, waves)
        ripple *= np.float32(1.3 - calm)
        # A wet rim: ground darkens before water stands on it.
        wet = np.clip((depth + np.float32(0.16)) * np.float32(6.0), 0, 1)
        ground = patch.before * tripled(1.0 - np.float32(0.42) * wet)
        mud = patch.look.tone(self._mud) * tripled(1.0 + np.float32(0.10) * ripple)
        # Seen flatly, water mirrors; seen from above, it shows its mud (Schlick's Fresnel term).
        mirror = np.clip(0.25 + 0.55 * far + np.float32(0.16) * ripple, 0.08, 0.88)
        glint = np.clip(ripple - np.float32(1.35), 0, 1) * np.float32(26.0)
        water = mixed(mud, above, mirror) + tripled(glint)
        # Shallow water lets the ground through, and does not begin at once.
        body = np.clip(depth * np.float32(2.2), 0.55, 1) * np.clip(depth * np.float32(6.0), 0, 1)
        return mixed(ground, water, body)

    def uneven(self, patch: Patch) -> Field:
        """Give the ground's heights, mean 0, as seen in perspective."""
        return self._seen(patch, self._ground, 44.0, (0.0, 0.0))

    def _ripple(self, patch: Patch, far: Field, age: float) -> Field:
        one = self._seen(patch, self._ripples, 150.0, (13.0 * age, 21.0 * age))
        other = self._seen(patch, self._ripples, 110.0, (-17.0 * age + 80, 11.0 * age + 31))
        one += other
        one *= np.float32(0.7) * (1.0 - np.float32(0.5) * far)
        return one

    def _distance(self, patch: Patch) -> Field:
        """0 at the picture's lower edge, 1 near the horizon; shape (height, 1)."""
        rows = self._rows(patch)
        return np.asarray(1.0 - rows / max(1e-3, 1.0 - self._horizon), np.float32)

    def _rows(self, patch: Patch) -> Field:
        """Rows below the horizon in parts of the picture's height; shape (height, 1)."""
        rows = np.arange(patch.region.top, patch.region.bottom, dtype=np.float32) + 0.5
        below = rows / patch.shape[0] - self._horizon
        return np.asarray(np.maximum(below, _NEAREST_ROWS), np.float32)[:, None]

    def _seen(self, patch: Patch, texture: Field, fine: float, moved: tuple[float, float]) -> Field:
        """Lay a texture on the ground: a plane that runs to the horizon."""
        nearer = 0.3 / self._rows(patch)
        columns = np.arange(patch.region.left, patch.region.right, dtype=np.float32)
        aside = (columns / patch.shape[1] - 0.5)[None, :] * nearer
        # OpenCV wraps by itself; taking whole turns off keeps the numbers small and exact.
        start_x, start_y = (np.float32(np.mod(one, _TEXTURE_PIXELS)) for one in moved)
        across = aside * np.float32(fine * 1.6) + start_x
        along = np.mod(nearer * np.float32(fine * 2.2) + start_y, _TEXTURE_PIXELS)
        map_y = np.ascontiguousarray(np.broadcast_to(along, across.shape), np.float32)
        seen = cv2.remap(texture, across, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
        return np.asarray(seen, np.float32)


class Flood:
    """Water rises from the foot until it has covered `height` of the picture; a `Drawing`."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._placement = placement
        self._surface = _Surface(rng, placement)

    @property
    def lasts_seconds(self) -> float:
        """Age at which it is gone."""
        return self._placement.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is a flood: always."""
        return age_seconds >= 0

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the rows that the water may cover."""
        top = self._line(age_seconds) - _UNEVEN_REACH * max(0.05, self._placement.height)
        top = max(top, self._surface.top(1.3 * self._placement.height))
        return region_of(shape, 0, top * shape[0], shape[1], shape[0])

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the water at its level of the moment."""
        line = self._line(age_seconds)
        rows = (np.arange(patch.region.top, patch.region.bottom, dtype=np.float32) + 0.5)[:, None]
        below = rows / patch.shape[0] - line
        span = max(0.05, self._placement.height)
        depth = below / span - np.float32(0.22) * self._surface.uneven(patch)
        edge = max(0.0, line * patch.shape[0] - patch.region.top)
        return self._surface.paint(patch, edge, depth.astype(np.float32), age_seconds, calm=0.2)

    def _line(self, age: float) -> float:
        """Give the row up to which the ground is covered, in parts of the picture's height.

        It begins below the picture's lower edge and rises at an even speed.
        """
        rises = min(_RISES_PART * self.lasts_seconds, 12.0)
        risen = min(1.0, age / max(0.3, rises))
        left = min(1.0, max(0.0, (self.lasts_seconds - age) / _RUNS_OFF_SECONDS))
        highest = self._surface.top(self._placement.height)
        lowest = 1.0 + 0.12 * self._placement.height
        return lowest + (highest - lowest) * risen * left


class Puddle:
    """A puddle at the foot that shimmers while the light is on it; a `Drawing`, a harmless twin."""

    def __init__(self, rng: np.random.Generator, placement: Placement) -> None:
        self._placement = placement
        self._surface = _Surface(rng, placement)
        self._wide = float(rng.uniform(0.8, 1.2))

    @property
    def lasts_seconds(self) -> float:
        """Age at which the light has gone."""
        return self._placement.lasts_seconds

    def amiss(self, age_seconds: float) -> bool:
        """Whether it is amiss: never."""
        return False

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Give the part in which the puddle lies."""
        foot, deep = self._placement.foot, self._deep()
        top = max(self._placement.horizon + _BELOW_HORIZON, foot[1] - 1.6 * deep)
        wide = 1.9 * self._across(shape)
        return region_of(
            shape,
            foot[0] * shape[1] - wide,
            top * shape[0],
            foot[0] * shape[1] + wide,
            (foot[1] + 1.6 * deep) * shape[0],
        )

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Draw the puddle as strongly as the light shows it."""
        rows = (np.arange(patch.region.top, patch.region.bottom, dtype=np.float32) + 0.5)[:, None]
        columns = np.arange(patch.region.left, patch.region.right, dtype=np.float32)[None, :]
        foot = self._placement.foot
        down = (rows / patch.shape[0] - foot[1]) / self._deep()
        across = (columns - foot[0] * patch.shape[1]) / self._across(patch.shape)
        depth = 0.7 * (1.0 - down**2 - across**2) + 0.35 * self._surface.uneven(patch)
        edge = max(0.0, (foot[1] - self._deep()) * patch.shape[0] - patch.region.top)
        drawn = self._surface.paint(patch, edge, depth.astype(np.float32), age_seconds, calm=0.0)
        left = self.lasts_seconds - age_seconds
        amount = np.float32(max(0.0, min(1.0, age_seconds / 1.5, left / 1.5)))
        return np.asarray(patch.before + (drawn - patch.before) * amount, np.float32)

    def _deep(self) -> float:
        return max(0.02, 0.3 * self._placement.height)

    def _across(self, shape: tuple[int, int]) -> float:
        return 2.6 * self._wide * self._deep() * shape[0]


def _mirrored(patch: Patch, edge: float, shift: Field) -> Light:
    """Mirror what is in the patch about its row `edge`; what lies above the patch is not known,
    so its first row stands for it."""
    height, width = patch.region.shape
    rows = np.arange(height, dtype=np.float32)[:, None]
    columns = np.arange(width, dtype=np.float32)[None, :]
    # Less than the whole way: ground that rises away from the viewer mirrors what is nearer.
    source = np.abs(edge - 0.8 * (rows - edge)) + shift
    map_x = np.ascontiguousarray(columns + 0.6 * shift, np.float32)
    map_y = np.ascontiguousarray(np.clip(source, 0, height - 1), np.float32)
    mirrored = cv2.remap(patch.before, map_x, map_y, cv2.INTER_LINEAR, None, cv2.BORDER_REFLECT)
    # Waves smear what is upright, most of all downwards.
    return np.asarray(cv2.blur(mirrored, (1, max(1, round(0.02 * patch.shape[0])))), np.float32)
