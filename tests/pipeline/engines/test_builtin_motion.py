"""What the motion figures say of scenes whose motion is known."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.engines.builtin import motion
from edgewatch.pipeline.engines.builtin.motion import FlowMeter, Peak
from tests.pipeline.engines.street import HEIGHT, WALKER, WIDTH, paste, quiet, texture

LARGE = texture(HEIGHT + 80, WIDTH + 200, 5)


def figures(drawing: Callable[[int], np.ndarray], frames: int = 8) -> dict[str, Peak]:
    meter = FlowMeter()
    pictures = [motion.shrink(drawing(index)) for index in range(frames)]
    steps = [meter.step(before, after, 0.25) for before, after in pairwise(pictures)]
    return motion.measure(steps)


def panned(left: int) -> np.ndarray:
    return np.array(LARGE[40 : 40 + HEIGHT, left : left + WIDTH])


def walker_at(index: int, left: int) -> np.ndarray:
    return paste(quiet(index), WALKER, 90, left)


def test_still_scene_moves_nowhere() -> None:
    found = figures(quiet)
    assert found["still"].value > 0.9
    assert found["jolt"].value == 0
    assert found["fast_motion"].value < 0.02
    assert found["crowding"].value == 0


def test_steady_pan_is_the_cameras_own_motion() -> None:
    found = figures(lambda index: panned(8 * index))
    assert found["still"].value < 0.5
    assert found["jolt"].value < 0.1
    assert found["crowding"].value < 0.2


def test_sudden_turn_of_the_camera_is_a_jolt_at_its_frame() -> None:
    steady = figures(lambda index: panned(8 * index))["jolt"].value
    lefts = (0, 8, 16, 24, 56, 64, 72, 80)
    jolt = figures(lambda index: panned(lefts[index]))["jolt"]
    assert jolt.value > 3 * steady
    assert jolt.frame in {4, 5}


def test_to_and_fro_is_more_erratic_than_walking_through() -> None:
    through = figures(lambda index: walker_at(index, 40 + 10 * index))
    to_and_fro = figures(lambda index: walker_at(index, 150 + 10 * (index % 2)))
    assert to_and_fro["erratic_motion"].value > 2 * through["erratic_motion"].value
    assert to_and_fro["disorder"].value > through["disorder"].value


def test_place_of_motion_is_found() -> None:
    peak = figures(lambda index: walker_at(index, 250 + 8 * (index % 2)))["fast_motion"]
    assert peak.x is not None
    assert peak.y is not None
    assert peak.x > 2 / 3
    assert 0.45 < peak.y < 0.9


def test_flash_is_a_shock_at_its_frame() -> None:
    def flashed(index: int) -> np.ndarray:
        bright = 90 if index == 5 else 0
        return np.asarray(np.clip(quiet(index).astype(int) + bright, 0, 255), np.uint8)

    found = figures(flashed)
    assert found["light_change"].frame in {5, 6}
    assert found["light_change"].value > 20 * figures(quiet)["light_change"].value


def test_speed_does_not_depend_on_the_size_of_frames() -> None:
    def halved(index: int) -> np.ndarray:
        return np.asarray(
            cv2.resize(walker_at(index, 40 + 10 * index), (WIDTH // 2, HEIGHT // 2)), np.uint8
        )

    full = figures(lambda index: walker_at(index, 40 + 10 * index))["fast_motion"].value
    assert figures(halved)["fast_motion"].value == pytest.approx(full, rel=0.3)


def test_a_meter_gives_the_same_whatever_it_measured_before() -> None:
    pictures = [motion.shrink(panned(8 * index)) for index in range(3)]
    fresh = FlowMeter().step(pictures[1], pictures[2], 0.25)
    used = FlowMeter()
    used.step(pictures[0], pictures[1], 0.25)
    assert np.array_equal(used.step(pictures[1], pictures[2], 0.25).velocity, fresh.velocity)


def test_no_steps_say_nothing() -> None:
    assert motion.measure([]) == {}


@given(
    terms=st.lists(st.floats(-3, 3), min_size=6, max_size=6),
    outliers=st.integers(0, 2**32 - 1),
)
@settings(max_examples=30, deadline=None)
def test_affine_motion_is_found_under_a_fifth_of_outliers(
    terms: list[float], outliers: int
) -> None:
    wanted = np.array(terms).reshape(3, 2)
    flow = motion.affine_flow(wanted, 64, 112)
    random = np.random.default_rng(outliers)
    wrong = random.random((64, 112)) < 0.2
    flow[wrong] += 20
    assert motion.fit_affine(flow) == pytest.approx(wanted, abs=0.1)


@given(width=st.integers(28, 4000), height=st.integers(28, 4000))
def test_scaled_sizes_are_multiples(width: int, height: int) -> None:
    across, down = motion.scaled_size(width, height, 112 * 64, 8)
    assert across % 8 == down % 8 == 0
    assert across >= 8
    assert down >= 8
