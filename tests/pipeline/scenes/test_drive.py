"""The drawn drive: same seed, same pixels; it moves as a drive does, and an impact is one."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edgewatch.pipeline.scenes.drawn.drive import DriveScene
from edgewatch.pipeline.types import Pixels

FPS = 15.0
IMPACT_SECONDS = 4.0
DURATION_SECONDS = 8.0


@pytest.fixture(scope="module")
def crash() -> DriveScene:
    return DriveScene(5, impact_at_seconds=IMPACT_SECONDS, duration_seconds=DURATION_SECONDS)


@pytest.fixture(scope="module")
def calm() -> DriveScene:
    return DriveScene(5, duration_seconds=DURATION_SECONDS)


def _grey(pixels: Pixels) -> npt.NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _nod(before: Pixels, after: Pixels) -> int:
    """How many rows the picture jumped, by the brightness profile from sky to road."""
    profiles = [_grey(pixels)[:, 40:600].mean(axis=1) for pixels in (before, after)]
    reach = 70
    middle = profiles[0][reach:250]
    misfits = [
        float(np.abs(middle - profiles[1][reach + shift : 250 + shift]).mean())
        for shift in range(-reach, reach + 1)
    ]
    return abs(int(np.argmin(misfits)) - reach)


def test_two_scenes_of_one_seed_draw_the_same_pixels_in_any_order(crash: DriveScene) -> None:
    twin = DriveScene(5, impact_at_seconds=IMPACT_SECONDS, duration_seconds=DURATION_SECONDS)
    indices = (0, 33, 61, 90)
    drawn = {index: crash.frame(index) for index in indices}
    for index in reversed(indices):
        np.testing.assert_array_equal(twin.frame(index), drawn[index])


def test_another_seed_draws_another_drive(crash: DriveScene) -> None:
    other = DriveScene(6, duration_seconds=2.0)
    difference = np.abs(crash.frame(0).astype(int) - other.frame(0))
    assert difference.mean() > 8


def test_pictures_have_the_size_asked_for_and_cannot_be_written() -> None:
    scene = DriveScene(1, size=(320, 180), duration_seconds=2.0)
    picture = scene.frame(3)
    assert picture.shape == (180, 320, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    assert not picture.flags.writeable
    assert scene.frame_count == 30


def test_a_scene_with_impact_equals_its_calm_twin_exactly_where_truth_says_normal(
    crash: DriveScene, calm: DriveScene
) -> None:
    begins = crash.incident_begins_seconds
    assert begins is not None
    first = int(np.ceil(begins * FPS))
    assert not crash.truth(first - 1).anomalous
    assert crash.truth(first).anomalous
    for index in (0, first // 2, first - 1):
        np.testing.assert_array_equal(crash.frame(index), calm.frame(index))
    for index in (first + 3, crash.frame_count - 1):
        assert (crash.frame(index) != calm.frame(index)).any()
        assert not calm.truth(index).anomalous


def test_the_road_flows_away_from_the_vanishing_point() -> None:
    # Drawn at a high rate, so that the road moves a few pixels from picture to picture.
    scene = DriveScene(5, fps=90.0, duration_seconds=2.0)
    across, down = np.meshgrid(np.arange(640), np.arange(360))
    # The road between the bonnet and the car ahead.
    road = (down > 235) & (down < 320) & (np.abs(across - 320) < 200)
    agreement, near, far = [], [], []
    for index in range(4, 160, 26):
        before, after = _grey(scene.frame(index)), _grey(scene.frame(index + 1))
        start = np.zeros((360, 640, 2), np.float32)
        flow = cv2.calcOpticalFlowFarneback(before, after, start, 0.5, 3, 21, 4, 7, 1.5, 0)
        x, y = scene.vanishing_point(index)
        outward = np.dstack([across - x, down - y])
        outward /= np.linalg.norm(outward, axis=2, keepdims=True)
        outwards = (flow * outward).sum(axis=2)
        agreement.append(float(np.median((outwards / np.linalg.norm(flow, axis=2))[road])))
        far.append(float(np.median(outwards[road & (down < 255)])))
        near.append(float(np.median(outwards[road & (down > 290)])))
    assert np.median(agreement) > 0.95
    assert np.median(near) > 1.8 * np.median(far) > 0


def test_the_impact_jolts_the_camera_and_then_it_stands(crash: DriveScene) -> None:
    def nods(first: int, last: int) -> list[int]:
        return [_nod(crash.frame(i), crash.frame(i + 1)) for i in range(first, last)]

    def changed(first: int) -> float:
        """Share of the pixels that change by more than noise from one picture to the next."""
        apart = cv2.absdiff(crash.frame(first), crash.frame(first + 1))
        return float((apart.max(axis=2) > 20).mean())

    struck_at = round(IMPACT_SECONDS * FPS)
    at_rest = struck_at + round(3.0 * FPS)
    driving = nods(4, 16)
    assert max(nods(struck_at - 1, struck_at + 4)) > 4 * max(1, *driving)
    assert changed(at_rest) < 0.3 * changed(8)


def test_the_car_ahead_looms_before_the_impact(crash: DriveScene, calm: DriveScene) -> None:
    last = round(IMPACT_SECONDS * FPS) - 1
    differing = []
    for before in (18, 9, 0):
        index = last - before
        apart = np.abs(crash.frame(index).astype(int) - calm.frame(index)).max(axis=2) > 40
        differing.append(int(apart[100:330, 160:480].sum()))
    assert differing[0] < differing[1] < differing[2]


@pytest.mark.parametrize("impact_seconds", [0.5, 9.0])
def test_an_impact_that_does_not_fit_the_scene_is_refused(impact_seconds: float) -> None:
    with pytest.raises(ValueError, match="impact_at_seconds"):
        DriveScene(1, impact_at_seconds=impact_seconds, duration_seconds=DURATION_SECONDS)
