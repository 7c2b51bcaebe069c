from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.frames import FrameSampler, Timeline, gap_seconds, target_size


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (640, 360, (336, 196)),
        (1920, 1080, (336, 196)),
        (360, 640, (196, 336)),
        (640, 480, (280, 224)),
        (500, 500, (252, 252)),
        (160, 120, (140, 112)),
        (16, 16, (28, 28)),
        (1, 1, (28, 28)),
    ],
)
def test_frames_keep_the_aspect_as_well_as_the_grid_allows(
    width: int, height: int, size: tuple[int, int]
) -> None:
    assert target_size(width, height, 63_504) == size


def test_pixels_that_are_not_square_are_displayed_wide() -> None:
    assert target_size(720, 576, 63_504, sample_aspect_ratio=64 / 45) == target_size(
        1024, 576, 63_504
    )


def test_a_size_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        target_size(0, 100, 63_504)


@given(width=st.integers(1, 8000), height=st.integers(1, 8000), pixels=st.integers(784, 1_000_000))
def test_any_size_lies_on_the_grid_near_the_wanted_area(
    width: int, height: int, pixels: int
) -> None:
    across, down = target_size(width, height, pixels)
    assert across % 28 == down % 28 == 0
    wanted = min(pixels, width * height)
    if 1 / 3 <= width / height <= 3 and wanted >= 28 * 28 * 40:
        assert 0.8 * wanted <= across * down <= 1.05 * wanted
        assert abs(math.log((across / down) / (width / height))) < 0.2


def test_the_first_picture_is_at_zero_whatever_its_stamp() -> None:
    for stamp in (-1.5, 0.0, 95_443.7, None):
        timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
        assert timeline.place(stamp).media_seconds == 0.0


def test_missing_stamps_follow_at_the_usual_distance() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp).media_seconds for stamp in (5.0, 5.2, None, 5.6, None)]
    assert placed == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8])


def test_a_stream_may_begin_with_pictures_without_a_stamp() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in (None, None, 95_443.7, 95_443.8)]
    assert [p.media_seconds for p in placed] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert not any(p.jumped for p in placed)


def test_stamps_that_restart_go_on_where_the_picture_before_was() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in (100.0, 100.1, 0.0, 0.1)]
    assert [p.media_seconds for p in placed] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [p.jumped for p in placed] == [False, False, True, False]


def test_stamps_that_leap_are_followed_and_told() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in (0.0, 0.1, 60.0, 60.1)]
    assert [p.media_seconds for p in placed] == pytest.approx([0.0, 0.1, 60.0, 60.1])
    assert [p.jumped for p in placed] == [False, False, True, False]


def test_a_leap_of_more_than_a_day_is_nonsense_and_not_followed() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in (0.0, 0.1, 1e9, 1e9 + 0.1)]
    assert [p.media_seconds for p in placed] == pytest.approx([0.0, 0.1, 0.2, 0.3])
    assert [p.jumped for p in placed] == [False, False, True, False]


def test_a_small_step_back_is_disorder_and_no_jump() -> None:
    timeline = Timeline(picture_seconds=0.1, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in (0.0, 0.2, 0.15, 0.3)]
    assert not any(p.jumped for p in placed)
    assert [p.media_seconds for p in placed] == pytest.approx([0.0, 0.2, 0.2, 0.3])


_STAMPS = st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=60)


@given(stamps=_STAMPS)
def test_media_time_never_falls_whatever_the_stamps(stamps: list[float | None]) -> None:
    timeline = Timeline(picture_seconds=0.04, gap_seconds=1.5)
    placed = [timeline.place(stamp) for stamp in stamps]
    assert placed[0].media_seconds == 0.0
    for before, after in itertools.pairwise(placed):
        assert after.media_seconds >= before.media_seconds
        assert after.jumped or after.media_seconds - before.media_seconds <= 1.5 + 1e-6


def chosen(rate: float, *, fps: float = 4.0, seconds: float = 10.0) -> list[tuple[int, float]]:
    sampler = FrameSampler(fps)
    times = [index / rate for index in range(round(rate * seconds))]
    return [(slot, t) for t in times if (slot := sampler.wants(t)) is not None]


@pytest.mark.parametrize("rate", [4.0, 5.0, 8.0, 10.0, 12.5, 15.0, 24.0, 25.0, 29.97, 30.0, 60.0])
def test_every_slot_is_filled_by_a_picture_near_its_time(rate: float) -> None:
    found = chosen(rate)
    assert [slot for slot, _ in found] == list(range(40))
    for slot, time in found:
        assert -0.4 / rate - 1e-6 <= time - slot / 4.0 <= 1.0 / rate


def test_a_slower_source_leaves_slots_empty() -> None:
    found = chosen(2.0)
    assert [slot for slot, _ in found] == list(range(0, 40, 2))


def test_jittering_stamps_of_the_grids_own_rate_lose_no_slot() -> None:
    sampler = FrameSampler(4.0)
    jitter = [0.0, -0.02, 0.03, -0.04, 0.01, -0.03]
    times = [index / 4 + jitter[index % 6] for index in range(60)]
    assert [sampler.wants(time) for time in times] == list(range(60))


def test_restarting_begins_a_new_grid_at_the_next_picture_and_slots_go_on_growing() -> None:
    sampler = FrameSampler(4.0)
    assert [sampler.wants(t) for t in (0.0, 0.1, 0.25)] == [0, None, 1]
    sampler.restart()
    assert [sampler.wants(t) for t in (60.1, 60.2, 60.35)] == [241, None, 242]
    sampler.restart()
    assert sampler.wants(60.36) == 243


@given(steps=st.lists(st.floats(0.0, 3.0), min_size=1, max_size=200), fps=st.floats(0.5, 30.0))
def test_any_source_fills_a_slot_at_most_once_and_never_far_from_its_time(
    steps: list[float], fps: float
) -> None:
    sampler = FrameSampler(fps)
    times = [0.0, *itertools.accumulate(steps)]
    found = [(slot, t) for t in times if (slot := sampler.wants(t)) is not None]
    assert found[0] == (0, 0.0)
    for (slot, time), (next_slot, next_time) in itertools.pairwise(found):
        assert next_slot > slot
        assert next_time > time
    for slot, time in found:
        assert slot / fps - 0.4 / fps - 1e-6 <= time <= (slot + 1) / fps + 1e-6


def test_a_gap_is_never_shorter_than_three_steps_of_the_grid() -> None:
    assert gap_seconds(4.0) == 1.5
    assert gap_seconds(0.5) == 6.0
