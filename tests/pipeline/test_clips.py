from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.frames import gap_seconds
from edgewatch.pipeline.types import CameraName, Clip, Frame

FRONT = CameraName("front")
START = 1_714_564_800.25  # 2024-05-01T12:00:00.250Z
FPS = 4.0


def frame(index: int, slot: int, *, size: tuple[int, int] = (28, 28), fps: float = FPS) -> Frame:
    return Frame(
        camera=FRONT,
        index=index,
        slot=slot,
        pixels=np.zeros((*size, 3), np.uint8),
        media_seconds=slot / fps,
        time_seconds=START + slot / fps,
        captured_seconds=float(index),
    )


def assembler(
    *, fps: float = FPS, seconds: float = 5.0, stride_seconds: float = 2.5, replay: bool = False
) -> ClipAssembler:
    return ClipAssembler(
        FRONT, fps=fps, seconds=seconds, stride_seconds=stride_seconds, replay=replay
    )


def clips_of(slots: list[int], windows: ClipAssembler | None = None) -> list[Clip]:
    windows = windows or assembler()
    found = [windows.add(frame(index, slot)) for index, slot in enumerate(slots)]
    return [clip for clip in (*found, windows.end()) if clip is not None]


def slots_of(clip: Clip) -> list[int]:
    return [frame.slot for frame in clip.frames]


def test_windows_of_five_seconds_come_every_two_and_a_half() -> None:
    found = clips_of(list(range(40)))
    assert [slots_of(clip) for clip in found] == [
        list(range(20)),
        list(range(10, 30)),
        list(range(20, 40)),
    ]


def test_a_window_is_handed_out_with_its_last_frame() -> None:
    windows = assembler()
    handed = [windows.add(frame(slot, slot)) is not None for slot in range(30)]
    assert [slot for slot, is_handed in enumerate(handed) if is_handed] == [19, 29]


def test_a_clip_tells_its_camera_its_time_and_its_name() -> None:
    clip = clips_of(list(range(20)), assembler(replay=True))[0]
    assert clip.clip_id == "front-20240501T120000.250Z"
    assert (clip.camera, clip.fps, clip.replay) == (FRONT, 4.0, True)
    assert clip.start_seconds == START
    assert clip.end_seconds == pytest.approx(START + 5.0)


def test_the_end_judges_what_no_window_covered() -> None:
    found = clips_of(list(range(27)))
    assert [slots_of(clip) for clip in found] == [list(range(20)), list(range(7, 27))]


def test_the_end_judges_nothing_twice_when_all_was_covered() -> None:
    assert len(clips_of(list(range(30)))) == 2


def test_a_recording_shorter_than_a_window_is_one_clip() -> None:
    assert [slots_of(clip) for clip in clips_of(list(range(8)))] == [list(range(8))]


def test_a_stretch_of_an_odd_number_of_frames_leaves_out_its_oldest() -> None:
    assert [slots_of(clip) for clip in clips_of(list(range(7)))] == [list(range(1, 7))]


def test_three_frames_are_too_short_to_judge() -> None:
    assert clips_of([0, 1, 2]) == []


def test_a_gap_told_from_outside_ends_the_window() -> None:
    windows = assembler()
    for slot in range(6):
        assert windows.add(frame(slot, slot)) is None
    closed = windows.gap()
    assert closed is not None
    assert slots_of(closed) == list(range(6))
    assert windows.gap() is None


def test_frames_far_apart_never_share_a_window() -> None:
    found = clips_of([*range(8), *range(15, 23)])
    assert [slots_of(clip) for clip in found] == [list(range(8)), list(range(15, 23))]


def test_frames_of_another_size_never_share_a_window() -> None:
    windows = assembler()
    for slot in range(8):
        windows.add(frame(slot, slot))
    closed = windows.add(frame(8, 8, size=(56, 28)))
    assert closed is not None
    assert slots_of(closed) == list(range(8))


def test_frames_that_go_back_in_time_never_share_a_window() -> None:
    found = clips_of([*range(100, 108), *range(8)])
    assert [slots_of(clip) for clip in found] == [list(range(100, 108)), list(range(8))]


def test_a_source_slower_than_the_grid_gives_fewer_frames_a_window() -> None:
    found = clips_of(list(range(0, 60, 2)))
    assert all(len(clip.frames) % 2 == 0 for clip in found)
    assert [len(clip.frames) for clip in found[:3]] == [10, 10, 10]


def test_a_window_of_an_odd_number_of_slots_is_made_even() -> None:
    assert len(clips_of(list(range(30)), assembler(seconds=2.25))[0].frames) in (8, 10)


def test_a_stride_below_one_step_gives_a_window_a_frame() -> None:
    found = clips_of(list(range(24)), assembler(stride_seconds=0.1))
    assert [slots_of(clip)[-1] for clip in found] == [19, 20, 21, 22, 23]


