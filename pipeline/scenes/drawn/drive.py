"""Procedural scene: a drive through the country, drawn from a seed, with or without an impact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.drawn.bodywork import COLOURS
from edgewatch.pipeline.scenes.drawn.cockpit import Cockpit
from edgewatch.pipeline.scenes.drawn.ground import Ground
from edgewatch.pipeline.scenes.drawn.ride import BRAKING_SECONDS, Moment, Ride
from edgewatch.pipeline.scenes.drawn.scenery import FARTHEST_METRES, HAZE_COLOUR, Backdrop, Roadside
from edgewatch.pipeline.scenes.drawn.vehicle import HATCHBACK, VAN, Vehicle
from edgewatch.pipeline.scenes.drawn.view import CAMERA_HEIGHT_METRES, NEAREST_METRES, View
from edgewatch.pipeline.scenes.noise import Grain
from edgewatch.pipeline.scenes.sprite import Canvas
from edgewatch.pipeline.scenes.truth import FrameTruth
from edgewatch.pipeline.types import Pixels

_FOCAL_OF_WIDTH: Final = 0.8
"""Focal length in picture widths: 64 degrees across, a usual dashboard camera."""
_HORIZON: Final = 0.46
"""Row of the horizon in picture heights, on level ground."""
_MARGIN: Final = 16
"""Pixels drawn beyond the picture, so that rolling the camera shows no edge."""

Draw = Callable[[Canvas, View], None]


class DriveScene:
    """A dashboard camera's footage; each picture can be asked for by itself, in any order.

    The same arguments give the same pixels (with the same versions of numpy and OpenCV). A scene
    with an impact and one without are identical until the car ahead brakes.
    """

    def __init__(
        self,
        seed: int,
        size: tuple[int, int] = (640, 360),
        fps: float = 15.0,
        impact_at_seconds: float | None = None,
        *,
        duration_seconds: float = 24.0,
        gentle: bool = False,
    ) -> None:
        """Prepare a scene of `duration_seconds`; `size` is (width, height).

        `gentle`: instead of an impact, the car ahead brakes gently from the same moment on, and
        the own car stops behind it: nothing to report.

        Raises ValueError if the impact is not within the scene, after time enough to brake.
        """
        if impact_at_seconds is not None and not (
            BRAKING_SECONDS <= impact_at_seconds <= duration_seconds
        ):
            raise ValueError(
                f"impact_at_seconds must be {BRAKING_SECONDS} to {duration_seconds} "
                f"(the duration), not {impact_at_seconds}"
            )
        self.size, self.fps, self.duration_seconds = size, fps, duration_seconds
        self._seed = seed
        self._impact = None if gentle else impact_at_seconds
        rng = np.random.default_rng(seed)
        self._ride = Ride(
            np.random.default_rng([seed, 1]), duration_seconds, impact_at_seconds, gentle=gentle
        )
        self._focal = _FOCAL_OF_WIDTH * size[0]
        drawn = (size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN)
        self._backdrop = Backdrop(rng, drawn)
        self._ground = Ground(rng, self._focal, HAZE_COLOUR)
        self._roadside = Roadside(rng)
        self._bend_phase = float(rng.uniform(0, 2 * np.pi))
        self._traffic = _Traffic(rng, duration_seconds)
        lead_colour = COLOURS[int(rng.integers(len(COLOURS)))]
        self._lead = Vehicle(lead_colour, "away", HATCHBACK)
        self._grain = Grain(rng, size, sigma=2.6)
        self._lens = _lens(size)
        self._cockpit = Cockpit(np.random.default_rng([seed, 2]), size)

    @property
    def frame_count(self) -> int:
        """Number of pictures in the scene."""
        return round(self.duration_seconds * self.fps)

    @property
    def incident_begins_seconds(self) -> float | None:
        """When the car ahead starts to brake hard; None without an impact."""
        return None if self._impact is None else self._impact - BRAKING_SECONDS

    def frames(self) -> Iterator[Pixels]:
        """Draw all pictures in order."""
        return (self.frame(index) for index in range(self.frame_count))

    def frame(self, index: int) -> Pixels:
        """Draw one picture, uint8 RGB, shape (height, width, 3), read-only."""
        seconds = index / self.fps
        moment = self._ride.at(seconds)
        width, height = self.size
        canvas: Canvas = np.empty((height + 2 * _MARGIN, width + 2 * _MARGIN, 3), np.uint8)
        self._draw_world(canvas, self._view(moment), moment, seconds)
        picture = _rolled(canvas, moment.roll_radians, self.size)
        self._cockpit.draw(picture, moment.since_impact_seconds)
        return self._develop(picture, index)

    def truth(self, index: int) -> FrameTruth:
        """Tell what a picture shows; an impact concerns all of the picture."""
        seconds = index / self.fps
        begins = self.incident_begins_seconds
        if begins is None or seconds < begins:
            return FrameTruth(seconds)
        width, height = self.size
        return FrameTruth(seconds, "impact", np.ones((height, width), np.bool_))

    def vanishing_point(self, index: int) -> tuple[float, float]:
        """Where straight motion comes from in a picture: x, y in pixels, before any roll."""
        view = self._view(self._ride.at(index / self.fps))
        heading_x = view.centre_x - view.focal_pixels * view.yaw_radians
        return heading_x - _MARGIN, view.horizon_y - _MARGIN

    def _view(self, moment: Moment) -> View:
        width, height = self.size
        bend = np.sin(2 * np.pi * moment.along_metres / 520.0 + self._bend_phase)
        return View(
            focal_pixels=self._focal,
            centre_x=width / 2 + _MARGIN,
            horizon_y=_HORIZON * height + _MARGIN + self._focal * moment.pitch_radians,
            across_metres=moment.across_metres,
            yaw_radians=moment.yaw_radians,
            curvature=0.0011 * float(bend),
            height_metres=CAMERA_HEIGHT_METRES + moment.heave_metres,
        )

    def _draw_world(self, canvas: Canvas, view: View, moment: Moment, seconds: float) -> None:
        self._backdrop.draw(canvas, view)
        self._ground.draw(canvas, view, moment.along_metres)
        things: list[tuple[float, Draw]] = [
            (placed.ahead_metres, placed.draw)
            for placed in self._roadside.ahead_of(moment.along_metres)
        ]
        things += self._traffic.ahead_of(moment.along_metres, seconds)

        def draw_lead(canvas: Canvas, view: View) -> None:
            ahead = max(moment.lead_ahead_metres, NEAREST_METRES)
            self._lead.draw(canvas, view, 1.75, ahead, moment.lead_lights)

        things.append((moment.lead_ahead_metres, draw_lead))
        for _, draw in sorted(things, key=lambda thing: -thing[0]):
            draw(canvas, view)

    def _develop(self, picture: Canvas, index: int) -> Pixels:
        """Pass the picture through lens, exposure and sensor."""
        rng = np.random.default_rng([self._seed, 3, index])
        gain = 1.0 + 0.012 * np.sin(0.9 * index / self.fps) + rng.normal(0, 0.002)
        soft = cv2.GaussianBlur(picture, (3, 3), 0.55)
        exposed = cv2.multiply(soft, self._lens, scale=gain / 255)
        grainy = cv2.add(exposed, self._grain.sheet(rng), dtype=cv2.CV_8U)
        developed = np.asarray(grainy, np.uint8)
        developed.setflags(write=False)
        return developed


class _Traffic:
    """Oncoming vehicles, each at its own steady speed."""

    def __init__(self, rng: np.random.Generator, duration_seconds: float) -> None:
        kinds = [(COLOURS[1], HATCHBACK), (COLOURS[4], VAN), (COLOURS[2], HATCHBACK)]
        vehicles = [Vehicle(colour, "towards", body) for colour, body in kinds]
        self._cars: list[tuple[Vehicle, float, float]] = []
        place = float(rng.uniform(40.0, 120.0))
        while place < duration_seconds * 40.0:
            vehicle = vehicles[int(rng.integers(len(vehicles)))]
            self._cars.append((vehicle, place, float(rng.uniform(15.0, 17.0))))
            place += float(rng.uniform(55.0, 150.0))

    def ahead_of(self, along_metres: float, seconds: float) -> list[tuple[float, Draw]]:
        """List the vehicles in sight with their distance."""
        things: list[tuple[float, Draw]] = []
        for vehicle, start, speed in self._cars:
            ahead = start - speed * seconds - along_metres
            if -vehicle.body.length_metres < ahead < FARTHEST_METRES:
                things.append((ahead, _oncoming(vehicle, ahead)))
        return things


def _oncoming(vehicle: Vehicle, ahead_metres: float) -> Draw:
    return lambda canvas, view: vehicle.draw(canvas, view, -1.75, ahead_metres)


def _rolled(canvas: Canvas, roll_radians: float, size: tuple[int, int]) -> Canvas:
    """Turn the canvas about its centre and cut the margin off."""
    width, height = size
    centre = (width / 2 + _MARGIN, height / 2 + _MARGIN)
    matrix = cv2.getRotationMatrix2D(centre, float(np.degrees(roll_radians)), 1.0)
    matrix[:, 2] -= _MARGIN
    turned = cv2.warpAffine(
        canvas, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(turned, np.uint8)


def _lens(size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Darken towards the corners, as small lenses do; uint8, 255 leaves a pixel as it is."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot(columns / width - 0.5, rows / height - 0.5) / 0.707
    fall = 255.0 * (1.0 - 0.22 * distance**3)
    return np.repeat(fall.astype(np.uint8)[..., None], 3, axis=2)
