"""Corridor: an indoor camera at the head of a corridor with doors, lamps and a glossy floor."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.cutout import contact_shadow
from edgewatch.pipeline.scenes.drawn.corridor_walls import (
    HALF_METRES,
    LENGTH_METRES,
    Door,
    draw_corridor,
)
from edgewatch.pipeline.scenes.drawn.fixed import FixedScene, Standing
from edgewatch.pipeline.scenes.drawn.perspective import FixedCamera
from edgewatch.pipeline.scenes.drawn.walker import Step, Walker, somebody
from edgewatch.pipeline.scenes.sprite import Canvas

CORRIDOR_CAMERA: Final = FixedCamera(focal_of_width=0.75, horizon=0.30, height_metres=2.45)
"""Under the ceiling, looking along the corridor."""

_OPENS_WITHIN_METRES: Final = 1.5
"""Doors open for who is so near and goes through them."""


class CorridorScene(FixedScene):
    """People walk to and fro and through the doors. Nothing out of the ordinary happens."""

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (640, 360),
        fps: float = 15.0,
        *,
        duration_seconds: float = 5.0,
    ) -> None:
        """Prepare a scene of `duration_seconds`; `size` is (width, height) in pixels."""
        super().__init__(CORRIDOR_CAMERA, seed, size, fps, duration_seconds)
        rng = np.random.default_rng([seed, 12])
        self._background, self._doors = draw_corridor(rng, self._view, size)
        self._visitors = self._people(rng)
        self._lamp_phase = float(rng.uniform(0, 2 * np.pi))

    def _people(self, rng: np.random.Generator) -> list[tuple[Walker, Door | None]]:
        doors = rng.permutation(len(self._doors))
        first, second = self._doors[int(doors[0])], self._doors[int(doors[1])]
        lane = float(rng.uniform(0.4, 0.9)) * float(rng.choice((-1.0, 1.0)))
        far = LENGTH_METRES - 1.0

        def through(door: Door, end: float) -> list[tuple[float, float]]:
            inside = door.side * (HALF_METRES + 0.9)
            threshold = door.side * (HALF_METRES - 0.3)
            along = lane * door.side
            turn = door.middle_metres + (1.3 if end > door.middle_metres else -1.3)
            return [
                (inside, door.middle_metres),
                (threshold, door.middle_metres),
                (along, turn),
                (along, end),
            ]

        along = somebody(
            rng, [(lane, 0.8), (-0.3 * lane, far)], start_seconds=float(rng.uniform(3.0, 12.0))
        )
        people: list[tuple[Walker, Door | None]] = [(along, None)]
        people.append((somebody(rng, through(first, far)), first))
        if rng.random() < 0.7:
            people.append((somebody(rng, through(second, 0.8)), second))
        if rng.random() < 0.5:
            stand = (-np.sign(lane) * (HALF_METRES - 0.55), float(rng.uniform(12.0, 17.0)))
            people.append((somebody(rng, [stand, stand]), None))
        return people

    def _life(self, seconds: float) -> list[Standing]:
        things = []
        for walker, door in self._visitors:
            step = walker.at(seconds)
            if not self._in_sight(walker, step):
                continue
            cutout, foot, pixels = walker.draw(self._view, seconds, (0.92, 0.92, 0.9))
            beside = abs(step.across_metres) > HALF_METRES - 0.25
            if door is not None and beside:
                things.append(Standing(step.ahead_metres, door.seen_through(cutout)))
                continue
            mirrored = cutout.mirrored(foot[1], 0.24)
            stands = contact_shadow(foot, 0.34 * pixels, 0.1 * pixels, 0.42)
            things.append(Standing(step.ahead_metres, cutout, (mirrored, stands)))
        return things

    def _in_sight(self, walker: Walker, step: Step) -> bool:
        """Neither under the camera, with the head below the picture, nor deep in a room."""
        if step.ahead_metres < 0.9 or abs(step.across_metres) > HALF_METRES + 0.8:
            return False
        return self._view.row(walker.height_metres, step.ahead_metres) < self.size[1]

    def _change(self, canvas: Canvas, seconds: float) -> None:
        for door in self._doors:
            opened = max(
                (
                    _opened(door, walker.at(seconds))
                    for walker, through in self._visitors
                    if through is door
                ),
                default=0.0,
            )
            if opened > 0.0:
                door.draw_open(canvas, opened)

    def _gain(self, seconds: float) -> float:
        """Daylight at the far end comes and goes a little."""
        return 1.0 + 0.012 * float(np.sin(0.5 * seconds + self._lamp_phase))


def _opened(door: Door, step: Step) -> float:
    """How far a door is open for who goes through it: 0 to 1."""
    away = float(
        np.hypot(
            step.across_metres - door.side * HALF_METRES, step.ahead_metres - door.middle_metres
        )
    )
    return float(np.clip((_OPENS_WITHIN_METRES - away) / 0.8, 0.0, 1.0))
