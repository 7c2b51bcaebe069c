from __future__ import annotations

import pytest

from edgewatch.tools.evaluation.statistics.delays import measure_delays
from edgewatch.tools.evaluation.statistics.false_alarms import measure_false_alarms
from edgewatch.tools.evaluation.statistics.figures import Delays
from edgewatch.tools.evaluation.statistics.sample import units_of
from tests.tools.evaluation.statistics.made_runs import event, recording

QUIET, LOUD = 0.1, 0.9


def _delays(*recordings: object, open_after: int = 2) -> Delays:
    return measure_delays(units_of(recordings), 0.5, open_after)  # type: ignore[arg-type]


def test_an_event_is_told_of_when_the_clip_that_opens_it_has_ended() -> None:
    """The window begins at 12 s; clips from 10 s on are anomalous; the second ends at 20 s."""
    scores = [QUIET, QUIET, LOUD, LOUD, LOUD, QUIET]
    found = _delays(recording("a", "Anomaly", scores, windows=[(12, 22)], events=[event(10, 25)]))
    assert (found.incidents, found.detected, found.already_open) == (1, 1, 0)
    assert found.seconds == (8.0,)
    assert (found.median_seconds.value, found.worst_seconds, found.p90_seconds) == (8.0, 8.0, 8.0)
    assert "too few" in found.median_seconds.reason
    alone = recording("a", "Anomaly", scores, windows=[(12, 22)], events=[event(10, 25)])
    assert _delays(alone, open_after=1).seconds == (3.0,)


def test_a_gap_between_the_opening_clips_counts() -> None:
    scores = [LOUD, QUIET, LOUD, QUIET]
    found = _delays(recording("a", "Anomaly", scores, windows=[(1, 12)], events=[event(0, 15)]))
    assert found.seconds == (14.0,)


def test_an_event_of_before_has_no_delay_but_is_not_missed() -> None:
    scores = [LOUD, LOUD, LOUD, LOUD, LOUD, LOUD]
    found = _delays(recording("a", "Anomaly", scores, windows=[(20, 25)], events=[event(0, 30)]))
    assert (found.detected, found.already_open, found.seconds) == (0, 1, ())
    assert found.detected_share.value == 1.0
    assert found.median_seconds.value is None


def test_missed_and_never_sent_incidents_are_not_detected() -> None:
    scores = [QUIET, LOUD, LOUD, QUIET, QUIET, QUIET, QUIET, QUIET]
    found = _delays(
        recording("elsewhere", "Anomaly", scores, windows=[(30, 40)], events=[event(5, 15)]),
        recording(
            "silent",
            "Anomaly",
            scores,
            windows=[(5, 15)],
            events=[event(5, 15, suppressed_by="cooldown")],
        ),
    )
    assert (found.incidents, found.detected, found.already_open) == (2, 0, 0)
    assert found.detected_share.value == 0.0
    assert found.reason == "no incident was reported after it began"


def test_the_first_view_of_a_drive_to_tell_counts() -> None:
    slow = recording(
        "front",
        "Anomaly",
        [QUIET, QUIET, LOUD, LOUD],
        windows=[(6, 20)],
        events=[event(10, 20)],
        drive="d",
    )
    fast = recording(
        "rear",
        "Anomaly",
        [QUIET, LOUD, LOUD, QUIET],
        windows=[(5, 12)],
        events=[event(5, 15)],
        drive="d",
    )
    found = _delays(slow, fast)
    assert (found.incidents, found.seconds) == (1, (10.0,))


def test_median_of_many() -> None:
    many = [
        recording(
            f"a{i}",
            "Anomaly",
            [QUIET] * i + [LOUD, LOUD, QUIET],
            windows=[(0, 60)],
            events=[event(5 * i, 5 * i + 10)],
        )
        for i in range(8)
    ]
    found = _delays(*many)
    assert found.seconds == tuple(10.0 + 5 * i for i in range(8))
    assert found.median_seconds.value == 27.5
    assert (found.median_seconds.low, found.median_seconds.high) == (10.0, 45.0)
    assert found.worst_seconds == 45.0
    assert found.p90_seconds == pytest.approx(41.5)


def test_no_window_no_delay() -> None:
    found = _delays(recording("a", "Anomaly", [LOUD, LOUD], events=[event(0, 10)]))
    assert (found.incidents, found.median_seconds.value) == (0, None)
    assert found.reason == "no incident has a labelled window"


def test_false_alarms_are_sent_events_of_normal_footage() -> None:
    normal = [
        recording("n", "Normal", [LOUD] * 360, events=[event(0, 9), event(100, 110)]),
        recording("m", "Normal", [QUIET] * 360, events=[event(0, 9, suppressed_by="cooldown")]),
    ]
    found = measure_false_alarms(
        [*normal, recording("a", "Anomaly", [LOUD] * 99, events=[event(0, 1)])]
    )
    assert found.events == 2
    assert found.normal_hours == pytest.approx(1.0)
    assert found.per_hour.value == pytest.approx(2.0)
    # Garwood's limits for two events.
    assert (found.per_hour.low, found.per_hour.high) == pytest.approx((0.2422, 7.2247), abs=5e-5)
    assert measure_false_alarms([]).per_hour.value is None
