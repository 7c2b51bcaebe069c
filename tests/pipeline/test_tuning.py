from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.events import EventPolicy, EventRules
from edgewatch.pipeline.tuning import (
    Happening,
    Outcome,
    Scores,
    Told,
    outcomes,
    propose,
    replayed,
    thresholds,
)
from edgewatch.pipeline.types import Event, Verdict
from tests.fakes.clips import FRONT, make_verdict

RULES = EventRules()


def scores_of(values: Sequence[float], stride_seconds: float = 2.5) -> Scores:
    """Clips of 5 s, one a stride, the first one ends at 1,000."""
    ends = 1_000.0 + stride_seconds * np.arange(len(values), dtype=np.float64)
    return Scores(ends - 5.0, ends, np.array(values, dtype=np.float64))


def by_the_policy(scores: Scores, rules: EventRules, threshold: float) -> list[Happening]:
    """Let the policy itself judge the scores, with its tick before each."""
    policy = EventPolicy(FRONT, rules, now_seconds=0.0, new_id=lambda _: str(len(steps)))
    steps: list[tuple[float, Event]] = []
    now_seconds = 0.0
    for start, end, score in zip(
        scores.start_seconds.tolist(),
        scores.end_seconds.tolist(),
        scores.score.tolist(),
        strict=True,
    ):
        now_seconds = end
        verdict = _verdict(start, end, score, threshold)
        steps += [(end, event) for event in policy.tick(end) + policy.judge(verdict)]
    steps += [(now_seconds, event) for event in policy.lose(now_seconds, "stream_ended")]
    return [
        _happening([(at, event) for at, event in steps if event.event_id == event_id])
        for event_id in dict.fromkeys(event.event_id for _, event in steps)
    ]


def _verdict(start: float, end: float, score: float, threshold: float) -> Verdict:
    return Verdict(
        clip_id=str(end),
        camera=FRONT,
        label="Anomaly" if score >= threshold else "Normal",
        score=score,
        threshold=threshold,
        start_seconds=start,
        end_seconds=end,
        media_start_seconds=start,
        media_end_seconds=end,
        engine="fake-1",
        latency_ms=0.0,
    )


def _happening(steps: Sequence[tuple[float, Event]]) -> Happening:
    opened_seconds, _ = steps[0]
    _, last = steps[-1]
    assert last.type == "end"
    assert last.end_seconds is not None
    sent = [at for at, event in steps if event.type == "new" and event.suppressed_by is None]
    return Happening(
        last.start_seconds, opened_seconds, last.end_seconds, last.clips, sent[0] if sent else None
    )


@st.composite
def rules(draw: st.DrawFn) -> EventRules:
    within = draw(st.integers(1, 6))
    close_after_seconds = draw(st.sampled_from([0.1, 2.5, 5.0, 15.0]))
    return EventRules(
        open_after=draw(st.integers(1, within)),
        open_within=within,
        close_after_seconds=close_after_seconds,
        close_below=draw(st.none() | st.sampled_from([0.1, 0.3, 0.5, 0.9])),
        cooldown_seconds=draw(st.sampled_from([0.0, 5.0, 12.3, 60.0])),
        stale_seconds=draw(st.sampled_from([10.0, 30.0])),
    )


