"""Perspective: how the camera of a drawn scene stands, in parts of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgewatch.pipeline.scenes.drawn.view import CAMERA_HEIGHT_METRES, View


@dataclass(frozen=True, slots=True)
class FixedCamera:
    """Where a camera is and how wide it sees, independent of the picture's size."""

    focal_of_width: float
    """Focal length in picture widths."""
    horizon: float
    """Row of the horizon in picture heights."""
    height_metres: float
    """Above the ground."""
    across_metres: float = 0.0
    """Of the scene's middle line."""

    def view(self, size: tuple[int, int]) -> View:
        """Project places on the ground for a picture of `size` (width, height)."""
        width, height = size
        return View(
            focal_pixels=self.focal_of_width * width,
            centre_x=width / 2,
            horizon_y=self.horizon * height,
            across_metres=self.across_metres,
            yaw_radians=0.0,
            curvature=0.0,
            height_metres=self.height_metres,
        )


DRIVE_CAMERA: Final = FixedCamera(0.8, 0.46, CAMERA_HEIGHT_METRES, 1.75)
"""The drive's camera on level ground, 64 degrees across: a usual dashboard camera."""
