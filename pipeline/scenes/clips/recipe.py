"""A recipe: all that a clip is made of, so that it can be made again, pixel by pixel."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, get_args

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused
from edgewatch.pipeline.scenes.drawn.table import SCENES, camera_kind, horizon
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement
from edgewatch.pipeline.scenes.moving.light import LIGHTS, Light
from edgewatch.pipeline.scenes.moving.path import MOTIONS, Motion
from edgewatch.pipeline.scenes.moving.weather import WEATHERS, Weather
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, IncidentKind

SCHEMA: Final = 1
_KINDS: Final[tuple[str, ...]] = get_args(IncidentKind)
_LEAST_PIXELS, _MOST_PIXELS = 32, 4096
_MOST_FRAMES: Final = 100_000
_ID_LETTERS: Final = 20
"""80 bits of the hash: no two recipes meet."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One clip. Two equal recipes give the same pixels (with the same numpy and OpenCV)."""

    seed: int
    scene: str = "drive"
    """A drawn scene's name; empty: a still."""
    still_sha256: str = ""
    """Of the still's pixels (see `pixels_sha256`); empty: drawn."""
    size: tuple[int, int] = (640, 360)
    """Width and height in pixels, even."""
    fps: float = 15.0
    seconds: float = 5.0
    incident: IncidentKind | None = None
    twin: bool = False
    """Instead of the incident, its harmless counterpart: same place, time and seed."""
    placement: Placement | None = None
    """Where and when; None without an incident. In parts of what it is put into: the still (cut to
    the clip's shape) or the drawn picture, and the clip's picture itself with `drive`."""
    motion: Motion = "none"
    weather: Weather = "clear"
    light: Light = "day"
    sensor_sigma: float = 1.6
    """Standard deviation of the sensor's noise by daylight in 8-bit steps; 0: none."""
    still_horizon: float = 0.45
    """Row of a still's horizon in parts of the height; a drawn scene has its own."""

    def __post_init__(self) -> None:
        """Raises SceneRefused, naming what is wrong with it."""
        for wrong in _wrongs(self):
            raise SceneRefused(f"recipe: {wrong}")

    @property
    def frame_count(self) -> int:
        """How many pictures there are."""
        return round(self.seconds * self.fps)

    @property
    def camera(self) -> CameraKind:
        """Whether the camera stands or is driven."""
        if self.scene:
            return camera_kind(self.scene)
        return "driving" if self.motion == "drive" else "fixed"

    @property
    def horizon(self) -> float:
        """Row of the horizon in parts of the picture's height."""
        return horizon(self.scene) if self.scene else self.still_horizon

    @property
    def clip_id(self) -> str:
        """Random-looking name: says nothing of what the clip shows, and is this recipe's alone."""
        return hashlib.sha256(b"edgewatch clip\n" + self.to_json().encode()).hexdigest()[
            :_ID_LETTERS
        ]

    @property
    def source(self) -> str:
        """What the footage was before anything was put in; clips of one source belong together."""
        return f"still:{self.still_sha256}" if self.still_sha256 else f"{self.scene}:{self.seed}"

    @property
    def split(self) -> str:
        """ "fit" or "test" (two fifths), by source: no source is in both."""
        drawn = hashlib.sha256(b"split\n" + self.source.encode()).digest()[0]
        return "test" if drawn < 0.4 * 256 else "fit"

    def counterpart(self) -> Recipe | None:
        """The twin of an incident, the incident of a twin; None without an incident."""
        return replace(self, twin=not self.twin) if self.incident else None

    def without_incident(self) -> Recipe:
        """The same footage in which nothing was put."""
        return replace(self, incident=None, twin=False, placement=None)

    def to_json(self) -> str:
        """Canonical JSON: the same recipe, the same text."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with `schema`."""
        return {"schema": SCHEMA, **asdict(self), "size": list(self.size)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any]) -> Recipe:
        """Read what `as_dict` gave. Raises SceneInvalid, SceneRefused."""
        if said.get("schema") != SCHEMA:
            raise SceneInvalid(f"recipe: schema {said.get('schema')!r} is not {SCHEMA}")
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(said) - known - {"schema"}):
            raise SceneInvalid(f"recipe: unknown fields {', '.join(unknown)}")
        try:
            given = {key: said[key] for key in known & set(said)}
            given["size"] = (int(said["size"][0]), int(said["size"][1]))
            if said.get("placement") is not None:
                given["placement"] = _placement(said["placement"])
            return cls(**given)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise SceneInvalid(f"recipe: cannot be read: {error}") from error


