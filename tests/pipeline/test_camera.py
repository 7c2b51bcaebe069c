from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.camera import CameraLife
from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.types import CameraName, Health

FRONT = CameraName("front")
LOST = CameraUnreachable("ended", "the stream ended")
WRONG = CameraRejected("authentication", "wrong password")
GONE = CameraRejected("not_found", "no such path")


def life(random: float = 0.999) -> CameraLife:
    return CameraLife(FRONT, random=lambda: random)


def attempts(camera: CameraLife, error: CameraError, outage_seconds: float) -> list[float]:
    """Return when, after the loss, attempts are made, up to the first behind the outage."""
    found = [0.0]
    while found[-1] < outage_seconds:
        camera.failed(error, 1_000.0 + found[-1])
        found.append(found[-1] + camera.retry_delay_seconds)
    return found[1:]


def delays(camera: CameraLife, error: CameraError, count: int) -> list[float]:
    """Return the delays of so many attempts that fail at once."""
    found: list[float] = []
    for _ in range(count):
        camera.failed(error, 1_000.0 + sum(found))
        found.append(camera.retry_delay_seconds)
    return [round(delay, 1) for delay in found]


def test_a_camera_is_connecting_until_its_first_picture_makes_it_online() -> None:
    camera = life()
    assert camera.connecting(10.0) == Health(FRONT, "connecting", 10.0)
    assert camera.picture(12.0) == Health(FRONT, "online", 12.0)


def test_health_is_told_only_when_it_changes() -> None:
    camera = life()
    camera.connecting(10.0)
    assert camera.connecting(11.0) is None
    camera.picture(12.0)
    assert camera.picture(13.0) is None
    camera.failed(LOST, 14.0)
    assert camera.failed(LOST, 15.0) is None


def test_a_lost_camera_is_offline_with_its_reason_and_stays_so_while_it_retries() -> None:
    camera = life()
    camera.connecting(10.0)
    camera.picture(12.0)
    assert camera.failed(LOST, 20.0) == Health(FRONT, "offline", 20.0, "ended", "the stream ended")
    assert camera.connecting(21.0) is None
    assert camera.picture(22.0) == Health(FRONT, "online", 22.0)


def test_another_reason_is_told_but_offline_since_the_first() -> None:
    camera = life()
    camera.failed(LOST, 20.0)
    told = camera.failed(WRONG, 30.0)
    assert told == Health(FRONT, "offline", 20.0, "authentication", "wrong password")


def test_a_recording_that_ended_is_offline_because_it_ended() -> None:
    camera = life()
    camera.picture(1.0)
    told = camera.ended(9.0)
    assert told is not None
    assert (told.state, told.reason, told.since_seconds) == ("offline", "ended", 9.0)


def test_unreachable_is_retried_within_a_quarter_of_its_outage_and_half_a_minute() -> None:
    found = attempts(life(), LOST, 600.0)
    assert found[0] == pytest.approx(1.0, abs=0.01)
    for before, after in itertools.pairwise(found):
        assert after - before <= max(1.0, min(30.0, 0.25 * before)) + 1e-9
    assert found[-1] - found[-2] == pytest.approx(30.0, abs=0.1)


@pytest.mark.parametrize(
    ("outage_seconds", "usual_seconds", "longest_seconds"),
    [(2.0, 0.5, 1.0), (10.0, 1.2, 3.0), (60.0, 6.5, 15.0), (3_600.0, 13.0, 30.0)],
)
def test_a_camera_that_is_back_is_soon_noticed(
    outage_seconds: float, usual_seconds: float, longest_seconds: float
) -> None:
    waits = [
        attempts(CameraLife(FRONT, random=Random(seed).random), LOST, outage_seconds)[-1]
        - outage_seconds
        for seed in range(300)
    ]
    assert statistics.mean(waits) <= usual_seconds
    assert max(waits) <= longest_seconds


