from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.decode import compared
from bench.readers import READERS, Job, wanted_indices
from bench.sustain import lateness
from tests.fakes.videos import write_video


@given(pictures=st.integers(1, 3000), every=st.integers(1, 30), fps=st.floats(0.5, 4.0))
def test_wanted_pictures_grow_and_are_in_the_file(pictures: int, every: int, fps: float) -> None:
    wanted = wanted_indices(pictures, every * fps, fps)
    assert wanted == sorted(set(wanted))
    assert all(0 <= index < pictures for index in wanted)


def test_wanted_pictures_are_the_nearest_to_each_tick() -> None:
    assert wanted_indices(60, 30.0, 4.0) == [0, 8, 15, 22, 30, 38, 45, 52]


@pytest.mark.parametrize("reader", ["ours", "opencv"])
def test_readers_do_the_whole_job(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, width=320, height=180, fps=20, frames=160)
    # 320 x 180 has fewer pixels than are wanted: it keeps about its own size
    lap = READERS[reader]()(Job(path, 4.0, 308, 168))
    assert lap.frames == 32
    assert lap.cpu_seconds > 0
    assert lap.wall_seconds > 0


def lap(wall_seconds: float, cpu_seconds: float) -> dict[str, float]:
    return {
        "wall_seconds": wall_seconds,
        "cpu_seconds": cpu_seconds,
        "frames": 240,
        "peak_bytes": 5e7,
    }


def test_readers_are_compared_within_each_round() -> None:
    figures = compared(
        "b_frames",
        {
            "ours": [lap(1.0, 2.0), lap(10.0, 2.0), lap(1.0, 2.0)],
            "decord": [lap(2.0, 8.0), lap(30.0, 4.0), lap(4.0, 4.0)],
        },
    )
    assert figures["b_frames_wall_ratio_decord"] == pytest.approx(1 / 3)
    assert figures["b_frames_speedup_decord"] == pytest.approx(3.0)
    assert figures["b_frames_cpu_ratio_decord"] == pytest.approx(0.5)
    assert figures["b_frames_ours_peak_mb"] == pytest.approx(50.0)


def test_frames_are_late_by_what_they_are_behind_the_best() -> None:
    times = [(0.0, 100.0), (0.25, 100.3), (0.5, 100.5), (0.75, 101.0)]
    assert lateness(times, 100.25) == pytest.approx([0.05, 0.0, 0.25])


def test_no_frames_are_not_late() -> None:
    assert lateness([], 0.0) == []