def _placement(said: Mapping[str, Any]) -> Placement:
    return Placement(**{**said, "foot": (float(said["foot"][0]), float(said["foot"][1]))})


def _wrongs(recipe: Recipe) -> list[str]:
    """List what is wrong, the cure included."""
    return [*_wrong_footage(recipe), *_wrong_numbers(recipe), *_wrong_incident(recipe)]


def _wrong_footage(recipe: Recipe) -> list[str]:
    wrong = []
    if bool(recipe.scene) == bool(recipe.still_sha256):
        wrong.append("takes either a drawn scene or a still")
    elif recipe.scene and recipe.scene not in SCENES:
        wrong.append(f"scene {recipe.scene!r} is not drawn here; there are {', '.join(SCENES)}")
    for name, value, known in (
        ("motion", recipe.motion, MOTIONS),
        ("weather", recipe.weather, WEATHERS),
        ("light", recipe.light, LIGHTS),
    ):
        if value not in known:
            wrong.append(f"{name} {value!r} is not known; there are {', '.join(known)}")
    if recipe.scene == "drive" and recipe.motion != "none":
        wrong.append("scene drive moves by itself: motion must be none")
    elif recipe.scene and recipe.motion == "drive":
        wrong.append(f"motion drive is for stills; scene {recipe.scene} has a camera that stands")
    return wrong


def _wrong_numbers(recipe: Recipe) -> list[str]:
    wrong = []
    if not 0 <= recipe.seed < 2**63:
        wrong.append(f"seed {recipe.seed} is not 0 to 2^63 - 1")
    wrong += [
        f"size: {side} pixels are not even, or not {_LEAST_PIXELS} to {_MOST_PIXELS}"
        for side in recipe.size
        if not _LEAST_PIXELS <= side <= _MOST_PIXELS or side % 2
    ]
    if not (math.isfinite(recipe.fps) and 1 <= recipe.fps <= 120):
        wrong.append(f"fps {recipe.fps} is not 1 to 120")
    elif not (math.isfinite(recipe.seconds) and 2 <= recipe.seconds * recipe.fps <= _MOST_FRAMES):
        wrong.append(f"seconds {recipe.seconds} do not make 2 to {_MOST_FRAMES} pictures")
    if not 0 <= recipe.sensor_sigma <= 40:
        wrong.append(f"sensor_sigma {recipe.sensor_sigma} is not 0 to 40")
    if not 0.05 <= recipe.still_horizon <= 0.95:
        wrong.append(f"still_horizon {recipe.still_horizon} is not 0.05 to 0.95")
    return wrong


def _wrong_incident(recipe: Recipe) -> list[str]:
    if recipe.incident is None:
        wrong = recipe.twin or recipe.placement is not None
        return ["a twin or a place belongs to an incident, and none is named"] if wrong else []
    if recipe.incident not in _KINDS:
        return [f"incident {recipe.incident!r} is not known; there are {', '.join(_KINDS)}"]
    if recipe.placement is None:
        return [f"incident {recipe.incident} has no placement"]
    begins, lasts = recipe.placement.begins_seconds, recipe.placement.lasts_seconds
    if not 0 <= begins < recipe.seconds or not lasts > 0:
        return [f"incident at {begins:g} s for {lasts:g} s is not within {recipe.seconds:g} s"]
    if recipe.incident == "impact" and recipe.scene != "drive":
        return ["incident impact is drawn with scene drive only"]
    if recipe.incident not in CAMERA_FAULTS and recipe.placement.camera != recipe.camera:
        return [f"placement is for a {recipe.placement.camera} camera, this one is {recipe.camera}"]
    return []
