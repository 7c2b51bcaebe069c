"""Yard: an outdoor camera over a car park between a warehouse, a fence and a footpath."""

from __future__ import annotations

from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.car import Car
from edgewatch.pipeline.scenes.cutout import Cutout, contact_shadow
from edgewatch.pipeline.scenes.drawn.bodywork import COLOURS
from edgewatch.pipeline.scenes.drawn.fixed import FixedScene, Standing
from edgewatch.pipeline.scenes.drawn.foliage import Foliage
from edgewatch.pipeline.scenes.drawn.perspective import FixedCamera
from edgewatch.pipeline.scenes.drawn.sensor import Shade
from edgewatch.pipeline.scenes.drawn.vehicle import HATCHBACK, VAN
from edgewatch.pipeline.scenes.drawn.walker import Walker, somebody
from edgewatch.pipeline.scenes.drawn.yard_ground import LANE_METRES, PATH_METRES, draw_yard
from edgewatch.pipeline.scenes.drawn.yard_things import bin_cutout, lamp_cutout

YARD_CAMERA: Final = FixedCamera(focal_of_width=0.8, horizon=0.22, height_metres=4.5)
"""On a wall, above head height, looking down on the yard."""

_BAYS_METRES: Final = 28.0
"""Where the parked cars stand."""
_DOOR_METRES: Final = 35.9
"""Who is farther is inside the warehouse."""
_PARKED_KINDS: Final = 3
_SIGHT_METRES: Final = 26.0
"""Nobody who is farther to the side is seen."""


