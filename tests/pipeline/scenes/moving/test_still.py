"""The moving camera: it repeats itself, shows no border, and a driven one sees the ground flow."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.scenes.moving.path import MOTIONS, Motion
from edgewatch.pipeline.scenes.moving.still import MovingCamera, fitted
from edgewatch.pipeline.types import Pixels

SIZE = (160, 96)
SECONDS = 6.0
HORIZON = 0.45


def _camera(motion: Motion, seed: int = 5) -> MovingCamera:
    return MovingCamera(motion, seed, SIZE, SECONDS, horizon=HORIZON)


def _texture(size: tuple[int, int]) -> Pixels:
    rng = np.random.default_rng(2)
    return rng.integers(0, 255, (size[1], size[0], 3), np.uint8)


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_same_seed_looks_the_same_way_in_any_order_and_another_does_not(
    motion: Motion,
) -> None:
    world = _texture(_camera(motion).world_size)
    first = [_camera(motion).see(world, at) for at in (0.5, 4.0)]
    again = _camera(motion)
    for at, seen in ((4.0, first[1]), (0.5, first[0])):
        np.testing.assert_array_equal(again.see(world, at), seen)
    assert first[0].shape == (96, 160, 3)
    if motion == "none":
        np.testing.assert_array_equal(first[0], first[1])
    else:
        assert (_camera(motion, seed=6).see(world, 4.0) != first[1]).any()


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(MOTIONS), st.integers(0, 1000), st.floats(0.0, SECONDS))
def test_no_motion_ever_shows_the_border_of_the_world(motion: Motion, seed: int, at: float) -> None:
    camera = _camera(motion, seed)
    width, height = camera.world_size
    world = np.zeros((height, width, 3), np.uint8)
    world[0], world[-1], world[:, 0], world[:, -1] = 255, 255, 255, 255
    assert camera.see(world, at).max() == 0


def test_what_is_put_into_the_world_lies_where_the_matrix_says() -> None:
    camera = _camera("handheld")
    width, height = camera.world_size
    world = np.zeros((height, width, 3), np.uint8)
    world[60:63, 100:103] = 255
    for at in (0.3, 2.7):
        x, y = camera.matrix(at) @ (101.0, 61.0, 1.0)
        rows, columns = np.nonzero(camera.see(world, at)[..., 0] > 100)
        assert abs(columns.mean() - x) < 0.6
        assert abs(rows.mean() - y) < 0.6


def test_driving_enlarges_the_near_ground_most_and_never_goes_back() -> None:
    camera = _camera("drive")
    metres = [camera.travelled_metres(at) or 0.0 for at in np.arange(0, SECONDS, 0.2)]
    assert metres[0] == 0.0
    assert all(later >= earlier for earlier, later in pairwise(metres))

    def shift(row: int) -> float:
        """How far a line on the ground comes down in the whole drive."""
        width, height = camera.world_size
        world = np.zeros((height, width, 3), np.uint8)
        world[row : row + 2] = 255
        rows = [
            np.average(np.arange(96), weights=camera.see(world, at)[:, 80, 0].astype(float))
            for at in (0.0, SECONDS - 0.2)
        ]
        return float(rows[1] - rows[0])

    assert shift(70) > 1.5 * shift(60) > 0


def test_a_still_is_cut_to_shape_and_not_stretched() -> None:
    tall = np.zeros((400, 200, 3), np.uint8)
    tall[190:210, 90:110] = 255
    square = fitted(tall, (100, 50))
    rows, columns = np.nonzero(square[..., 0] > 128)
    assert square.shape == (50, 100, 3)
    assert np.ptp(rows) == np.ptp(columns)
