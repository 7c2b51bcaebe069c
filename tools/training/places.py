"""Places: where cameras of a training look, and the footage of normal life there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.drawn.table import (
    camera_kind,
    draw_scene,
    drive_gentle_stop,
    drive_impact,
    height_at,
    horizon,
    places,
)
from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from edgewatch.pipeline.scenes.scene import Scene
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels
from edgewatch.tools.training.commotions import DRIVING, FIXED

DRAWN_FPS: Final = 20.0
"""Of drawn footage; pictures are only drawn where one is looked at."""
WALKWAY: Final = Path(__file__).resolve().parents[2] / "samples" / "walkway.mp4"
_ASPECT: Final = 0.5625
_OUTDOORS: Final = frozenset({"stopped_vehicle", "debris"})

Footage = Callable[[int, tuple[int, int], float], Scene]
"""Of a seed, a size (width, height) and a duration in seconds."""


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of scene, before which cameras are put up."""

    name: str
    camera: CameraKind
    kinds: tuple[str, ...]
    """What may happen here: incidents and commotions."""
    feet: tuple[tuple[float, float], ...]
    person_heights: tuple[float, ...]
    """Of somebody standing at each foot, in parts of the picture's height."""
    horizon: float
    footage: Footage
    aspect: float = _ASPECT
    """Height over width."""

    def size(self, width: int) -> tuple[int, int]:
        """Return (width, height) of footage here; both even."""
        return width // 2 * 2, round(width * self.aspect / 2) * 2


def drawn_place(name: str) -> Place:
    """Return one of the drawn scenes."""
    feet = places(name)
    kinds: list[str] = [
        kind
        for kind in _fitting(camera_kind(name))
        if not (name == "corridor" and kind in _OUTDOORS)
    ]
    kinds = ["impact", *DRIVING, *kinds] if name == "drive" else [*FIXED, *kinds]
    return Place(
        name=name,
        camera=camera_kind(name),
        kinds=tuple(kinds),
        feet=feet,
        person_heights=tuple(height_at(name, foot) for foot in feet),
        horizon=horizon(name),
        footage=lambda seed, size, seconds: draw_scene(name, seed, size, DRAWN_FPS, seconds),
    )


def _fitting(camera: CameraKind) -> list[IncidentKind]:
    """Return what can be put into any footage of such a camera, and is not the camera's fault."""
    return [
        kind
        for kind in KINDS
        if kind not in CAMERA_FAULTS and kind != "impact" and fits(kind, camera)
    ]


def recorded_place(path: Path) -> Place:
    """Return the recorded walkway. Raises SceneRefused where it is not at hand."""
    if not path.is_file():
        raise SceneRefused(
            f"{path}: the recorded walkway is not there; name it with --walkway, or leave it out "
            "with --drawn-only"
        )
    feet = ((0.3, 0.7), (0.55, 0.62), (0.7, 0.8), (0.45, 0.9))
    return Place(
        name="walkway",
        camera="fixed",
        kinds=(*FIXED, *_fitting("fixed")),
        feet=feet,
        person_heights=tuple(0.1 + 0.16 * foot[1] for foot in feet),
        horizon=0.1,
        footage=lambda seed, size, seconds: ToAndFro(path, seed, size, seconds),
        aspect=0.75,
    )


def impact_footage(
    seed: int, size: tuple[int, int], seconds: float, at_seconds: float, *, twin: bool
) -> Scene:
    """Return the drive with an impact, or with the gentle stop that is its twin."""
    make = drive_gentle_stop if twin else drive_impact
    return make(seed, size, DRAWN_FPS, seconds, at_seconds)


def digest(path: Path) -> str:
    """Return a file's SHA-256. Raises OSError."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


class ToAndFro:
    """A recording played to its end and back, and so on: normal life of any length, without a cut.

    `seed` decides where it begins.
    """

    def __init__(self, path: Path, seed: int, size: tuple[int, int], seconds: float) -> None:
        """Read the recording. Raises SceneRefused if it holds nothing."""
        self.size, self._pictures = size, _pictures(path, size)
        self.fps = 10.0
        self.frame_count = round(seconds * self.fps)
        if len(self._pictures) < 2:
            raise SceneRefused(f"{path}: holds no footage")
        self._first = int(np.random.default_rng(seed).integers(2 * len(self._pictures) - 2))

    def frame(self, index: int) -> Pixels:
        """Return one picture, uint8 RGB, shape (height, width, 3), read-only."""
        period = 2 * len(self._pictures) - 2
        place = (self._first + index) % period
        return self._pictures[min(place, period - place)]

    def truth(self, index: int) -> FrameTruth:
        """Tell that nothing happens."""
        return FrameTruth(index / self.fps)


_kept: dict[tuple[Path, tuple[int, int]], list[Pixels]] = {}


def _pictures(path: Path, size: tuple[int, int]) -> list[Pixels]:
    """Decode a recording once for each size."""
    if (path, size) not in _kept:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_count = 1
            found = []
            for frame in container.decode(video=0):
                small = cv2.resize(
                    frame.to_ndarray(format="rgb24"), size, interpolation=cv2.INTER_AREA
                )
                picture = np.ascontiguousarray(small, np.uint8)
                picture.setflags(write=False)
                found.append(picture)
        _kept[path, size] = found
    return _kept[path, size]