def test_cameras_behind_one_recorder_do_not_come_back_in_step() -> None:
    """Of 32 cameras lost at one instant, few knock in the same tenth of a second."""
    random = Random(20261121)
    knocks = [attempts(CameraLife(FRONT, random=random.random), LOST, 120.0) for _ in range(32)]
    first = [one[0] for one in knocks]
    assert statistics.stdev(first) > 0.15  # of a second that they are drawn from
    later = [at for one in knocks for at in one if at > 2.0]
    crowd = Counter(int(at * 10) for at in later)
    assert max(crowd.values()) <= 12
    assert all(len({round(at, 6) for at in column}) == 32 for column in zip(*knocks, strict=False))


def test_rejected_is_retried_slowly_and_never_within_a_minute() -> None:
    assert delays(life(random=0.0), WRONG, 5) == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_two_wrong_passwords_are_a_minute_apart_whatever_fails_between() -> None:
    camera = life(random=0.0)
    now_seconds, last_wrong_seconds = 1_000.0, 0.0
    for error in (WRONG, LOST, WRONG, GONE, LOST, WRONG, LOST):
        if error is WRONG:
            assert now_seconds - last_wrong_seconds >= 60.0
            last_wrong_seconds = now_seconds
        camera.failed(error, now_seconds)
        now_seconds += camera.retry_delay_seconds


def test_path_that_is_not_found_is_retried_soon_while_a_camera_may_boot_then_each_minute() -> None:
    found = attempts(life(), GONE, 400.0)
    booting = [at for at in found if at <= 180.0]
    assert booting == attempts(life(), LOST, 400.0)[: len(booting)]
    for before, after in itertools.pairwise(found[len(booting) + 1 :]):
        assert 60.0 <= after - before <= 72.0


def test_a_clock_that_is_set_back_does_not_make_an_outage_young_for_ever() -> None:
    camera = life()
    camera.failed(LOST, 10_000.0)
    camera.failed(LOST, 1_000.0)
    camera.failed(LOST, 1_200.0)
    assert camera.retry_delay_seconds == pytest.approx(30.0, abs=0.1)


def test_delays_are_jittered_over_their_whole_length() -> None:
    camera = life(random=0.5)
    camera.failed(LOST, 1_000.0)
    assert camera.retry_delay_seconds == pytest.approx(0.6)
    camera.failed(LOST, 1_060.0)
    assert camera.retry_delay_seconds == pytest.approx(7.6)


def test_a_camera_that_dies_after_each_first_picture_is_not_retried_at_full_pace() -> None:
    camera = life()
    found = []
    for attempt in range(5):
        camera.picture(attempt * 10.0)
        camera.failed(LOST, attempt * 10.0 + 1.0)
        found.append(round(camera.retry_delay_seconds, 1))
    assert found == [1.0, 2.5, 5.0, 7.5, 10.0]


def test_a_camera_that_was_steady_is_retried_at_once_again() -> None:
    camera = life()
    attempts(camera, LOST, 100.0)
    camera.picture(2_000.0)
    camera.picture(2_030.0)
    camera.failed(LOST, 2_031.0)
    assert camera.retry_delay_seconds == pytest.approx(1.0, abs=0.01)


@given(
    happenings=st.lists(st.sampled_from(["connect", "picture", "lost", "wrong", "ended"])),
    random=st.floats(0.0, 1.0, exclude_max=True),
)
def test_any_life_tells_only_changes_and_bounded_delays(
    happenings: list[str], random: float
) -> None:
    camera = life(random)
    now: Iterator[float] = itertools.count(1000.0, 7.0)
    told: list[Health] = []
    for happening in happenings:
        match happening:
            case "connect":
                health = camera.connecting(next(now))
            case "picture":
                health = camera.picture(next(now))
            case "ended":
                health = camera.ended(next(now))
            case _:
                error = LOST if happening == "lost" else WRONG
                health = camera.failed(error, next(now))
                shortest, longest = (0.2, 30.0) if error is LOST else (60.0, 360.0)
                assert shortest <= camera.retry_delay_seconds <= longest
        if health is not None:
            assert health.state != "offline" or health.reason
            told.append(health)
    for before, after in itertools.pairwise(told):
        assert replace(before, since_seconds=0.0) != replace(after, since_seconds=0.0)
        assert after.state != "connecting"
        assert before.since_seconds <= after.since_seconds
