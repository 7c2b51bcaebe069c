from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.camera import CameraLife
from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.types import CameraName, Health

FRONT = CameraName("front")
LOST = CameraUnreachable("ended", "the stream ended")
WRONG = CameraRejected("authentication", "wrong password")


def life(random: float = 0.999) -> CameraLife:
    return CameraLife(FRONT, random=lambda: random)


def delays(camera: CameraLife, error: CameraError, count: int) -> list[float]:
    found = []
    for _ in range(count):
        camera.failed(error, 0.0)
        found.append(round(camera.retry_delay_seconds, 1))
    return found


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


def test_unreachable_is_retried_with_growing_delays_up_to_thirty_seconds() -> None:
    assert delays(life(), LOST, 7) == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_rejected_is_retried_slowly_and_never_within_a_minute() -> None:
    assert delays(life(random=0.0), WRONG, 5) == [60.0, 120.0, 240.0, 300.0, 300.0]


def test_delays_are_jittered_over_their_whole_length() -> None:
    assert delays(life(random=0.5), LOST, 6) == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0]


def test_a_camera_that_dies_after_each_first_picture_is_not_retried_at_full_pace() -> None:
    camera = life()
    found = []
    for attempt in range(5):
        camera.picture(attempt * 10.0)
        camera.failed(LOST, attempt * 10.0 + 1.0)
        found.append(round(camera.retry_delay_seconds))
    assert found == [1, 2, 4, 8, 16]


def test_a_camera_that_was_steady_is_retried_at_once_again() -> None:
    camera = life()
    delays(camera, LOST, 6)
    camera.picture(100.0)
    camera.picture(130.0)
    assert delays(camera, LOST, 1) == [1.0]


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