class YardScene(FixedScene):
    """People on the footpath and between the cars, now and then a vehicle; trees move in the wind.

    Nothing out of the ordinary happens.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (640, 360),
        fps: float = 15.0,
        *,
        duration_seconds: float = 5.0,
    ) -> None:
        """Prepare a scene of `duration_seconds`; `size` is (width, height) in pixels."""
        super().__init__(YARD_CAMERA, seed, size, fps, duration_seconds)
        rng = np.random.default_rng([seed, 11])
        self._side = float(rng.choice((-1.0, 1.0)))
        self._slant = float(rng.uniform(0.35, 0.8)) * float(rng.choice((-1.0, 1.0)))
        self._light_phase = float(rng.uniform(0, 2 * np.pi))
        self._background = draw_yard(rng, self._view, size, self._side)
        self._foliage = Foliage(rng, self._view, size, -self._side)
        self._park(rng)
        self._put_things()
        self._walkers = self._people(rng)
        self._passing = [_Passing(rng, leftwards) for leftwards in (True, False)]

    def _park(self, rng: np.random.Generator) -> None:
        """Stand cars in the bays, as part of the background."""
        cars = [
            Car(
                COLOURS[int(colour)],
                heading=float(rng.choice((-1.0, 1.0)) * np.pi / 2 + self._side * 0.2),
                tilt=0.16,
            )
            for colour in rng.permutation(len(COLOURS))[:_PARKED_KINDS]
        ]
        for bay in np.flatnonzero(rng.random(8) < 0.55):
            across = self._side * (-9.0 + 2.7 * float(bay))
            foot = (self._view.column(across, _BAYS_METRES), self._view.row(0.0, _BAYS_METRES))
            car = cars[(int(bay) + int(rng.integers(2))) % len(cars)]
            metre = self._view.scale(_BAYS_METRES)
            car.shadow(foot, metre, 0.7).paste(self._background)
            self._stand(_BAYS_METRES, car.cutout(foot, metre))

    def _put_things(self) -> None:
        """Put up a lamp and bins: what people pass behind."""
        for across, ahead, cutout in (
            (self._side * 6.6, 17.2, lamp_cutout),
            (self._side * -6.2, 14.6, bin_cutout),
            (self._side * -7.3, 14.6, bin_cutout),
        ):
            foot = (self._view.column(across, ahead), self._view.row(0.0, ahead))
            metre = self._view.scale(ahead)
            contact_shadow(foot, 0.9 * metre, 0.3 * metre, 0.5).paste(self._background)
            thing = cutout(foot, metre)
            if cutout is lamp_cutout:
                thing.cast(foot[1], self._slant, -0.3, 0.35).paste(self._background)
            self._stand(ahead, thing)

    def _stand(self, ahead_metres: float, cutout: Cutout) -> None:
        cutout.paste(self._background)
        self._hiding.append(Standing(ahead_metres, cutout))

    def _people(self, rng: np.random.Generator) -> list[Walker]:
        low, high = PATH_METRES
        far = _SIGHT_METRES
        side = self._side
        # Nobody walks through parked cars, or where vehicles pass: that would be an incident.
        paths = [
            [(-far / 2, float(rng.uniform(low + 0.3, high - 0.4))), (far / 2, low + 0.6)],
            [(far / 2, high - 0.4), (-far / 2, float(rng.uniform(low + 0.4, high - 0.5)))],
            [
                (side * -5.0, 36.6),
                (side * -2.25, 31.2),
                (side * -2.25, 25.2),
                (side * 17.0, 24.3),
            ],
            [(side * 12.5, 17.6), (side * 3.0, 17.2), (side * -12.0, 14.0)],
            [(side * 2.2, 25.6), (side * 2.2, 25.6)],
        ]
        # Somebody is in sight from the first picture on.
        first = somebody(rng, paths[0], start_seconds=float(rng.uniform(6.0, 10.0)))
        others = [somebody(rng, path) for path in paths[1:]]
        chosen = rng.random(len(others)) < (0.75, 0.8, 0.7, 0.5)
        return [first, *(one for one, taken in zip(others, chosen, strict=True) if taken)]

    def _life(self, seconds: float) -> list[Standing]:
        things = []
        for walker in self._walkers:
            step = walker.at(seconds)
            beside = abs(step.across_metres) * 0.8 > 0.56 * step.ahead_metres
            if beside or step.ahead_metres > _DOOR_METRES:
                continue
            cutout, foot, pixels = walker.draw(self._view, seconds)
            cast = cutout.cast(foot[1], self._slant, -0.3, 0.38)
            stands = contact_shadow(foot, 0.3 * pixels, 0.085 * pixels, 0.55)
            things.append(Standing(step.ahead_metres, cutout, (cast, stands)))
        for passing in self._passing:
            across = passing.across_at(seconds)
            if abs(across) < _SIGHT_METRES:
                things.append(self._vehicle(passing, across))
        return things

    def _vehicle(self, passing: _Passing, across: float) -> Standing:
        ahead = passing.ahead_metres
        foot = (self._view.column(across, ahead), self._view.row(0.0, ahead))
        metre = self._view.scale(ahead)
        cutout = passing.car.cutout(foot, metre)
        return Standing(ahead, cutout, (passing.car.shadow(foot, metre, 0.7),))

    def _shade(self, seconds: float) -> Shade | None:
        return self._foliage.shade(seconds)

    def _gain(self, seconds: float) -> float:
        """Thin clouds pass."""
        slow = np.sin(0.37 * seconds + self._light_phase) + 0.6 * np.sin(
            0.83 * seconds + 2.0 * self._light_phase
        )
        return 1.0 + 0.022 * float(slow)


class _Passing:
    """Vehicles of one direction: one passes, then for some time none."""

    def __init__(self, rng: np.random.Generator, leftwards: bool) -> None:
        body = VAN if rng.random() < 0.35 else HATCHBACK
        colour = COLOURS[int(rng.integers(len(COLOURS)))]
        self.car = Car(colour, leftwards=leftwards, tilt=0.2, body=body)
        near, far = LANE_METRES
        self.ahead_metres = near + 1.1 if leftwards else far - 1.1
        self._direction = -1.0 if leftwards else 1.0
        self._speed = float(rng.uniform(4.5, 8.0))
        self._every_seconds = float(rng.uniform(14.0, 26.0))
        self._start_seconds = float(rng.uniform(0.0, self._every_seconds))

    def across_at(self, seconds: float) -> float:
        """Metres to the right of the middle; far outside most of the time."""
        since = (seconds + self._start_seconds) % self._every_seconds
        return self._direction * (self._speed * since - _SIGHT_METRES)
