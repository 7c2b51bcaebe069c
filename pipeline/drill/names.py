"""Names: under which name a drill's clips are judged, and which camera that stands for. Pure."""

from __future__ import annotations

from typing import Final

from edgewatch.pipeline.types import CameraName

PREFIX: Final = "drill/"
"""No camera's name holds a slash, so what is kept under such a name mixes with no camera's."""


def shadow_of(camera: CameraName) -> CameraName:
    """Return the name under which a camera's drill is judged and kept."""
    return CameraName(f"{PREFIX}{camera}")


def camera_of(name: CameraName) -> CameraName:
    """Return the camera that a name stands for: itself, unless it is a shadow's."""
    return CameraName(name.removeprefix(PREFIX))
