"""Wish: what a prompt asks of a drawn scene: which one, at what time of day, in what weather."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

Light = Literal["day", "dusk", "night"]
Weather = Literal["clear", "rain", "fog", "snow"]

_SCENES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "drive": "drive driving road street highway motorway freeway lane traffic dashcam dashboard"
        " windscreen windshield motorist roadside country",
        "yard": "yard courtyard carpark park parking lot warehouse gate fence entrance factory"
        " depot outdoor outdoors outside premises loading dock footpath path pavement sidewalk"
        " building shed industrial square plaza pedestrian",
        "corridor": "corridor hallway hall passage indoor indoors inside office hospital school"
        " lobby aisle basement tunnel hotel ward stairwell",
    }
)
_LIGHTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "night": "night nighttime nightly midnight dark darkness nocturnal",
        "dusk": "dusk dawn evening sunset sunrise twilight",
        "day": "day daytime daylight noon midday morning afternoon sunny bright",
    }
)
_WEATHERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rain": "rain rainy raining drizzle wet storm stormy downpour shower",
        "fog": "fog foggy mist misty haze hazy",
        "snow": "snow snowy snowing snowfall winter blizzard",
        "clear": "clear sunny dry cloudless",
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be drawn."""

    scene: str
    light: Light
    weather: Weather


def wish_of(prompt: str, seed: int) -> Wish:
    """Read a prompt. Of several words for the same thing the most frequent kind counts, then the
    one named first; where none is said, the seed decides the scene, and it is a clear day.

    Words that mean nothing here are passed over.
    """
    words = re.findall(r"[a-z]+", prompt.lower())
    scene = _chosen(words, _SCENES)
    if scene is None:
        scene = str(np.random.default_rng([abs(seed), 21]).choice(list(_SCENES)))
    light = _chosen(words, _LIGHTS)
    weather = _chosen(words, _WEATHERS)
    return Wish(scene, _LIGHT_OF.get(light or "", "day"), _WEATHER_OF.get(weather or "", "clear"))


_LIGHT_OF: Final[Mapping[str, Light]] = MappingProxyType(
    {"night": "night", "dusk": "dusk", "day": "day"}
)
_WEATHER_OF: Final[Mapping[str, Weather]] = MappingProxyType(
    {"rain": "rain", "fog": "fog", "snow": "snow", "clear": "clear"}
)


def _chosen(words: list[str], kinds: Mapping[str, str]) -> str | None:
    """Give the kind that most words name; of equals the one that is named first."""
    named = [kind for word in words for kind, known in kinds.items() if _means(word, known)]
    return max(dict.fromkeys(named), key=named.count, default=None)


def _means(word: str, known: str) -> bool:
    return word in known.split() or (word.endswith("s") and word[:-1] in known.split())
