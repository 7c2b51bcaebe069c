"""Every kind and its twin: truth is exact, times are kept, pixels repeat, any size will do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits, make_incident, make_twin
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Incident, Placement
from edgewatch.pipeline.scenes.truth import IncidentKind
from tests.pipeline.scenes.incidents.fingerprints import CAMERAS, fingerprints
from tests.pipeline.scenes.incidents.footage import BEGINS, picture, placement

Make = Callable[[IncidentKind, int, Placement], Incident]

ROOT = Path(__file__).parents[4]
STEP_SECONDS = 0.3
CASES = [
    pytest.param(make, kind, camera, id=f"{camera}-{kind}-{make.__name__.removeprefix('make_')}")
    for camera in CAMERAS
    for kind in KINDS
    if fits(kind, camera)
    for make in (make_incident, make_twin)
]


def _check_moment(incident: Incident, seconds: float, size: tuple[int, int]) -> bool:
    """Compare a picture with its truth; tell whether anything was changed."""
    before = picture(seconds, size)
    after, truth = incident.compose(before, seconds)
    assert truth.time_seconds == seconds
    assert truth.kind in (None, incident.kind)
    if truth.mask is None:
        assert after is before
        assert not truth.anomalous
        return False
    assert incident.begins_seconds <= seconds < incident.ends_seconds
    assert after.shape == before.shape
    assert after.dtype == np.uint8
    assert after.flags.c_contiguous
    assert not after.flags.writeable
    np.testing.assert_array_equal((after != before).any(axis=2), truth.mask)
    return bool(truth.mask.any())


@pytest.mark.parametrize(("make", "kind", "camera"), CASES)
def test_the_mask_is_exactly_what_differs_and_only_while_it_lasts(
    make: Make, kind: IncidentKind, camera: CameraKind
) -> None:
    incident = make(kind, 5, placement(camera))
    assert incident.kind == (kind if make is make_incident else None)
    assert incident.begins_seconds == BEGINS
    for seconds in (0.0, BEGINS - 0.001):
        assert not _check_moment(incident, seconds, (160, 96))
    during = np.arange(BEGINS + 0.02, incident.ends_seconds, STEP_SECONDS)
    changed = [_check_moment(incident, float(seconds), (160, 96)) for seconds in during]
    assert any(changed)
    for seconds in (incident.ends_seconds, incident.ends_seconds + 9.0):
        assert not _check_moment(incident, seconds, (160, 96))


@pytest.mark.parametrize(("make", "kind", "camera"), CASES)
def test_an_incident_is_anomalous_before_it_is_half_over_and_a_twin_never(
    make: Make, kind: IncidentKind, camera: CameraKind
) -> None:
    incident = make(kind, 2, placement(camera, lasts_seconds=5.0))
    incident.compose(picture(BEGINS - 0.1), BEGINS - 0.1)
    middle = (incident.begins_seconds + incident.ends_seconds) / 2
    assert incident.compose(picture(middle), middle)[1].anomalous == (make is make_incident)


def test_pixels_are_the_same_in_another_process() -> None:
    command = [sys.executable, "-m", "tests.pipeline.scenes.incidents.fingerprints"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    assert json.loads(answer.stdout) == fingerprints(7)


def test_another_seed_draws_another_picture() -> None:
    one, other = fingerprints(7), fingerprints(8)
    same = {name for name, found in one.items() if other[name] == found}
    # A repeated picture has nothing to choose.
    assert all(" frozen " in name for name in same)


@pytest.mark.parametrize("kind", KINDS)
def test_windows_that_overlap_show_the_same_twice(kind: IncidentKind) -> None:
    for make in (make_incident, make_twin):
        incident = make(kind, 3, placement())
        moments = (0.8, 1.1, 1.4, 1.7)
        first = {seconds: incident.compose(picture(seconds), seconds)[0] for seconds in moments}
        for seconds in moments[1:]:
            again = incident.compose(picture(seconds), seconds)[0]
            np.testing.assert_array_equal(again, first[seconds])


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(CASES).map(lambda case: case.values),
    st.sampled_from([(112, 112), (160, 90), (64, 150)]),
    st.tuples(st.floats(-0.1, 1.1), st.floats(0.0, 1.1)),
    st.floats(0.01, 1.0),
    st.floats(0.3, 8.0),
    st.floats(0.0, 1.0),
)
def test_any_size_place_height_and_time_will_do(
    case: tuple[Make, IncidentKind, CameraKind],
    size: tuple[int, int],
    foot: tuple[float, float],
    height: float,
    lasts_seconds: float,
    part: float,
) -> None:
    make, kind, camera = case
    where = placement(camera, foot=foot, height=height, lasts_seconds=lasts_seconds)
    incident = make(kind, 1, where)
    moment = incident.begins_seconds + part * (incident.ends_seconds - incident.begins_seconds)
    _check_moment(incident, moment, size)


@pytest.mark.long
@pytest.mark.parametrize(("make", "kind", "camera"), CASES)
def test_large_pictures_are_drawn_as_small_ones_are(
    make: Make, kind: IncidentKind, camera: CameraKind
) -> None:
    shares = []
    for size in ((320, 180), (1920, 1080)):
        incident = make(kind, 5, placement(camera))
        incident.compose(picture(0.9, size), 0.9)
        middle = (incident.begins_seconds + incident.ends_seconds) / 2
        _check_moment(incident, middle, size)
        truth = incident.compose(picture(middle, size), middle)[1]
        shares.append(0.0 if truth.mask is None else float(truth.mask.mean()))
    assert shares[0] == pytest.approx(shares[1], abs=0.05)


@pytest.mark.parametrize(("kind", "camera"), [("fall", "driving"), ("flood", "driving")])
def test_what_nobody_sees_from_a_moving_vehicle_does_not_fit(
    kind: IncidentKind, camera: CameraKind
) -> None:
    assert not fits(kind, camera)
    assert fits(kind, "fixed")


def test_an_impact_cannot_be_put_into_footage() -> None:
    assert not fits("impact", "driving")
    for make in (make_incident, make_twin):
        with pytest.raises(ValueError, match="impact"):
            make("impact", 1, placement())


@pytest.mark.parametrize("wrong", [{"height": 0.0}, {"lasts_seconds": 0.0}])
def test_a_placement_in_no_time_or_of_no_height_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        make_incident("smoke", 1, placement(**wrong))  # type: ignore[arg-type]  # one of two floats
