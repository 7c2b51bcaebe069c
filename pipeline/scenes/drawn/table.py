"""Table of the drawn scenes: how their cameras stand, and where something may happen."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.drawn.corridor import CORRIDOR_CAMERA, CorridorScene
from edgewatch.pipeline.scenes.drawn.drive import DriveScene
from edgewatch.pipeline.scenes.drawn.perspective import DRIVE_CAMERA, FixedCamera
from edgewatch.pipeline.scenes.drawn.yard import YARD_CAMERA, YardScene
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from edgewatch.pipeline.scenes.scene import Scene

PERSON_METRES: Final = 1.75


@dataclass(frozen=True, slots=True)
class _Row:
    kind: CameraKind
    camera: FixedCamera
    places: tuple[tuple[float, float], ...]


_ROWS: Final = MappingProxyType(
    {
        "drive": _Row("driving", DRIVE_CAMERA, ((0.5, 0.66), (0.44, 0.7), (0.58, 0.72))),
        "yard": _Row("fixed", YARD_CAMERA, ((0.42, 0.6), (0.6, 0.72), (0.3, 0.8), (0.52, 0.88))),
        "corridor": _Row("fixed", CORRIDOR_CAMERA, ((0.48, 0.62), (0.55, 0.75), (0.45, 0.88))),
    }
)

SCENES: Final[tuple[str, ...]] = tuple(_ROWS)
"""Names of the scenes that can be drawn."""


def draw_scene(
    name: str,
    seed: int,
    size: tuple[int, int] = (640, 360),
    fps: float = 15.0,
    duration_seconds: float = 5.0,
) -> Scene:
    """Prepare a scene of normal life: movement and harmless distractors, no incident.

    `size` is (width, height) in pixels. Each picture can be asked for in any order; the same
    arguments give the same pixels. Raises SceneRefused for a name that is not in the table.
    """
    _row(name)
    if name == "drive":
        return DriveScene(seed, size, fps, duration_seconds=duration_seconds)
    if name == "yard":
        return YardScene(seed, size, fps, duration_seconds=duration_seconds)
    return CorridorScene(seed, size, fps, duration_seconds=duration_seconds)


def camera_kind(name: str) -> CameraKind:
    """Tell whether a scene's camera stands or drives. Raises SceneRefused."""
    return _row(name).kind


def camera_of(name: str) -> FixedCamera:
    """Tell how a scene's camera stands, the drive's on level ground. Raises SceneRefused."""
    return _row(name).camera


def horizon(name: str) -> float:
    """Row of the horizon in parts of the picture's height. Raises SceneRefused."""
    return _row(name).camera.horizon


def places(name: str) -> tuple[tuple[float, float], ...]:
    """Give the feet, in parts of width and height, where an incident makes sense: ground that is
    free of what is built there, from far to near. Raises SceneRefused."""
    return _row(name).places


def height_at(name: str, foot: tuple[float, float]) -> float:
    """Height of a standing person (1.75 m) there, in parts of the picture's height.

    On the ground plane a row tells the distance: a metre there is as many parts as the foot is
    below the horizon, divided by the camera's height. Raises SceneRefused, also for a foot that
    is not on the ground.
    """
    camera = _row(name).camera
    below = foot[1] - camera.horizon
    if below <= 0.0:
        raise SceneRefused(
            f"scene {name}: a foot at {foot[1]:g} of the height is not on the ground, which "
            f"begins below {camera.horizon:g}"
        )
    return PERSON_METRES * below / camera.height_metres


def drive_impact(
    seed: int,
    size: tuple[int, int] = (640, 360),
    fps: float = 15.0,
    duration_seconds: float = 5.0,
    at_seconds: float = 3.5,
) -> Scene:
    """Prepare a drive in which the car ahead brakes and is run into at `at_seconds`.

    Raises ValueError if the impact is not within the scene, after time enough to brake.
    """
    return DriveScene(seed, size, fps, at_seconds, duration_seconds=duration_seconds)


def drive_gentle_stop(
    seed: int,
    size: tuple[int, int] = (640, 360),
    fps: float = 15.0,
    duration_seconds: float = 5.0,
    at_seconds: float = 3.5,
) -> Scene:
    """Prepare the impact's harmless twin: the car ahead brakes at the same moment, gently, and
    the own car follows and stops behind it. Identical to the impact until the braking begins.

    `at_seconds` is the impact's time. Raises ValueError as `drive_impact` does.
    """
    return DriveScene(seed, size, fps, at_seconds, duration_seconds=duration_seconds, gentle=True)


def _row(name: str) -> _Row:
    if name not in _ROWS:
        raise SceneRefused(f"scene {name!r} is not known; known are {', '.join(SCENES)}")
    return _ROWS[name]
