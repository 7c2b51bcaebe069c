from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.coverage import partition
from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.explain import Explanation, explain
from edgewatch.pipeline.ids import time_of, uuid7
from edgewatch.pipeline.inquiry import Inquiry
from edgewatch.pipeline.types import Coverage, Event, Evidence, Interval, SettingChange, Verdict
from edgewatch.pipeline.unwatched import CURES, HEADLINES
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event

AT = 1_800_000_000.0
"""2027-01-15 08:00:00 UTC; the moment asked for in most tests."""
SCORES = (0.1, 0.2, 0.1, 0.3, 0.1)


def around(scores: Sequence[float] = SCORES) -> tuple[Verdict, ...]:
    """Clips of 5 s every 2.5 s; the middle one and the one after it hold the moment."""
    first = AT + 2.5 - 2.5 * (len(scores) // 2)
    return tuple(make_verdict(first + 2.5 * number, score) for number, score in enumerate(scores))


def interval(coverage: Coverage, since: float = -600.0, until: float = 600.0) -> Interval:
    return Interval(FRONT, round((AT + since) * 1000), round((AT + until) * 1000), coverage)


def change(key: str, value: str, at: float = -100.0) -> SettingChange:
    return SettingChange(FRONT, key, value, AT + at, "page")


def sent(start: float, end: float | None, event_id: str = "0190-a") -> Event:
    event = make_event(event_id, AT + start, end_seconds=None if end is None else AT + end)
    return replace(event, description="A van brakes hard.")


INQUIRY = Inquiry(
    camera=FRONT,
    moment_seconds=AT,
    now_seconds=AT + 3_600.0,
    verdicts=around(),
    intervals=(interval("judged"),),
    events=(),
    threshold=0.5,
    rules=EventRules(),
    past={},
    known_since_seconds=AT - 86_400.0,
    settled_until_seconds=AT + 3_570.0,
)


def asked(**more: object) -> Explanation:
    return explain(replace(INQUIRY, **more), UTC)  # type: ignore[arg-type]  # fields of Inquiry


def told(answer: Explanation) -> str:
    return " ".join((answer.headline, *answer.sentences, *answer.advice))


class TestNotWatched:
    @pytest.mark.parametrize("coverage", [one for one in get_args(Coverage) if one != "judged"])
    def test_each_reason_of_the_ledger_is_told_with_its_length_and_a_cure(
        self, coverage: Coverage
    ) -> None:
        answer = asked(verdicts=(), intervals=(interval(coverage, -60.0, 30.5),))
        assert answer.kind == "not_watched"
        assert answer.watched == coverage
        assert answer.headline == f"{HEADLINES[coverage]}."
        assert "from 2027-01-15 07:59:00 to 2027-01-15 08:00:30 (90.5 s)" in told(answer)
        assert answer.advice == (CURES[coverage],)

    def test_who_switched_the_camera_off_is_told(self) -> None:
        past = {"enabled": change("enabled", "false")}
        answer = asked(verdicts=(), intervals=(interval("disabled"),), past=past)
        assert "switched off at 2027-01-15 07:58:20, by someone on the page" in told(answer)

    def test_event_that_the_outage_ended_is_named(self) -> None:
        event = replace(sent(-30.0, 0.0), ended_by="camera_lost")
        answer = asked(verdicts=(), intervals=(interval("offline"),), events=(event,))
        assert answer.event_id == "0190-a"
        assert "the camera was lost" in told(answer)

    def test_hole_between_two_runs_is_not_running(self) -> None:
        holes = (interval("judged", -600.0, -20.0), interval("judged", 40.0, 600.0))
        answer = asked(verdicts=(), intervals=holes)
        assert answer.watched == "not_running"
        assert "(60.0 s)" in told(answer)

    def test_hole_whose_ends_are_far_is_told_without_a_length(self) -> None:
        answer = asked(verdicts=(), intervals=())
        assert (answer.watched, answer.sentences) == ("not_running", ())


class TestLedger:
    @given(
        st.lists(
            st.tuples(st.integers(1, 40_000), st.sampled_from(get_args(Coverage))), max_size=12
        ),
        st.floats(0.0, 300.0),
    )
    def test_every_moment_is_what_the_ledger_says(
        self, stretches: list[tuple[int, Coverage]], after: float
    ) -> None:
        """With holes, for which `judged` stands here."""
        intervals, at_ms = [], round((AT - 60.0) * 1000)
        for length_ms, coverage in stretches:
            if coverage != "judged":
                intervals.append(Interval(FRONT, at_ms, at_ms + length_ms, coverage))
            at_ms += length_ms
        moment = AT - 60.0 + after
        spans = [(one.start_ms, one.end_ms, one.coverage) for one in intervals]
        since_ms, until_ms = round((AT - 600.0) * 1000), round((AT + 600.0) * 1000)
        (expected,) = [
            coverage
            for start, end, coverage in partition(spans, since_ms, until_ms)
            if start <= round(moment * 1000) < end
        ]
        answer = asked(moment_seconds=moment, verdicts=(), intervals=tuple(intervals))
        assert answer.watched == expected
        assert answer.headline
        assert answer.advice


class TestNobodyKnows:
    def test_future(self) -> None:
        answer = asked(now_seconds=AT - 1.0)
        assert (answer.kind, answer.watched, answer.known) == ("future", None, False)

    def test_before_the_records_begin(self) -> None:
        answer = asked(verdicts=(), intervals=(), known_since_seconds=AT + 60.0)
        assert (answer.kind, answer.known) == ("before_records", False)
        assert "begin at 2027-01-15 08:01:00" in told(answer)
        assert "kept for 14 days" in told(answer)

    def test_camera_without_any_record(self) -> None:
        answer = asked(verdicts=(), intervals=(), known_since_seconds=None)
        assert answer.kind == "before_records"
        assert "Nothing is on record of camera front" in told(answer)

    def test_too_fresh_to_be_settled(self) -> None:
        answer = asked(verdicts=(), intervals=(), settled_until_seconds=AT - 5.0)
        assert (answer.kind, answer.watched, answer.known) == ("unsettled", None, True)
        assert "settled up to 07:59:55" in told(answer)

    def test_fresh_moment_with_a_verdict_is_judged_already(self) -> None:
        answer = asked(intervals=(), settled_until_seconds=AT - 5.0)
        assert (answer.kind, answer.watched) == ("below_threshold", "judged")


class TestJudged:
    def test_score_below_the_threshold(self) -> None:
        answer = asked()
        assert answer.kind == "below_threshold"
        assert answer.headline == "Judged normal: the score 0.30 stayed below the threshold 0.5."
        assert [one.score for one in answer.verdicts] == [0.1, 0.3]
        assert len(answer.around) == 5
        assert "fake-1 judged 2 clips" in told(answer)
        assert "edgewatch tune --camera front" in told(answer)

    def test_no_threshold_is_named_that_would_make_an_event_of_everything(self) -> None:
        text = told(asked(verdicts=tuple(replace(one, score=0.01) for one in around())))
        assert "the engine saw nothing of it" in text
        assert "or lower" not in text

    def test_reasons_of_the_engine_and_its_doubts_are_told(self) -> None:
        evidence = (Evidence("against_flow", 0.4, "lower left", "3.1 times the usual"),)
        verdicts = tuple(
            replace(one, evidence=evidence, warming_up=True, uncertain=True) for one in around()
        )
        text = told(asked(verdicts=verdicts))
        assert "against flow, lower left, strength 0.40 (3.1 times the usual)" in text
        assert "still learning" in text
        assert "uncertain" in text

    def test_a_calibrated_score_is_told_to_be_one(self) -> None:
        verdicts = tuple(replace(one, engine="fake-1+cal@0123abcd") for one in around())
        text = told(asked(verdicts=verdicts))
        assert "fake-1+cal@0123abcd judged 2 clips" in text
        assert "The score is calibrated" in text
        assert "calibrated" not in told(asked(verdicts=around()))

    def test_threshold_that_was_changed_since_is_told(self) -> None:
        assert "The threshold is 0.15 now: with that the clip would be" in told(
            asked(threshold=0.15)
        )
        assert "would not be an anomaly" in told(asked(threshold=0.6))
        assert "with that the clip" not in told(asked(threshold=None))

    def test_hysteresis_not_reached(self) -> None:
        answer = asked(verdicts=around((0.1, 0.1, 0.9, 0.1, 0.1)))
        assert answer.kind == "hysteresis"
        assert "1 of 3 clips, 2 are needed" in answer.headline
        assert "these are today's" in told(answer)

    def test_rules_of_that_time_decide_where_they_are_on_record(self) -> None:
        past = {
            "open_after": change("open_after", "3"),
            "open_within": change("open_within", "4"),
            "close_below": change("close_below", "none"),
        }
        answer = asked(verdicts=around((0.1, 0.9, 0.9, 0.1, 0.1)), past=past)
        assert "2 of 4 clips, 3 are needed" in answer.headline
        assert "today's" not in told(answer)

    def test_enough_clips_without_an_event_are_told_honestly(self) -> None:
        answer = asked(verdicts=around((0.1, 0.9, 0.9, 0.1, 0.1)))
        assert answer.kind == "no_event"
        assert "makes the count begin anew" in told(answer)

    def test_clips_on_both_sides_of_a_silence_are_not_counted_together(self) -> None:
        early = make_verdict(AT - 60.0, 0.9)
        answer = asked(verdicts=(early, *around((0.9,))))
        assert answer.kind == "hysteresis"
        assert "1 of 3" in answer.headline

    def test_verdict_that_was_not_stored(self) -> None:
        answer = asked(verdicts=())
        assert (answer.kind, answer.watched) == ("not_stored", "judged")
        assert "database in trouble" in told(answer)


class TestEvents:
    def test_moment_of_an_event_that_was_sent(self) -> None:
        answer = asked(events=(sent(-5.0, 20.0),), verdicts=around((0.9,) * 5))
        assert (answer.kind, answer.event_id) == ("alert", "0190-a")
        assert "from 2027-01-15 07:59:55 to 08:00:20" in told(answer)
        assert "A van brakes hard." in told(answer)
        assert "edgewatch feedback 0190-a false" in told(answer)

    def test_start_and_end_as_they_are_published_are_part_of_it(self) -> None:
        event = replace(sent(0.0, 0.0), start_seconds=AT + 0.0004, end_seconds=AT + 9.9996)
        for at in (AT, AT + 10.0):
            answer = asked(moment_seconds=at, events=(event,), verdicts=around((0.9,) * 9))
            assert answer.kind == "alert"

    def test_calm_moment_of_an_event_that_goes_on(self) -> None:
        answer = asked(events=(sent(-5.0, None),))
        assert answer.kind == "alert"
        assert "and goes on" in told(answer)

    def test_event_in_the_cooldown(self) -> None:
        held = replace(sent(-5.0, 20.0, "0190-b"), suppressed_by="cooldown")
        answer = asked(events=(sent(-50.0, -30.0), held), verdicts=around((0.9,) * 5))
        assert (answer.kind, answer.event_id) == ("suppressed", "0190-b")
        assert "in cooldown" in answer.headline
        assert "Event 0190-a, which opened at 2027-01-15 07:59:10; cooldown_seconds is 60" in told(
            answer
        )

    def test_cooldown_counts_from_when_the_event_opened(self) -> None:
        sent_then = sent(-70.0, -30.0, uuid7(AT - 59.0))
        assert "opened at 2027-01-15 07:59:01" in told(asked(events=(sent_then,)))
        assert "opened" not in told(asked(events=(sent(-70.0, -30.0, uuid7(AT - 61.0)),)))

    def test_event_while_snoozed(self) -> None:
        held = replace(sent(-5.0, 20.0), suppressed_by="snooze")
        past = {"snooze_seconds": change("snooze_seconds", "600")}
        answer = asked(events=(held,), past=past)
        assert "snoozed" in answer.headline
        assert "until 2027-01-15 08:08:20, by someone on the page at 07:58:20" in told(answer)

    def test_cooldown_and_snooze_are_told_where_nothing_came_of_it_anyway(self) -> None:
        past = {"snooze_seconds": change("snooze_seconds", "600")}
        text = told(asked(events=(sent(-50.0, -30.0),), past=past))
        assert "snoozed until" in text
        assert "Event 0190-a" in text

    def test_what_is_over_is_not_told(self) -> None:
        past = {"snooze_seconds": change("snooze_seconds", "50")}
        text = told(asked(events=(sent(-500.0, -300.0),), past=past))
        assert "snoozed" not in text
        assert "0190-a" not in text

    def test_of_two_events_the_one_that_was_sent_is_meant(self) -> None:
        held = replace(sent(-9.0, 20.0, "0190-b"), suppressed_by="cooldown")
        assert asked(events=(held, sent(-5.0, 20.0))).event_id == "0190-a"


def test_id_of_an_event_tells_when_it_opened() -> None:
    assert time_of(uuid7(AT + 0.25)) == AT + 0.25
    assert time_of("0190-a") is None
    assert time_of("9b2e9a1c-3f4d-4c6a-8e55-0d8f5a1b2c3d") is None
