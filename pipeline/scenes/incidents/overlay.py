"""Overlay: an incident that is drawn into a part of the picture, with exact truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from edgewatch.pipeline.scenes.incidents.grain import LEAST_CHANGE, Light, grain, imprint, largest
from edgewatch.pipeline.scenes.incidents.look import Look, look_at
from edgewatch.pipeline.scenes.incidents.region import Region
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The part of a picture that is drawn on."""

    before: Light
    """What the camera saw there; not to be written."""
    region: Region
    shape: tuple[int, int]
    """Height and width of the whole picture in pixels."""
    look: Look


class Drawing(Protocol):
    """Something that can be drawn at any moment of its life, the same at each size."""

    @property
    def lasts_seconds(self) -> float:
        """Age from which on nothing is left of it."""

    def reach(self, shape: tuple[int, int], age_seconds: float) -> Region | None:
        """Tell what part of a picture of `shape` (height, width) it may touch; None: nothing."""

    def paint(self, patch: Patch, age_seconds: float) -> Light:
        """Give the patch with it, a new array of the same shape."""

    def amiss(self, age_seconds: float) -> bool:
        """Whether by now it is what is not to happen (a vehicle that comes in is not, yet)."""


class Overlay:
    """Puts a drawing into the pictures of one stream; see `Incident`."""

    def __init__(
        self, drawing: Drawing, *, kind: IncidentKind | None, seed: int, begins_seconds: float
    ) -> None:
        """`kind`: None for a harmless twin."""
        self._drawing, self._kind, self._seed = drawing, kind, seed
        self._begins_seconds = begins_seconds

    @property
    def kind(self) -> IncidentKind | None:
        """What it is; None for a harmless twin."""
        return self._kind

    @property
    def begins_seconds(self) -> float:
        """Media time of the first changed picture, at the earliest."""
        return self._begins_seconds

    @property
    def ends_seconds(self) -> float:
        """Media time from which on nothing is left of it."""
        return self._begins_seconds + self._drawing.lasts_seconds

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Draw the moment into a picture; outside the truth's mask no pixel is touched."""
        age = time_seconds - self._begins_seconds
        if age < 0 or time_seconds >= self.ends_seconds:
            return pixels, FrameTruth(time_seconds)
        region = self._drawing.reach(pixels.shape[:2], age)
        if region is None:
            return pixels, FrameTruth(time_seconds)
        before = region.of(pixels).astype(np.float32)
        look = look_at(pixels, region)
        after = self._drawing.paint(Patch(before, region, pixels.shape[:2], look), age)
        wanted = largest(np.abs(after - before)) >= LEAST_CHANGE
        if not wanted.any():
            return pixels, FrameTruth(time_seconds)
        noise = grain(before, after, look.grain_sigma, self._seed, time_seconds)
        drawn = cv2.add(after, noise, dtype=cv2.CV_8U)  # rounds, and keeps within 0 and 255
        composed, mask = imprint(pixels, region, np.asarray(drawn, np.uint8), wanted)
        if not mask.any():
            return pixels, FrameTruth(time_seconds)
        kind = self._kind if self._drawing.amiss(age) else None
        return composed, FrameTruth(time_seconds, kind, mask)
