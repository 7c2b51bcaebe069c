"""Each kind does what its name says, and its twin does not."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgewatch.pipeline.scenes.incidents.catalogue import make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.course import Approach
from edgewatch.pipeline.scenes.incidents.incident import Incident
from edgewatch.pipeline.scenes.truth import IncidentKind, Mask
from edgewatch.pipeline.types import Pixels
from tests.pipeline.scenes.incidents.footage import BEGINS, picture, placement


def _composed(incident: Incident, age: float, level: float = 110.0) -> tuple[Pixels, Mask]:
    seconds = BEGINS + age
    pixels, truth = incident.compose(picture(seconds, level=level), seconds)
    assert truth.mask is not None
    return pixels, truth.mask


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of the larger part of what changed."""
    rows, columns = (np.flatnonzero(mask.sum(axis=axis) > 1) for axis in (1, 0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def test_a_vehicle_comes_in_stops_and_stays_and_its_twin_drives_on() -> None:
    stopped = make_incident("stopped_vehicle", 4, placement(lasts_seconds=8.0))
    boxes = [_box(_composed(stopped, age)[1]) for age in (0.8, 1.6, 4.0, 7.0)]
    assert boxes[0][2] < boxes[1][2]
    np.testing.assert_allclose(boxes[2], boxes[3], atol=2)
    passing = make_twin("stopped_vehicle", 4, placement(lasts_seconds=8.0))
    middles = []
    for part in (0.3, 0.5, 0.7):
        left, _, right, _ = _box(_composed(passing, part * (passing.ends_seconds - BEGINS))[1])
        middles.append((left + right) / 2)
    steps = np.diff(middles)
    assert abs(steps).min() > 15
    assert steps[0] * steps[1] > 0


def test_a_vehicle_is_no_anomaly_until_it_stands() -> None:
    stopped = make_incident("stopped_vehicle", 4, placement(lasts_seconds=8.0))
    truths = [stopped.compose(picture(1.0 + age), 1.0 + age)[1] for age in (1.0, 3.0)]
    assert [truth.kind for truth in truths] == [None, "stopped_vehicle"]


@pytest.mark.parametrize("kind", ["stopped_vehicle", "debris", "person_on_road", "flame"])
def test_from_a_moving_vehicle_a_thing_comes_nearer(kind: IncidentKind) -> None:
    incident = make_incident(kind, 4, placement("driving", lasts_seconds=4.0))
    sizes = [int(_composed(incident, age)[1].sum()) for age in (1.5, 2.7, 3.6)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_an_approach_keeps_to_the_plane_of_the_road_and_arrives() -> None:
    where = placement("driving", foot=(0.6, 0.8), height=0.3, lasts_seconds=4.0)
    approach = Approach(where, 1.5)
    arrived = approach.at(approach.arrives_seconds)
    assert (arrived.x, arrived.y) == pytest.approx(where.foot)
    assert arrived.height == pytest.approx(where.height)
    for age in np.linspace(0.0, approach.lasts_seconds, 9):
        spot = approach.at(float(age))
        nearer = spot.height / where.height
        assert spot.y - where.horizon == pytest.approx(nearer * (0.8 - where.horizon))
        assert spot.x - 0.5 == pytest.approx(nearer * 0.1)


def test_debris_falls_from_above_and_lies_still() -> None:
    debris = make_incident("debris", 4, placement(height=0.12, lasts_seconds=6.0))
    falling, lying, later = (_box(_composed(debris, age)[1]) for age in (0.15, 3.0, 4.5))
    assert falling[1] < lying[1] - 12
    np.testing.assert_allclose(lying, later, atol=2)


def test_who_falls_lies_flat_and_who_squats_does_not() -> None:
    where = placement(lasts_seconds=8.0, height=0.4)
    shapes = {}
    for name, incident in (
        ("fall", make_incident("fall", 6, where)),
        ("twin", make_twin("fall", 6, where)),
    ):
        left, top, right, bottom = _box(_composed(incident, 5.0)[1])
        shapes[name] = (right - left) / (bottom - top)
    assert shapes["fall"] > 1.4 > 1.0 > shapes["twin"]


def test_a_plume_grows_and_is_dark_and_steam_is_neither() -> None:
    smoke, steam = make_incident("smoke", 4, placement()), make_twin("smoke", 4, placement())
    early, late = (_composed(smoke, age)[1].sum() for age in (0.5, 2.5))
    assert late > 2 * early

    def brightness(incident: Incident) -> float:
        pixels, mask = _composed(incident, 1.0, level=170.0)
        return float((pixels.astype(int) - picture(BEGINS + 1.0, level=170.0))[mask].mean())

    assert brightness(smoke) < -5
    assert brightness(steam) > brightness(smoke) + 15


def test_a_flame_flickers_between_5_and_12_hertz() -> None:
    flame = make_incident("flame", 4, placement(lasts_seconds=7.0))
    rate, count = 48.0, 96
    pixels = picture(2.5)
    glow = []
    for index in range(count):
        drawn, _ = flame.compose(pixels, BEGINS + 2.5 + index / rate)
        # On the ground beside the flame: its light, not its tongues.
        glow.append(float(drawn[70:80, 84:100, 0].mean()))
    spectrum = np.abs(np.fft.rfft(np.array(glow) - np.mean(glow))) ** 2
    hertz = np.fft.rfftfreq(count, 1 / rate)
    assert spectrum[(hertz >= 5) & (hertz <= 12)].sum() > 0.7 * spectrum.sum()


def test_water_rises_row_by_row() -> None:
    flood = make_incident("flood", 4, placement(lasts_seconds=9.0))
    wet = [_composed(flood, age)[1].any(axis=1).argmax() for age in (1.0, 3.0, 6.0)]
    assert wet[0] > wet[1] > wet[2] > 0.4 * 96


def test_a_covered_lens_sees_next_to_nothing_and_a_hand_passes() -> None:
    cover, hand = make_incident("covered", 4, placement()), make_twin("covered", 4, placement())
    pixels, mask = _composed(cover, 1.5)
    assert mask.mean() > 0.95
    assert cv2.GaussianBlur(pixels, (0, 0), 2).std() < 0.35 * picture(BEGINS + 1.5).std()
    assert hand.ends_seconds - BEGINS < 2.0


def _spot(pixels: Pixels) -> npt.NDArray[np.float64]:
    """Give where the bright spot is, x and y."""
    rows, columns = np.nonzero(pixels[..., 0] > 60)
    return np.array((columns.mean(), rows.mean()))


def test_a_knocked_camera_looks_elsewhere_and_a_bump_is_over_soon() -> None:
    still = np.zeros((96, 160, 3), np.uint8)
    still[44:52, 76:84] = 255
    moved, bump = make_incident("moved", 4, placement()), make_twin("moved", 4, placement())
    one, other = (_spot(moved.compose(still, BEGINS + age)[0]) for age in (1.8, 2.4))
    assert np.hypot(*(one - _spot(still))) > 8
    assert np.hypot(*(one - other)) < 1
    assert np.hypot(*(_spot(bump.compose(still, BEGINS + 0.01)[0]) - _spot(still))) > 4
    assert bump.ends_seconds - BEGINS <= 1.0


def test_a_frozen_camera_repeats_the_last_picture_and_a_stutter_two_of_them() -> None:
    moments = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75]
    frozen, stutter = make_incident("frozen", 1, placement()), make_twin("frozen", 1, placement())
    held = [frozen.compose(picture(seconds), seconds) for seconds in moments]
    assert all(pixels is picture(0.75) for pixels, _ in held[2:])
    assert [truth.kind for _, truth in held] == [None, None, *["frozen"] * 4]
    passed = [stutter.compose(picture(seconds), seconds)[0] for seconds in moments]
    assert [pixels is picture(0.75) for pixels in passed] == [False, True, True, True, False, False]


def test_a_picture_that_stands_still_is_frozen_although_nothing_differs() -> None:
    frozen = make_incident("frozen", 1, placement())
    frozen.compose(picture(0.5), 0.5)
    pixels, truth = frozen.compose(picture(0.5), 1.5)
    assert pixels is picture(0.5)
    assert truth.anomalous
    assert truth.mask is not None
    assert not truth.mask.any()


@pytest.mark.parametrize("kind", ["stopped_vehicle", "person_on_road", "smoke", "covered"])
def test_what_is_drawn_is_darker_in_darker_footage(kind: IncidentKind) -> None:
    def brightness(level: float) -> float:
        incident = make_incident(kind, 4, placement(lasts_seconds=6.0))
        pixels, mask = _composed(incident, 3.0, level)
        return float(pixels[mask].mean())

    assert brightness(30.0) < 0.5 * brightness(120.0)


def test_a_grey_camera_sees_no_coloured_vehicle() -> None:
    grey = cv2.cvtColor(cv2.cvtColor(picture(4.0), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    vehicle = make_incident("stopped_vehicle", 4, placement(lasts_seconds=6.0))
    pixels, truth = vehicle.compose(np.asarray(grey, np.uint8), 4.0)
    assert truth.mask is not None
    drawn = pixels[truth.mask].astype(int)
    assert np.abs(drawn.max(axis=1) - drawn.min(axis=1)).mean() < 4


def test_grain_on_a_vehicle_follows_the_grain_of_the_footage() -> None:
    def roughness(sigma: float) -> float:
        vehicle = make_incident("stopped_vehicle", 4, placement(lasts_seconds=6.0))
        pixels, _ = vehicle.compose(picture(4.0, sigma=sigma), 4.0)
        return float(np.abs(np.diff(pixels[58:64, 66:78, 0].astype(int), axis=1)).mean())

    assert roughness(9.0) > roughness(1.0) + 2.5
