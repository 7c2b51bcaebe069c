"""Compose: put an incident into a fixed camera's footage, with exact truth about its pixels."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.incidents.firelight import bell, charred, lit
from edgewatch.pipeline.scenes.incidents.flame import Flame
from edgewatch.pipeline.scenes.incidents.grain import (
    LEAST_CHANGE,
    Light,
    difference,
    grain,
    largest,
    noise_sigma,
)
from edgewatch.pipeline.scenes.incidents.smoke import Smoke, Wind
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels

_FLASH_SECONDS: Final = 0.5
_DYING_SECONDS: Final = 2.0
_SMOKE_LIFE_SECONDS: Final = 4.6


class FlashFire:
    """Something bursts into flame: a flash, a fire, a growing plume of smoke; then it dies.

    The footage keeps its own exposure and grain: smoke is as bright as daylight in the picture
    makes it, and what is drawn gets the noise that is measured beside it.
    """

    def __init__(
        self,
        seed: int,
        *,
        foot: tuple[float, float],
        flame_height: float,
        begins_seconds: float,
        burns_seconds: float,
    ) -> None:
        """`foot`: where it burns, x and y in parts of the picture's width and height;
        `flame_height` in parts of its height. Raises ValueError if it burns too short."""
        if burns_seconds <= _DYING_SECONDS:
            raise ValueError(f"burns_seconds must be more than {_DYING_SECONDS}")
        self._seed = seed
        rng = np.random.default_rng(seed)
        self._foot, self._flame_height = foot, flame_height
        self.begins_seconds = begins_seconds
        self._burns = burns_seconds
        self._flame = Flame(rng)
        self._smoke = Smoke(
            rng,
            begins_seconds=0.0,
            ends_seconds=burns_seconds - 0.5 * _DYING_SECONDS,
            puffs_per_second=20.0,
            life_seconds=_SMOKE_LIFE_SECONDS,
            wind=Wind(rise=1.75, drift=0.36),
            thickness=1.6,
        )

    @property
    def kind(self) -> IncidentKind:
        """What it is."""
        return "fire"

    @property
    def ends_seconds(self) -> float:
        """Time from which on nothing is left of it."""
        return self.begins_seconds + max(self._burns, self._smoke.gone_seconds)

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Draw the moment into a picture; outside the truth's mask no pixel is touched.

        Takes and gives uint8 RGB, shape (height, width, 3). `time_seconds` is media time.
        """
        age = time_seconds - self.begins_seconds
        if age < 0 or time_seconds >= self.ends_seconds:
            return pixels, FrameTruth(time_seconds)
        before = pixels.astype(np.float32)
        after = self._with_fire(before, age)
        changed = largest(np.abs(after - before)) >= LEAST_CHANGE
        if not changed.any():
            return pixels, FrameTruth(time_seconds)
        after += grain(before, after, noise_sigma(before), self._seed, time_seconds)
        drawn = np.clip(np.rint(after), 0, 255).astype(np.uint8)
        changed &= difference(drawn, pixels)
        composed = np.where(changed[..., None], drawn, pixels)
        composed.setflags(write=False)
        return composed, FrameTruth(time_seconds, "fire", changed)

    def _with_fire(self, before: Light, age: float) -> Light:
        height, width = before.shape[:2]
        foot = (self._foot[0] * width, self._foot[1] * height)
        tall = self._flame_height * height
        strength = self._strength(age)
        picture = lit(before, foot, tall, strength * self._flicker(age))
        picture = charred(picture, foot, tall, min(1.0, age / 1.5) * self._remains(age))
        self._flame.burn(picture, foot, max(1.0, tall * strength), age, min(1.0, 2.0 * strength))
        picture = self._with_smoke(picture, before, foot, tall, age)
        return _flashed(picture, foot, tall, max(0.0, 1.0 - age / _FLASH_SECONDS))

    def _with_smoke(
        self, picture: Light, before: Light, foot: tuple[float, float], tall: float, age: float
    ) -> Light:
        source = (foot[0], foot[1] - 0.45 * tall)
        cover, light = self._smoke.layer(picture.shape[:2], source, tall, age)
        daylight = float(np.percentile(before, 80))
        tone = daylight * (0.13 + 0.55 * light)[..., None] * np.array((1.0, 0.98, 0.95))
        rows = np.arange(picture.shape[0], dtype=np.float32)[:, None]
        near_fire = np.exp(-np.clip(source[1] - rows, 0, None) / (0.7 * tall))[..., None]
        glow = 70.0 * self._strength(age) * self._flicker(age) * near_fire
        tone = tone + glow * np.array((1.0, 0.5, 0.15))
        mixed = picture + (tone - picture) * (0.94 * cover[..., None])
        return np.asarray(mixed, np.float32)

    def _strength(self, age: float) -> float:
        """Height of the flames over time, 1 when it burns well."""
        burst = 0.55 * np.exp(-age / 0.45)
        grown = 0.55 + 0.45 * min(1.0, age / 3.0)
        dying = np.clip((self._burns - age) / _DYING_SECONDS, 0, 1)
        return float((burst + grown) * dying)

    def _remains(self, age: float) -> float:
        """The charred spot is blown away with the last smoke."""
        left = self._smoke.gone_seconds - age
        return float(np.clip(left / _SMOKE_LIFE_SECONDS, 0, 1))

    def _flicker(self, age: float) -> float:
        beat = np.sin(2 * np.pi * 7.3 * age) + 0.7 * np.sin(2 * np.pi * 11.9 * age + 1.0)
        return float(0.85 + 0.09 * beat)


def _flashed(picture: Light, foot: tuple[float, float], tall: float, amount: float) -> Light:
    """The burst of light at the beginning: overexposed in the middle, bloom around."""
    if amount <= 0:
        return picture
    middle = (foot[0], foot[1] - 0.35 * tall)
    core = 1.5 * bell(picture.shape, middle, 0.5 * tall, flat=1.15)
    bloom = 0.4 * bell(picture.shape, middle, 1.7 * tall, flat=0.9)
    warm = np.array((1.0, 0.93, 0.76), np.float32)
    amount_seen = np.clip(np.float32(amount**1.5) * (core + bloom), 0, 1)
    return picture + (255.0 * warm - picture) * amount_seen
