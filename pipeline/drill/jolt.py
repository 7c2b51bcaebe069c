"""The jolt: a vehicle is hit, and its camera with it; the incident of drills of moving cameras.

What stands beside a road is soon left behind, and an engine that knows each camera's usual motion
(the built-in one) notices little of it. A collision shakes the whole picture.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels

_LASTS_SECONDS: Final = 1.6
_CALMS_SECONDS: Final = 0.5
_ACROSS, _DOWN = 0.16, 0.22
"""How far it throws the picture, in parts of its width and height."""
_TURN_DEGREES: Final = 10.0
_LARGER: Final = 0.12
_BEATS_HERTZ: Final = (1.9, 2.3, 1.7)
"""Of the three movements: no multiples, so that they do not repeat."""


class Jolt:
    """Throws the picture about, for a second and a half, less and less; an `Incident`."""

    kind: IncidentKind = "impact"

    def __init__(self, seed: int, placement: Placement) -> None:
        self._phases = np.random.default_rng(seed).uniform(0.0, 0.6, 3)
        self.begins_seconds = placement.begins_seconds
        self.ends_seconds = placement.begins_seconds + _LASTS_SECONDS

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Return the picture as the moment throws it, uint8 RGB, shape (height, width, 3)."""
        if not self.begins_seconds <= time_seconds < self.ends_seconds:
            return pixels, FrameTruth(time_seconds)
        age = time_seconds - self.begins_seconds
        strength = float(np.exp(-age / _CALMS_SECONDS))
        across, down, turn = (
            strength * float(np.cos(2 * np.pi * beat * age + phase))
            for beat, phase in zip(_BEATS_HERTZ, self._phases, strict=True)
        )
        height, width = pixels.shape[:2]
        middle = (width / 2, height / 2)
        matrix = cv2.getRotationMatrix2D(middle, _TURN_DEGREES * turn, 1 + _LARGER * strength)
        matrix[:, 2] += (_ACROSS * width * across, _DOWN * height * down)
        drawn = cv2.warpAffine(pixels, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        thrown = np.asarray(drawn, np.uint8)
        thrown.setflags(write=False)
        return thrown, FrameTruth(time_seconds, self.kind, (thrown != pixels).any(axis=2))
