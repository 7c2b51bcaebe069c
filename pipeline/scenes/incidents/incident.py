"""An incident: what it is, where and when it is put into pictures, and what does that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels

CameraKind = Literal["fixed", "driving"]
"""As the settings' `scene`: whether the camera stands or looks out of a moving vehicle."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and when an incident happens; parts of the picture, so that any size will do."""

    begins_seconds: float
    """Media time at which the first pixel may change."""
    lasts_seconds: float
    """How long it goes on; what is left of it (smoke) may take longer."""
    foot: tuple[float, float] = (0.5, 0.75)
    """Where it touches the ground: x in parts of the picture's width, y of its height."""
    height: float = 0.2
    """How tall the thing is, in parts of the picture's height (a flood: how far it rises)."""
    camera: CameraKind = "fixed"
    """Seen from a moving vehicle, a thing comes nearer from the horizon until it is at `foot` and
    `height`; seen by a fixed camera it is there, falls, or comes in from the side."""
    horizon: float = 0.45
    """Row of the horizon in parts of the picture's height; what is nearer is larger."""


class Incident(Protocol):
    """Puts one incident into the pictures of one stream, given in order of time."""

    @property
    def kind(self) -> IncidentKind | None:
        """What it is; None for a harmless twin, which draws something and is no anomaly."""

    @property
    def begins_seconds(self) -> float:
        """Media time of the first changed picture, at the earliest."""

    @property
    def ends_seconds(self) -> float:
        """Media time from which on nothing is left of it."""

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Draw the moment into a picture; outside the truth's mask no pixel is touched.

        Takes and gives uint8 RGB, shape (height, width, 3), read-only; `time_seconds` is media
        time. A harmless twin's truth has no kind and still has the mask of what it changed.
        The same incident, seed, pictures and times give the same pixels in every process.
        """
