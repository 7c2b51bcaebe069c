"""Walker: a person who goes to and fro on a path, in the perspective of a fixed camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.cutout import Cutout
from edgewatch.pipeline.scenes.drawn.view import View
from edgewatch.pipeline.scenes.figure import DAYLIGHT, Clothes, Light, draw_figure
from edgewatch.pipeline.scenes.posture import STRIDE_OF_HEIGHT

_TURN_SECONDS: Final = 0.9
"""Who arrives turns round in this time."""


@dataclass(frozen=True, slots=True)
class Step:
    """One person at one moment; places in metres as in `View`."""

    across_metres: float
    ahead_metres: float
    heading: float
    """As `figure.draw_figure` takes it."""
    walked_metres: float
    walking: bool


class Walker:
    """Goes along a path to its end, turns, waits, and comes back, for ever."""

    def __init__(
        self,
        path: Sequence[tuple[float, float]],
        *,
        speed_mps: float,
        start_seconds: float,
        wait_seconds: float,
        height_metres: float,
        clothes: Clothes,
    ) -> None:
        """`path`: at least two places (across, ahead) in metres; one twice is somebody who stands.

        `start_seconds`: how long the person has been under way at time 0.
        """
        self._places = np.array(path, np.float64)
        lengths = np.hypot(*np.diff(self._places, axis=0).T)
        self._reached = np.concatenate([[0.0], np.cumsum(lengths)])
        self._speed, self._start = speed_mps, start_seconds
        self._wait = max(wait_seconds, _TURN_SECONDS)
        self.height_metres, self.clothes = height_metres, clothes

    def at(self, seconds: float) -> Step:
        """Give the person's step at a time; a function of the time alone."""
        total = float(self._reached[-1])
        if total <= 0.0:
            across, ahead = self._places[0]
            return Step(float(across), float(ahead), -1.0 + 0.2 * np.sin(0.3 * seconds), 0.0, False)
        way = total / self._speed
        lap, since = divmod(seconds + self._start, way + self._wait)
        back = int(lap) % 2 == 1
        gone = min(since, way) * self._speed
        place = total - gone if back else gone
        across = float(np.interp(place, self._reached, self._places[:, 0]))
        ahead = float(np.interp(place, self._reached, self._places[:, 1]))
        heading = self._heading(place, back)
        if since > way:
            # Turn the short way round, then wait.
            turned = min(1.0, (since - way) / _TURN_SECONDS)
            heading += np.pi * turned * turned * (3 - 2 * turned)
        return Step(across, ahead, heading, lap * total + gone, since < way)

    def _heading(self, place: float, back: bool) -> float:
        """Face along the path, blending over half a metre about its bends."""
        ends = np.clip([place - 0.3, place + 0.3], 0.0, self._reached[-1])
        across = np.interp(ends, self._reached, self._places[:, 0])
        ahead = np.interp(ends, self._reached, self._places[:, 1])
        heading = float(np.arctan2(ahead[1] - ahead[0], across[1] - across[0]))
        return heading + np.pi if back else heading

    def draw(
        self, view: View, seconds: float, light: Light = DAYLIGHT
    ) -> tuple[Cutout, tuple[float, float], float]:
        """Give the person's cutout, the foot in the picture, and the height in pixels."""
        step = self.at(seconds)
        foot = (
            view.column(step.across_metres, step.ahead_metres),
            view.row(0.0, step.ahead_metres),
        )
        pixels = self.height_metres * view.scale(step.ahead_metres)
        # Where the line of sight runs to the side, a person is seen turned by as much.
        sight = np.arctan2(step.across_metres - view.across_metres, step.ahead_metres)
        cutout = draw_figure(
            pixels,
            foot,
            "walking" if step.walking else "standing",
            phase=(
                2 * np.pi * step.walked_metres / (STRIDE_OF_HEIGHT * self.height_metres)
                if step.walking
                else 0.7 * seconds
            ),
            heading=step.heading + float(sight),
            tilt=float(np.arctan2(view.height_metres - 0.9, step.ahead_metres)),
            clothes=self.clothes,
            light=light,
        )
        return cutout, foot, pixels


def somebody(
    rng: np.random.Generator,
    path: Sequence[tuple[float, float]],
    *,
    start_seconds: float | None = None,
) -> Walker:
    """Make up a person for a path."""
    start = float(rng.uniform(0.0, 60.0)) if start_seconds is None else start_seconds
    return Walker(
        path,
        speed_mps=float(rng.uniform(1.05, 1.5)),
        start_seconds=start,
        wait_seconds=float(rng.uniform(1.0, 4.0)),
        height_metres=float(rng.uniform(1.62, 1.88)),
        clothes=Clothes.chosen(rng),
    )
