"""Whose clip goes next."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.scheduler import Scheduler, Waiting
from edgewatch.pipeline.types import CameraName


def waiting(name: str, clips: int = 1, live: bool = True) -> Waiting:
    return Waiting(CameraName(name), clips, live)


def test_camera_that_waited_longest_goes_first() -> None:
    scheduler = Scheduler()
    both = [waiting("a"), waiting("b")]
    assert scheduler.choose(both, 1) == ["a"]
    assert scheduler.choose(both, 1) == ["b"]
    assert scheduler.choose(both, 1) == ["a"]


def test_camera_that_was_never_served_goes_before_one_that_was() -> None:
    scheduler = Scheduler()
    scheduler.choose([waiting("a")], 1)
    assert scheduler.choose([waiting("a"), waiting("new")], 1) == ["new"]


def test_second_clip_of_a_camera_waits_for_every_other_camera() -> None:
    assert Scheduler().choose([waiting("a", 2), waiting("b", 1)], 3) == ["a", "b", "a"]


def test_live_goes_before_replay_and_they_are_never_mixed() -> None:
    scheduler = Scheduler()
    mixed = [waiting("old", 4, live=False), waiting("front")]
    assert scheduler.choose(mixed, 8) == ["front"]
    assert scheduler.choose(mixed[:1], 2) == ["old", "old"]


def test_nothing_waiting_is_an_empty_batch() -> None:
    assert Scheduler().choose([waiting("a", 0)], 8) == []


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 5), min_size=1),
    st.integers(1, 16),
)
def test_a_batch_is_full_or_takes_everything(clips: dict[str, int], max_batch: int) -> None:
    batch = Scheduler().choose([waiting(name, n) for name, n in clips.items()], max_batch)
    assert len(batch) == min(max_batch, sum(clips.values()))
    assert all(count <= clips[name] for name, count in Counter(batch).items())


@given(st.integers(2, 10), st.integers(1, 8), st.integers(20, 60))
def test_saturated_cameras_get_turns_that_differ_by_at_most_one(
    cameras: int, max_batch: int, rounds: int
) -> None:
    scheduler = Scheduler()
    turns: Counter[CameraName] = Counter()
    for _ in range(rounds):
        turns.update(scheduler.choose([waiting(f"c{n}", 2) for n in range(cameras)], max_batch))
    # A batch larger than the number of cameras serves some twice, all the others once.
    assert max(turns.values()) - min(turns[CameraName(f"c{n}")] for n in range(cameras)) <= 1


def test_a_drill_goes_after_all_live_video_and_before_recordings() -> None:
    scheduler = Scheduler()
    drill = Waiting(CameraName("drill/front"), 2, live=False, drill=True)
    live = Waiting(CameraName("front"), 1, live=True)
    recording = Waiting(CameraName("tape"), 2, live=False)
    assert scheduler.choose([recording, drill, live], 4) == ["front"]
    assert scheduler.choose([recording, drill], 4) == ["drill/front"] * 2
    assert scheduler.choose([recording], 4) == ["tape"] * 2