def test_a_stride_longer_than_a_window_leaves_nothing_unjudged() -> None:
    found = clips_of(list(range(60)), assembler(stride_seconds=30.0))
    assert sorted(itertools.chain.from_iterable(map(slots_of, found))) == list(range(60))


_STEPS = st.lists(
    st.one_of(st.just(1), st.integers(1, 6), st.sampled_from([1, 1, 1, 2, 7, 50])), max_size=150
)


@given(
    steps=_STEPS,
    sizes=st.lists(st.sampled_from([28, 56]), max_size=3),
    seconds=st.sampled_from([0.5, 1.0, 2.0, 5.0, 7.3]),
    stride_seconds=st.sampled_from([0.1, 0.5, 1.25, 2.5, 5.0]),
)
def test_any_stream_is_covered_by_well_formed_clips(
    steps: list[int], sizes: list[int], seconds: float, stride_seconds: float
) -> None:
    windows = assembler(seconds=seconds, stride_seconds=stride_seconds)
    slots = [0, *itertools.accumulate(steps)]
    per_size = len(slots) // (len(sizes) + 1) + 1
    frames = [
        frame(index, slot, size=((28, *sizes)[index // per_size], 28))
        for index, slot in enumerate(slots)
    ]
    found = [clip for f in frames if (clip := windows.add(f)) is not None]
    if (last := windows.end()) is not None:
        found.append(last)

    limit = gap_seconds(FPS)
    for clip in found:
        assert len(clip.frames) % 2 == 0
        assert 2 <= len(clip.frames) <= 2 * max(1, round(seconds * FPS / 2))
        assert len({f.pixels.shape for f in clip.frames}) == 1
        for before, after in itertools.pairwise(clip.frames):
            assert after.index == before.index + 1
            assert 0 < after.time_seconds - before.time_seconds <= limit
    for earlier, later in itertools.pairwise(found):
        assert later.start_seconds > earlier.start_seconds
        assert later.frames[-1].index > earlier.frames[-1].index
    assert len({clip.clip_id for clip in found}) == len(found)

    judged = {f.index for clip in found for f in clip.frames}
    for stretch in stretches(frames, limit):
        left_out = [f.index for f in stretch if f.index not in judged]
        if len(stretch) < 4:
            assert len(left_out) in (0, len(stretch) % 2, len(stretch))
        else:
            assert left_out in ([], [stretch[0].index])


def stretches(frames: list[Frame], limit: float) -> list[list[Frame]]:
    """Split frames where time or size breaks."""
    found = [[frames[0]]]
    for before, after in itertools.pairwise(frames):
        apart = after.time_seconds - before.time_seconds > limit
        if apart or before.pixels.shape != after.pixels.shape:
            found.append([])
        found[-1].append(after)
    return found


# Pairs of frames that are known before their window is complete


@pytest.mark.parametrize(
    ("fps", "seconds", "stride_seconds"),
    [(4.0, 5.0, 2.5), (4.0, 5.0, 5.0), (4.0, 5.0, 0.25), (3.0, 4.0, 1.7), (2.0, 2.0, 1.0)],
)
@pytest.mark.parametrize("first_slot", [0, 7])
def test_every_pair_of_a_regular_streams_windows_was_told_before(
    fps: float, seconds: float, stride_seconds: float, first_slot: int
) -> None:
    windows = assembler(fps=fps, seconds=seconds, stride_seconds=stride_seconds)
    told: set[tuple[int, int]] = set()
    clips = 0
    for index in range(120):
        clip = windows.add(frame(index, first_slot + index, fps=fps))
        if windows.pair is not None:
            told.add((windows.pair[0].index, windows.pair[1].index))
        if clip is not None:
            clips += 1
            indexes = [one.index for one in clip.frames]
            assert set(zip(indexes[::2], indexes[1::2], strict=True)) <= told
    assert clips >= 5
    if stride_seconds > 0.5:
        assert len(told) == 60, "and no other pair"


def test_after_a_lost_frame_pairs_are_told_as_windows_will_hold_them() -> None:
    windows = assembler()
    told: set[tuple[int, int]] = set()
    last: Clip | None = None
    for index, slot in enumerate(one for one in range(60) if one != 11):
        last = windows.add(frame(index, slot)) or last
        if windows.pair is not None:
            told.add((windows.pair[0].slot, windows.pair[1].slot))
    assert (10, 12) not in told
    assert last is not None
    assert set(zip(slots_of(last)[::2], slots_of(last)[1::2], strict=True)) <= told


def test_a_new_stretch_begins_its_own_pairs() -> None:
    windows = assembler()
    for index in range(3):
        windows.add(frame(index, index))
    windows.end()
    windows.add(frame(3, 3))
    assert windows.pair is None
    windows.add(frame(4, 4))
    assert windows.pair is not None
    assert [one.slot for one in windows.pair] == [3, 4]
