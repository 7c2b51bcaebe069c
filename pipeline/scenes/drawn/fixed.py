"""Fixed scene: what all scenes of a standing camera share: a still background, life in front."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.drawn.perspective import FixedCamera
from edgewatch.pipeline.scenes.drawn.sensor import Sensor, Shade
from edgewatch.pipeline.scenes.sprite import Canvas
from edgewatch.pipeline.scenes.truth import FrameTruth
from edgewatch.pipeline.types import Pixels


@dataclass(frozen=True, slots=True)
class Standing:
    """Something that moves, or something still that may hide what moves, at its distance."""

    ahead_metres: float
    cutout: Cutout
    under: tuple[Cutout, ...] = ()
    """What lies on the ground about it: shadows, reflections. Drawn before anything stands."""


class FixedScene:
    """Footage of a standing camera; each picture can be asked for by itself, in any order.

    The same arguments give the same pixels, with the same versions of numpy and OpenCV.
    """

    def __init__(
        self,
        camera: FixedCamera,
        seed: int,
        size: tuple[int, int],
        fps: float,
        duration_seconds: float,
    ) -> None:
        self.size, self.fps, self.duration_seconds = size, fps, duration_seconds
        self._view = camera.view(size)
        self._sensor = Sensor(seed, size)
        self._background: Canvas = np.zeros((size[1], size[0], 3), np.uint8)
        self._hiding: list[Standing] = []

    @property
    def frame_count(self) -> int:
        """Number of pictures in the scene."""
        return round(self.duration_seconds * self.fps)

    def frames(self) -> Iterator[Pixels]:
        """Draw all pictures in order."""
        return (self.frame(index) for index in range(self.frame_count))

    def frame(self, index: int) -> Pixels:
        """Draw one picture, uint8 RGB, shape (height, width, 3), read-only."""
        seconds = index / self.fps
        canvas = self._background.copy()
        self._change(canvas, seconds)
        moving = self._life(seconds)
        for thing in moving:
            for flat in thing.under:
                flat.paste(canvas)
        drawn: list[Cutout] = []
        hiding = [(still, False) for still in self._hiding]
        both = [*hiding, *((thing, True) for thing in moving)]
        for thing, moves in sorted(both, key=lambda pair: -pair[0].ahead_metres):
            # What stands still is in the background already: it is drawn again only over what
            # moves behind it.
            if moves or any(_overlap(thing.cutout, other) for other in drawn):
                thing.cutout.paste(canvas)
            if moves:
                drawn.append(thing.cutout)
        return self._sensor.develop(canvas, self._shade(seconds), self._gain(seconds), index)

    def truth(self, index: int) -> FrameTruth:
        """Tell that nothing happens."""
        return FrameTruth(index / self.fps)

    def _life(self, seconds: float) -> list[Standing]:
        """Give what moves, at a time."""
        raise NotImplementedError

    def _change(self, canvas: Canvas, seconds: float) -> None:
        """Alter the background: doors, lamps."""

    def _shade(self, seconds: float) -> Shade | None:
        """Give the shadows that lie over everything, or none."""
        return None

    def _gain(self, seconds: float) -> float:
        """Give the brightness of the light."""
        return 1.0


def _overlap(one: Cutout, other: Cutout) -> bool:
    return bool(
        one.left < other.left + other.layer.shape[1]
        and other.left < one.left + one.layer.shape[1]
        and one.top < other.top + other.layer.shape[0]
        and other.top < one.top + one.layer.shape[0]
    )