@st.composite
def watched(draw: st.DrawFn) -> Scores:
    levels = st.sampled_from([0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    clips = draw(
        st.lists(st.tuples(levels, st.sampled_from([0.7, 2.5, 2.5, 2.5, 9.9, 40.0])), max_size=80)
    )
    ends = 1_000.0 + np.cumsum([gap for _, gap in clips])
    values = np.array([score for score, _ in clips], dtype=np.float64)
    return Scores(ends - 5.0, ends, values)


class TestReplayed:
    @settings(max_examples=500, deadline=None)
    @given(watched(), rules(), st.sampled_from([0.1, 0.3, 0.5, 0.6]))
    def test_arrays_say_what_the_policy_says(
        self, scores: Scores, rules: EventRules, threshold: float
    ) -> None:
        assert replayed(scores, rules, threshold) == by_the_policy(scores, rules, threshold)

    def test_one_anomalous_clip_of_three_is_no_event(self) -> None:
        assert replayed(scores_of([0.1, 0.9, 0.1, 0.1, 0.9, 0.1]), RULES, 0.5) == []

    def test_event_within_the_cooldown_is_no_alert(self) -> None:
        burst = [0.9, 0.9] + [0.1] * 8
        first, second = replayed(scores_of(burst * 2), RULES, 0.5)
        assert first.sent_seconds == first.opened_seconds == 1_002.5
        assert second.sent_seconds is None

    def test_event_that_outlives_the_cooldown_is_sent_then(self) -> None:
        values = [0.9, 0.9] + [0.1] * 8 + [0.9] * 30
        first, second = replayed(scores_of(values), RULES, 0.5)
        assert first.sent_seconds is not None
        assert second.sent_seconds == first.sent_seconds + 60.0

    def test_nothing_judged_is_nothing_found(self) -> None:
        assert replayed(scores_of([]), RULES, 0.5) == []
        assert Scores.of([]).watched_seconds == 0.0


class TestScores:
    def test_rows_of_the_records_become_arrays_without_odd_figures(self) -> None:
        scores = Scores.of([(0.0, 5.0, 0.1, 0.5), (2.5, 7.5, float("nan"), 0.5)])
        assert scores.score.tolist() == [0.1]

    def test_overlaps_and_gaps_are_not_watched_twice(self) -> None:
        ends = np.array([5.0, 7.5, 100.0])
        assert Scores(ends - 5.0, ends, np.zeros(3)).watched_seconds == 12.5


class TestOutcomes:
    def test_what_was_said_is_counted_as_hit_missed_or_left(self) -> None:
        values = [0.9, 0.9] + [0.1] * 30 + [0.6, 0.6] + [0.1] * 30
        told = [Told(996.0, 1_003.0, True), Told(1_076.0, 1_083.0, False)]
        low, middle, high = outcomes(scores_of(values), RULES, [0.5, 0.7, 0.95], told)
        assert (low.hits, low.missed, low.false_left) == (1, 0, 1)
        assert (middle.hits, middle.missed, middle.false_left) == (1, 0, 0)
        assert (high.hits, high.missed, high.false_left) == (0, 1, 0)
        assert (low.events, low.alerts) == (2, 2)
        assert middle.alerts_a_day == pytest.approx(86_400 / (64 * 2.5 + 2.5))

    def test_an_event_that_never_ends_is_no_hit(self) -> None:
        values = [0.3] * 100 + [0.9, 0.9] + [0.3] * 10
        told = [Told(1_245.0, 1_253.0, True)]
        low, high = outcomes(scores_of(values), RULES, [0.2, 0.5], told)
        assert (low.events, low.hits, low.missed) == (1, 0, 1)
        assert (high.events, high.hits, high.missed) == (1, 1, 0)

    def test_a_week_at_every_threshold_takes_less_than_two_seconds(self) -> None:
        chance = np.random.default_rng(7)
        count = 242_000
        ends = 1.8e9 + 2.5 * np.arange(count, dtype=np.float64)
        scores = Scores(ends - 5.0, ends, np.minimum(1.0, chance.exponential(0.15, count)))
        told = [Told(ends[at] - 5.0, ends[at], bool(at % 3)) for at in range(0, count, 400)]
        began_seconds = time.process_time()
        found = outcomes(scores, RULES, thresholds(0.5), told)
        assert time.process_time() - began_seconds < 2.0
        assert len(found) >= 20
        assert max(one.events for one in found) > 1_000 > found[-1].events


class TestGrid:
    def test_the_threshold_of_today_is_in_it(self) -> None:
        assert 0.512 in thresholds(0.512)
        assert thresholds(0.5) == sorted(set(thresholds(0.5)))
        assert len(thresholds(0.5)) >= 20


def outcome(
    threshold: float, alerts: int, hits: int = 0, false_left: int = 0, busy: float = 0.01
) -> Outcome:
    return Outcome(threshold, alerts, alerts, float(alerts), busy, hits, 3 - hits, false_left)


class TestProposal:
    def test_confirmed_events_come_before_false_alarms_and_those_before_alerts(self) -> None:
        found = [
            outcome(0.3, 20, 3, 5),
            outcome(0.5, 9, 3, 2),
            outcome(0.6, 7, 3, 2),
            outcome(0.8, 1, 2, 0),
        ]
        proposal = propose(found, 0.3, any_told=True)
        assert (proposal.outcome.threshold, proposal.reason) == (0.6, "feedback")

    def test_the_middle_of_equals_is_taken_unless_one_is_set_already(self) -> None:
        found = [outcome(0.1 * number, 4, 3, 0) for number in range(1, 6)]
        assert propose(found, 0.9, any_told=True).outcome == found[2]
        assert propose(found, found[0].threshold, any_told=True).outcome == found[0]

    def test_alerts_that_are_wished_for_bound_what_confirmed_events_need(self) -> None:
        found = [outcome(0.3, 20, 3), outcome(0.5, 9, 2), outcome(0.8, 1, 1)]
        assert propose(found, 0.8, any_told=True).outcome.threshold == 0.3
        assert propose(found, 0.8, 10.0, any_told=True).outcome.threshold == 0.5

    def test_without_a_confirmed_event_the_alerts_a_day_decide(self) -> None:
        found = [outcome(0.3, 20), outcome(0.5, 9), outcome(0.6, 2), outcome(0.8, 0)]
        proposal = propose(found, 0.5, 2.0, any_told=False)
        assert (proposal.outcome.threshold, proposal.reason) == (0.6, "alerts_a_day")
        proposal = propose(found[:2], 0.5, 2.0, any_told=False)
        assert proposal.reason == "keep"
        proposal = propose(found[:2], 0.3, 2.0, any_told=True)
        assert "none stays within 2 alerts a day" in proposal.why

    def test_events_that_never_end_are_no_few_alerts(self) -> None:
        found = [outcome(0.1, 1, busy=0.9), outcome(0.3, 20), outcome(0.5, 2), outcome(0.8, 0)]
        assert propose(found, 0.8, 2.0, any_told=False).outcome.threshold == 0.5
        found = [outcome(0.1, 1, 3, busy=0.9), outcome(0.3, 20, 2), outcome(0.5, 2, 1)]
        assert propose(found, 0.5, any_told=True).outcome.threshold == 0.3
        assert propose(found[:1], 0.1, 2.0, any_told=False).outcome == found[0]

    def test_too_little_time_changes_nothing(self) -> None:
        found = [outcome(0.3, 20), outcome(0.5, 9), outcome(0.8, 0)]
        proposal = propose(found, 0.3, 2.0, any_told=False, enough=False)
        assert (proposal.outcome.threshold, proposal.reason) == (0.3, "keep")

    def test_alerts_grow_fewer_below_a_crowd_of_them(self) -> None:
        found = [outcome(0.2, 1), outcome(0.3, 20), outcome(0.5, 2), outcome(0.8, 0)]
        assert propose(found, 0.8, 2.0, any_told=False).outcome.threshold == 0.5

    def test_a_threshold_that_does_well_is_kept(self) -> None:
        found = [outcome(0.3, 2), outcome(0.5, 2), outcome(0.6, 1)]
        proposal = propose(found, 0.5, 2.0, any_told=False)
        assert (proposal.outcome.threshold, proposal.reason) == (0.5, "keep")


def test_the_policys_own_verdicts_are_told_apart_the_same_way() -> None:
    """A score at the threshold is an anomaly, here and in a verdict."""
    assert make_verdict(10.0, 0.5).anomalous
    assert len(replayed(scores_of([0.5, 0.5]), RULES, 0.5)) == 1
