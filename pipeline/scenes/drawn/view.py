"""View: how the camera behind the windscreen sees the road, as a projection of road places."""

from __future__ import annotations

from dataclasses import dataclass

CAMERA_HEIGHT_METRES = 1.35
NEAREST_METRES = 1.2
"""Nothing closer than this is drawn: it is under the bonnet."""


@dataclass(frozen=True, slots=True)
class View:
    """One picture's camera. Road places are (across, up, ahead) in metres: across is 0 on the
    centre line and grows to the right, up is 0 on the ground, ahead is counted from the camera."""

    focal_pixels: float
    centre_x: float
    horizon_y: float
    """Row of the horizon, pitch included."""
    across_metres: float
    """The camera's own place across the road."""
    yaw_radians: float
    """Heading against the road, growing to the right."""
    curvature: float
    """Of the road ahead, 1/metres, positive to the right."""
    height_metres: float = CAMERA_HEIGHT_METRES

    def column(self, across_metres: float, ahead_metres: float) -> float:
        """Picture column of a place on or above the road."""
        slope = (across_metres - self.across_metres) / ahead_metres
        bend = 0.5 * self.curvature * ahead_metres
        return self.centre_x + self.focal_pixels * (slope + bend - self.yaw_radians)

    def row(self, up_metres: float, ahead_metres: float) -> float:
        """Picture row of a height at a distance."""
        return self.horizon_y + self.focal_pixels * (self.height_metres - up_metres) / ahead_metres

    def scale(self, ahead_metres: float) -> float:
        """Pixels a metre at a distance."""
        return self.focal_pixels / ahead_metres
