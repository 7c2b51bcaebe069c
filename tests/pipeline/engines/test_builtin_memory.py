"""A camera's memory: bounded, kept whole on disk, and begun anew where the file is no use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from edgewatch.pipeline.engines.builtin.appearance import CHANNELS, Look
from edgewatch.pipeline.engines.builtin.fusion import REMEMBERED
from edgewatch.pipeline.engines.builtin.memory import CameraMemory, load_memory
from edgewatch.pipeline.engines.builtin.motion import Step
from edgewatch.pipeline.engines.builtin.places import FamiliarLooks, UsualDirections
from edgewatch.pipeline.types import CameraName

FRONT = CameraName("front")
SIZE = (336, 196)


def taught(clips: int) -> CameraMemory:
    memory = CameraMemory(*SIZE)
    for number in range(clips):
        memory.remember(dict.fromkeys(REMEMBERED, float(number)))
    return memory


def look(seed: int) -> Look:
    patches = np.random.default_rng(seed).normal(size=(4, 7, CHANNELS))
    patches /= np.linalg.norm(patches, axis=2, keepdims=True)
    return Look(patches.astype(np.float16), np.zeros(CHANNELS, np.float32))


def drift(x: float, y: float) -> Step:
    velocity = np.zeros((64, 112, 2), np.float16)
    velocity[20:40, 30:80] = (x, y)
    plain = np.zeros((64, 112), np.float16)
    return Step(0.25, 0.9, np.zeros((3, 2)), velocity, plain + 1, plain, 0.0)


def test_figures_are_bounded_and_renewed_slowly() -> None:
    name = REMEMBERED[0]
    after_an_hour_more = taught(512 + 1024).past()[name]
    assert after_an_hour_more.size == 512
    assert (after_an_hour_more < 512).sum() == 256
    after_days = taught(100_000).past()[name]
    assert after_days.size == 512
    assert after_days.min() > 97_000


def test_memory_of_a_camera_stays_small() -> None:
    memory = CameraMemory(252, 252)
    arrays = (memory.looks.looks, memory.looks.times, memory.directions.seen)
    assert sum(array.nbytes for array in arrays) < 4_000_000


def test_saved_memory_comes_back_the_same(tmp_path: Path) -> None:
    memory = taught(30)
    for _ in range(4):
        memory.looks.learn(look(1), np.zeros((4, 7), np.float32))
    memory.directions.learn([memory.directions.course(drift(0.5, 0))])
    memory.save(tmp_path / "front.npz")
    again = load_memory(FRONT, tmp_path / "front.npz", *SIZE)
    assert again.has_baseline
    assert again.learnt_clips == 30
    for name in REMEMBERED:
        assert np.array_equal(again.past()[name], memory.past()[name])
    assert np.array_equal(again.looks.looks, memory.looks.looks)
    assert np.array_equal(again.directions.seen, memory.directions.seen)


def test_saving_leaves_one_whole_file(tmp_path: Path) -> None:
    taught(3).save(tmp_path / "deep" / "front.npz")
    taught(4).save(tmp_path / "deep" / "front.npz")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["front.npz"]
    assert load_memory(FRONT, tmp_path / "deep" / "front.npz", *SIZE).learnt_clips == 4


def test_absent_file_is_a_fresh_start_without_a_word(tmp_path: Path) -> None:
    with capture_logs() as logs:
        memory = load_memory(FRONT, tmp_path / "front.npz", *SIZE)
    assert memory.learnt_clips == 0
    assert logs == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no archive at all"),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: np.savez(path, other=np.zeros(3)),
        lambda path: np.savez(path, **{**np.load(path), "version": np.array(99)}),
        lambda path: np.savez(path, **{**np.load(path), "figures": np.zeros((2, 2))}),
        lambda path: np.savez(
            path, **{**np.load(path), "figures": np.full((512, len(REMEMBERED)), np.nan, "f4")}
        ),
        lambda path: np.savez(path, **{**np.load(path), "learnt_clips": np.array(-5)}),
    ],
    ids=["empty", "text", "torn", "foreign", "version", "shape", "nan", "negative"],
)
def test_unusable_file_is_a_fresh_start_with_a_warning(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "front.npz"
    taught(30).save(path)
    damage(path)  # type: ignore[operator]  # one of the functions above
    with capture_logs() as logs:
        memory = load_memory(FRONT, path, *SIZE)
    assert memory.learnt_clips == 0
    assert [entry["event"] for entry in logs] == ["baseline not usable, learning anew"]
    assert logs[0]["camera"] == FRONT


def test_baseline_of_another_picture_size_is_not_used(tmp_path: Path) -> None:
    taught(30).save(tmp_path / "front.npz")
    assert load_memory(FRONT, tmp_path / "front.npz", 252, 252).learnt_clips == 0


def test_looks_become_familiar_when_seen_again_and_again() -> None:
    familiar = FamiliarLooks(4, 7)
    for _ in range(5):
        familiar.learn(look(1), np.zeros((4, 7), np.float32))
    assert familiar.measure([look(1)])[1].value < 0.02
    assert familiar.measure([look(2)])[1].value > 0.5


def test_what_shows_for_a_moment_is_not_unfamiliar() -> None:
    familiar = FamiliarLooks(4, 7)
    for _ in range(5):
        familiar.learn(look(1), np.zeros((4, 7), np.float32))
    passing = [look(1), look(1), look(2), look(1), look(1)]
    staying = [look(1), look(2), look(2), look(2), look(2)]
    assert familiar.measure(passing)[1].value < 0.02
    assert familiar.measure(staying)[1].value > 0.5


def test_moving_against_the_usual_direction_stands_out() -> None:
    usual = UsualDirections(4, 7)
    right = usual.course(drift(0.5, 0.02))
    left = usual.course(drift(-0.5, 0.02))
    for _ in range(15):
        usual.learn([right] * 5)
    with_flow, against = usual.measure([right] * 4), usual.measure([left] * 4)
    assert with_flow is not None
    assert against is not None
    assert with_flow.value == 0
    assert against.value > 0.1
    assert against.x is not None
    assert 0.2 < against.x < 0.8


def test_direction_says_nothing_where_little_was_seen() -> None:
    usual = UsualDirections(4, 7)
    usual.learn([usual.course(drift(0.5, 0))] * 5)
    found = usual.measure([usual.course(drift(-0.5, 0))] * 4)
    assert found is not None
    assert found.value == 0
