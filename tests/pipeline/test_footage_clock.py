from __future__ import annotations

import pytest

from edgewatch.pipeline.footage_clock import FootageClock, Now


def now(seconds: float) -> Now:
    """A moment; the monotonic clock began 1000 s before the epoch's second 5000."""
    return Now(5000.0 + seconds, 1000.0 + seconds)


def test_a_replay_keeps_the_time_of_its_recording_over_jumps() -> None:
    time = FootageClock(4.0, replay=True)
    time.begin(0.0, 300.0, now(0), is_finite=True)
    assert time.frame(2.5) == 302.5
    time.jump(60.0, now(1))
    assert time.frame(60.0) == 360.0
    time.begin(0.0, 310.0, now(2), is_finite=True)
    assert time.frame(0.0) == 360.25  # the next recording does not step back


def test_a_live_picture_is_from_now() -> None:
    time = FootageClock(4.0, replay=False)
    time.begin(7.0, None, now(0), is_finite=False)
    assert time.frame(7.0) == 5000.0
    assert time.frame(8.0) == 5001.0
    assert not time.has_drifted(20.0, now(20))
    assert time.has_drifted(20.0, now(60))
    time.jump(20.0, now(60))
    assert time.frame(20.0) == 5060.0


def test_pictures_held_back_before_a_connection_are_older_than_their_arrival() -> None:
    time = FootageClock(4.0, replay=False)
    time.begin(0.0, None, now(0), is_finite=False)
    time.frame(0.0)
    excess_seconds = time.excess_seconds(2.0, now(0.5))
    assert excess_seconds == pytest.approx(1.5)
    time.set_back(excess_seconds)
    assert time.frame(2.0) == pytest.approx(5000.5)
    assert time.excess_seconds(2.25, now(0.75)) == 0.0
    assert time.excess_seconds(3.0, now(60)) == 0.0


def test_a_seam_is_played_later_by_what_it_was_pushed_back() -> None:
    time = FootageClock(4.0, replay=False)
    time.begin(0.0, 100.0, now(0), is_finite=True)
    assert time.due_seconds(2.0, 1.0) == 1002.0
    assert time.due_seconds(2.0, 4.0) == 1000.5
    time.frame(9.9)
    time.begin(0.0, 100.0, now(9.95), is_finite=True)
    assert time.frame(0.0) == pytest.approx(5010.15)
    assert time.due_seconds(0.0, 1.0) == pytest.approx(1010.15)


def test_a_clock_that_was_set_back_is_followed_when_live() -> None:
    time = FootageClock(4.0, replay=False)
    time.begin(0.0, None, now(0), is_finite=False)
    time.frame(0.0)
    time.begin(0.0, None, now(-3600), is_finite=False)
    assert time.frame(0.0) == 1400.0
