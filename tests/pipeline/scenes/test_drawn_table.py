"""All drawn scenes: exact by seed, in any order, normal life only; where things may happen."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.drawn.table import (
    SCENES,
    camera_kind,
    draw_scene,
    drive_gentle_stop,
    drive_impact,
    height_at,
    horizon,
    places,
)
from edgewatch.pipeline.scenes.scene import Scene

SMALL = (160, 96)
FPS = 5.0


def _small(name: str, seed: int = 3) -> Scene:
    return draw_scene(name, seed, SMALL, FPS, 30.0)


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {name: _small(name) for name in SCENES}


@pytest.mark.parametrize("name", SCENES)
def test_the_same_seed_gives_the_same_pixels_in_any_order(
    scenes: dict[str, Scene], name: str
) -> None:
    twin = _small(name)
    indices = (0, 7, 31, 90)
    drawn = {index: scenes[name].frame(index) for index in indices}
    for index in reversed(indices):
        np.testing.assert_array_equal(twin.frame(index), drawn[index])


def test_another_process_draws_the_same_pixels(scenes: dict[str, Scene]) -> None:
    """Nothing depends on a process's own hashes, addresses or caches."""
    script = (
        "import hashlib\n"
        "from edgewatch.pipeline.scenes.drawn.table import SCENES, draw_scene\n"
        "for name in reversed(SCENES):\n"
        "    scene = draw_scene(name, 3, (160, 96), 5.0, 30.0)\n"
        "    print(name, hashlib.sha256(scene.frame(20).tobytes()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    other = dict(line.split() for line in done.stdout.splitlines())
    here = {n: hashlib.sha256(s.frame(20).tobytes()).hexdigest() for n, s in scenes.items()}
    assert other == here


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_footage_of_normal_life(scenes: dict[str, Scene], name: str) -> None:
    scene = scenes[name]
    assert (scene.size, scene.fps, scene.frame_count) == (SMALL, FPS, 150)
    picture = scene.frame(10)
    assert picture.shape == (96, 160, 3)
    assert picture.dtype == np.uint8
    assert not picture.flags.writeable
    assert picture.flags.c_contiguous
    assert all(not scene.truth(index).anomalous for index in range(scene.frame_count))
    assert scene.truth(10).time_seconds == 2.0


@pytest.mark.parametrize("name", SCENES)
def test_another_seed_is_another_scene(scenes: dict[str, Scene], name: str) -> None:
    other = _small(name, seed=4).frame(0).astype(int)
    assert np.abs(scenes[name].frame(0) - other).mean() > 4


@pytest.mark.parametrize("name", ["yard", "corridor"])
def test_a_fixed_camera_stands_still_while_people_move(scenes: dict[str, Scene], name: str) -> None:
    pictures = np.stack([scenes[name].frame(index) for index in range(0, 100, 5)]).astype(int)
    usual = np.median(pictures, axis=0)
    apart = np.abs(pictures - usual).max(axis=3) > 40
    # Most pixels stay as they are in every picture; some change in most pictures.
    assert (apart.mean(axis=0) < 0.1).mean() > 0.9
    assert (apart.mean(axis=(1, 2)) > 0.001).mean() > 0.8


@pytest.mark.parametrize("name", SCENES)
def test_things_stand_on_the_ground_and_grow_towards_the_viewer(name: str) -> None:
    feet = sorted(places(name), key=lambda foot: foot[1])
    assert all(0 < x < 1 and horizon(name) < y < 1 for x, y in feet)
    heights = [height_at(name, foot) for foot in feet]
    assert heights == sorted(heights)
    assert 0.05 < heights[0] < heights[-1] < 0.8


def test_only_the_drive_is_seen_from_a_moving_camera() -> None:
    assert {name: camera_kind(name) for name in SCENES} == {
        "drive": "driving",
        "yard": "fixed",
        "corridor": "fixed",
    }


def test_an_unknown_scene_is_refused_with_those_that_are_known() -> None:
    for ask in (
        lambda: draw_scene("beach", 1),
        lambda: camera_kind("beach"),
        lambda: places("beach"),
        lambda: horizon("beach"),
    ):
        with pytest.raises(SceneRefused, match="drive, yard, corridor"):
            ask()


def test_a_foot_in_the_sky_is_refused() -> None:
    with pytest.raises(SceneRefused, match="not on the ground"):
        height_at("yard", (0.5, 0.1))


class TestGentleStop:
    """The harmless twin of the impact."""

    def test_it_equals_the_impact_until_the_braking_begins(self) -> None:
        impact = drive_impact(2, SMALL, FPS, 6.0, 4.0)
        gentle = drive_gentle_stop(2, SMALL, FPS, 6.0, 4.0)
        for index in range(impact.frame_count):
            if impact.truth(index).anomalous:
                break
            if index % 3 == 0:
                np.testing.assert_array_equal(impact.frame(index), gentle.frame(index))
        assert impact.truth(29).kind == "impact"
        assert (impact.frame(29) != gentle.frame(29)).any()
        assert not any(gentle.truth(index).anomalous for index in range(30))

    def test_the_own_car_comes_to_rest_without_a_jolt(self) -> None:
        gentle = drive_gentle_stop(2, SMALL, FPS, 16.0, 4.0)

        def step(index: int) -> float:
            pair = gentle.frame(index).astype(int), gentle.frame(index + 1).astype(int)
            return float(np.abs(pair[0] - pair[1]).mean())

        driving = max(step(index) for index in range(2, 8))
        assert max(step(index) for index in range(10, 40, 3)) < 1.6 * driving
        assert step(75) < 0.75 * driving

    @pytest.mark.parametrize("make", [drive_impact, drive_gentle_stop])
    def test_a_time_that_does_not_fit_is_refused(self, make: object) -> None:
        assert callable(make)
        with pytest.raises(ValueError, match="impact_at_seconds"):
            make(1, SMALL, FPS, 5.0, 1.0)
