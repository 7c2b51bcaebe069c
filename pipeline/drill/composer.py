"""The composer: copies of live clips under the drill's name, with the incident in their frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edgewatch.pipeline.drill.placing import placed
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Incident, Placement
from edgewatch.pipeline.types import CameraName, Clip, Frame

LONG_SECONDS = 600.0
"""Longer than the incident of a fixed camera is looked at."""
LEAST_SECONDS = 3.0
"""Shorter is no incident of a moving camera."""

MakeIncident = Callable[[Placement], Incident]


class NoPlace(Exception):
    """Nearly all of the camera's picture is ignored: nothing can be put where it would be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """One copy."""

    clip: Clip
    shown: bool
    """The incident is to be seen in it."""


class Composer:
    """Copies a camera's clips, given in order of time. One thread.

    The first copy is untouched: judged with the camera's memory it must be as normal as the real
    clip was. Where it ends the incident begins, and goes on for a fixed camera. A vehicle leaves
    things behind: there one incident follows the other, so that each clip has one. Frames that
    clips share are drawn once. The copies count as a recording's, of which an engine keeps nothing.
    """

    def __init__(
        self, shadow: CameraName, make: MakeIncident, camera: CameraKind, *, stride_seconds: float
    ) -> None:
        """`shadow`: the name of the copies; `make`: gives an incident at a place."""
        self._shadow = shadow
        self._make = make
        self._camera = camera
        driving = camera == "driving"
        self._again_seconds = stride_seconds if driving else float("inf")
        self._lasts_seconds = max(LEAST_SECONDS, 2 * stride_seconds) if driving else LONG_SECONDS
        self._start_seconds: float | None = None
        """The camera's time at which the incidents' own begins to count."""
        self._next_seconds = 0.0
        """When the next incident begins, in their time."""
        self._made = 0
        self._incidents: list[Incident] = []
        """Those that go on."""
        self._frames: dict[int, tuple[Frame, bool]] = {}
        """By index: the frames of the last clip, copied, and whether they show an incident."""

    def compose(self, clip: Clip) -> Composed:
        """Return the copy of the next clip. Raises NoPlace, and what an incident may raise."""
        if self._start_seconds is None:
            self._start_seconds = clip.start_seconds
            self._next_seconds = clip.end_seconds - clip.start_seconds
            self._add(clip.frames[0])
        known = self._frames
        self._frames = {
            frame.index: known.get(frame.index) or self._copied(frame, self._start_seconds)
            for frame in clip.frames
        }
        copies = [self._frames[frame.index] for frame in clip.frames]
        return Composed(
            replace(
                clip,
                clip_id=f"{self._shadow}{clip.clip_id.removeprefix(clip.camera)}",
                camera=self._shadow,
                frames=tuple(frame for frame, _ in copies),
                replay=True,
            ),
            shown=any(shown for _, shown in copies),
        )

    def _add(self, frame: Frame) -> None:
        placement = placed(
            self._next_seconds,
            self._lasts_seconds,
            self._camera,
            frame.ignored,
            number=self._made,
        )
        if placement is None:
            raise NoPlace
        self._incidents.append(self._make(placement))
        self._made += 1
        self._next_seconds += self._again_seconds

    def _copied(self, frame: Frame, start_seconds: float) -> tuple[Frame, bool]:
        now_seconds = frame.time_seconds - start_seconds
        self._incidents = [one for one in self._incidents if now_seconds < one.ends_seconds]
        if now_seconds >= self._next_seconds:
            self._add(frame)
        pixels, shown = frame.pixels, False
        for incident in self._incidents:
            pixels, truth = incident.compose(pixels, now_seconds)
            shown |= truth.mask is not None and bool(truth.mask.any())
        if shown and frame.ignored is not None:
            # What is not judged stays as it is: grey
            pixels = np.where(frame.ignored[..., None], frame.pixels, pixels)
            pixels.flags.writeable = False
        return replace(frame, camera=self._shadow, pixels=pixels), shown
