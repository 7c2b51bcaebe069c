"""Whose clip goes next, and in which batch. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.pipeline.types import CameraName


@dataclass(frozen=True, slots=True)
class Waiting:
    """A camera with clips in its mailbox."""

    camera: CameraName
    clips: int
    live: bool
    """Live video goes before recordings: a replay never costs a live clip."""
    drill: bool = False
    """Not live, but its footage is: it goes after all live video and before recordings."""


class Scheduler:
    """Serves the camera that has waited longest since its last turn."""

    def __init__(self) -> None:
        self._turns: dict[CameraName, int] = {}
        self._turn = 0

    def choose(self, waiting: Sequence[Waiting], max_batch: int) -> list[CameraName]:
        """Return the cameras whose oldest clips make up the next batch, in order.

        A camera stands in it more than once only after every other one that waits. Live, drilled
        and replayed clips are never mixed, so that a live batch is not slowed by any other.
        """
        filled = [one for one in waiting if one.clips]
        live = [one for one in filled if one.live]
        chosen_from = live or [one for one in filled if one.drill] or filled
        left = {one.camera: one.clips for one in chosen_from}
        batch: list[CameraName] = []
        while left and len(batch) < max_batch:
            camera = min(left, key=lambda name: self._turns.get(name, 0))
            batch.append(camera)
            self._turn += 1
            self._turns[camera] = self._turn
            left[camera] -= 1
            if not left[camera]:
                del left[camera]
        return batch

    def forget(self, camera: CameraName) -> None:
        """Drop a camera that was removed."""
        self._turns.pop(camera, None)
