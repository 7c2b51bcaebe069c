"""Frozen: the last picture is shown again and again; its harmless twin only stutters."""

from __future__ import annotations

from typing import Final

from edgewatch.pipeline.scenes.incidents.grain import difference
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.types import Pixels

_STUTTER_PICTURES: Final = 2
_STUTTER_SECONDS: Final = 0.6
"""A stutter of two pictures is over by then, at four pictures a second too."""


class Frozen:
    """Repeats the last picture from before it began, and nothing shows that but the standstill.

    It remembers that picture, so it must be given one. Without, the first picture of its time is
    held. Pictures may be given again, as windows that overlap do; what is held stays the same.
    """

    def __init__(self, placement: Placement, *, kind: IncidentKind | None = "frozen") -> None:
        """`kind` None: a stutter, which holds two pictures and goes on."""
        self._kind = kind
        self._begins = placement.begins_seconds
        lasts = placement.lasts_seconds
        self._ends = self._begins + (lasts if kind else min(lasts, _STUTTER_SECONDS))
        self._held: Pixels | None = None
        self._held_seconds = float("-inf")
        self._stuttered: list[float] = []

    @property
    def kind(self) -> IncidentKind | None:
        """What it is; None for a stutter."""
        return self._kind

    @property
    def begins_seconds(self) -> float:
        """Media time of the first repeated picture, at the earliest."""
        return self._begins

    @property
    def ends_seconds(self) -> float:
        """Media time from which on the pictures go on."""
        return self._ends

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        """Give the held picture instead of this one.

        Where nothing has moved since, the mask is empty, and it is frozen none the less.
        """
        if time_seconds >= self._ends:
            return pixels, FrameTruth(time_seconds)
        if time_seconds < self._begins:
            if time_seconds >= self._held_seconds:
                self._held, self._held_seconds = pixels, time_seconds
            return pixels, FrameTruth(time_seconds)
        if self._held is None:
            self._held, self._held_seconds = pixels, time_seconds
        if self._kind is None and not self._stutters(time_seconds):
            return pixels, FrameTruth(time_seconds)
        held = self._held
        if held.shape != pixels.shape:
            # The stream came back in another size: there is nothing to repeat any more.
            return pixels, FrameTruth(time_seconds)
        mask = difference(held, pixels)
        mask.setflags(write=False)
        return held, FrameTruth(time_seconds, self._kind, mask)

    def _stutters(self, time_seconds: float) -> bool:
        if time_seconds not in self._stuttered and len(self._stuttered) < _STUTTER_PICTURES:
            self._stuttered.append(time_seconds)
        return time_seconds in self._stuttered
