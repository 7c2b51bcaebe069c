"""Laws and cases of the event policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count, pairwise

from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.events import HOLD_TIMES, EventPolicy, EventRules, interrupted
from edgewatch.pipeline.types import Event
from tests.fakes.clips import FRONT, make_verdict

RULES = EventRules(
    open_after=2, open_within=3, close_after_seconds=15, cooldown_seconds=60, stale_seconds=40
)
T0 = 1_000_000.0
STRIDE = 2.5


def numbered() -> Callable[[float], str]:
    ids: Iterator[int] = count(1)
    return lambda now_seconds: f"event-{next(ids)}"


def policy(rules: EventRules = RULES) -> EventPolicy:
    return EventPolicy(FRONT, rules, now_seconds=T0, new_id=numbered())


def feed(
    target: EventPolicy, scores: list[float], *, start: float = T0, stride: float = STRIDE
) -> list[Event]:
    events: list[Event] = []
    for number, score in enumerate(scores):
        events += target.judge(make_verdict(start + number * stride, score))
    return events


class TestOpening:
    def test_one_anomalous_clip_opens_nothing(self) -> None:
        assert feed(policy(), [0.1, 0.9, 0.1, 0.1]) == []

    def test_two_of_three_anomalous_clips_open_an_event(self) -> None:
        (event,) = feed(policy(), [0.1, 0.9, 0.2, 0.7])
        assert (event.type, event.revision, event.clips) == ("new", 1, 2)
        assert event.start_seconds == T0 + STRIDE - 5.0
        assert event.end_seconds is None
        assert (event.score, event.peak_score) == (0.7, 0.9)
        assert event.peak_clip_id == f"front-{T0 + STRIDE:.3f}"

    def test_two_anomalous_clips_too_far_apart_open_nothing(self) -> None:
        assert feed(policy(), [0.9, 0.1, 0.1, 0.9]) == []

    def test_threshold_itself_is_an_anomaly(self) -> None:
        assert [e.type for e in feed(policy(), [0.5, 0.5])] == ["new"]

    def test_clips_from_before_an_interruption_do_not_count(self) -> None:
        target = policy()
        feed(target, [0.9])
        target.pause(T0 + 1)
        assert feed(target, [0.9], start=T0 + 10) == []


class TestCourse:
    def test_rising_peak_is_sent_as_update_and_a_falling_one_is_not(self) -> None:
        events = feed(policy(), [0.6, 0.6, 0.62, 0.9, 0.7])
        assert [(e.type, e.peak_score) for e in events] == [("new", 0.6), ("update", 0.9)]

    def test_event_ends_when_quiet_long_enough(self) -> None:
        events = feed(policy(), [0.9, 0.9] + [0.1] * 7)
        assert [e.type for e in events] == ["new", "end"]
        assert events[-1].ended_by == "quiet"
        assert events[-1].end_seconds == T0 + STRIDE
        assert events[-1].event_id == events[0].event_id

    def test_short_quiet_does_not_end_it(self) -> None:
        events = feed(policy(), [0.9, 0.9] + [0.1] * 5 + [0.9] + [0.1] * 5)
        assert [e.type for e in events] == ["new"]

    def test_words_follow_as_update(self) -> None:
        target = policy()
        (new,) = feed(target, [0.9, 0.9])
        (update,) = target.describe(new.event_id, "a car left the road")
        assert (update.type, update.revision) == ("update", 2)
        assert update.description == "a car left the road"

    def test_words_that_come_after_the_end_are_dropped(self) -> None:
        target = policy()
        (new, _) = feed(target, [0.9, 0.9] + [0.1] * 7)
        assert target.describe(new.event_id, "too late") == []


class TestClosing:
    """An open event is quiet only below `close_below`, where that is set."""

    HELD = replace(RULES, close_below=0.3)

    def test_a_score_that_wobbles_around_the_threshold_is_one_event(self) -> None:
        wobble = [0.6, 0.6, *[0.4] * 7, 0.6, *[0.4] * 7, 0.6, 0.6]
        assert [e.type for e in feed(policy(), wobble)] == ["new", "end", "new"]
        assert [e.type for e in feed(policy(self.HELD), wobble)] == ["new"]

    def test_it_ends_once_the_score_stayed_below_for_long_enough(self) -> None:
        events = feed(policy(self.HELD), [0.6, 0.6, *[0.4] * 4, *[0.2] * 6])
        assert [e.type for e in events] == ["new", "end"]
        assert events[-1].ended_by == "quiet"

    def test_it_still_ends_with_its_last_anomalous_clip_and_counts_no_other(self) -> None:
        end = feed(policy(self.HELD), [0.6, 0.6, *[0.4] * 4, *[0.2] * 6])[-1]
        assert end.end_seconds == T0 + STRIDE
        assert end.clips == 2

    def test_a_camera_that_always_scores_in_between_does_not_hold_it_for_ever(self) -> None:
        target = policy(self.HELD)
        feed(target, [0.6, 0.6])
        longest_clips = round(HOLD_TIMES * RULES.close_after_seconds / STRIDE)
        start = T0 + 2 * STRIDE
        assert feed(target, [0.4] * (longest_clips - 1), start=start) == []
        (end,) = feed(target, [0.4], start=start + (longest_clips - 1) * STRIDE)
        assert (end.type, end.ended_by) == ("end", "quiet")

    def test_a_score_in_between_opens_nothing(self) -> None:
        assert feed(policy(self.HELD), [0.4] * 10) == []

    def test_it_can_be_set_while_an_event_is_open(self) -> None:
        target = policy()
        feed(target, [0.6, 0.6])
        target.change_rules(self.HELD)
        assert feed(target, [0.4] * 10, start=T0 + 2 * STRIDE) == []


class TestSuppression:
    def test_event_within_cooldown_is_recorded_and_not_sent(self) -> None:
        quiet = [0.1] * 7
        events = feed(policy(), [0.9, 0.9, *quiet, 0.9, 0.9, *quiet])
        assert [(e.type, e.suppressed_by) for e in events] == [
            ("new", None),
            ("end", None),
            ("new", "cooldown"),
            ("end", "cooldown"),
        ]

    def test_event_that_outlives_the_cooldown_is_sent_then(self) -> None:
        events = feed(policy(), [0.9, 0.9] + [0.1] * 7 + [0.9] * 20)
        sent = [e for e in events if e.suppressed_by is None]
        second = [e for e in sent if e.event_id == "event-2"]
        assert second[0].type == "new"
        assert second[0].revision == 2
        assert second[0].start_seconds < T0 + 60

    def test_snoozed_event_is_recorded_and_not_sent(self) -> None:
        target = policy()
        target.snooze(T0 + 100)
        (event,) = feed(target, [0.9, 0.9])
        assert event.suppressed_by == "snooze"

    def test_event_that_outlives_the_snooze_is_sent_then_with_its_true_start(self) -> None:
        target = policy()
        target.snooze(T0 + 10)
        events = feed(target, [0.9] * 8)
        assert [(e.type, e.suppressed_by) for e in events] == [("new", "snooze"), ("new", None)]
        recorded, sent = events
        assert (sent.event_id, sent.revision) == (recorded.event_id, 2)
        assert sent.start_seconds == recorded.start_seconds < T0 + 10
        assert sent.clips == 5

    def test_event_whose_last_anomaly_lies_in_the_snooze_is_never_sent(self) -> None:
        target = policy()
        target.snooze(T0 + 10)
        events = feed(target, [0.9, 0.9] + [0.1] * 10)
        assert [(e.type, e.suppressed_by) for e in events] == [
            ("new", "snooze"),
            ("end", "snooze"),
        ]

    def test_snooze_that_is_lifted_in_mid_event_sends_it_with_the_next_anomaly(self) -> None:
        target = policy()
        target.snooze(T0 + 8 * 3600)
        feed(target, [0.9, 0.9])
        target.snooze(T0 + 2 * STRIDE)
        (sent,) = feed(target, [0.9], start=T0 + 2 * STRIDE)
        assert (sent.type, sent.suppressed_by) == ("new", None)

    def test_event_that_was_sent_is_told_to_its_end_through_a_snooze(self) -> None:
        """Who was told of its beginning must be told of its end."""
        target = policy()
        feed(target, [0.6, 0.6])
        target.snooze(T0 + 3600)
        events = feed(target, [0.9] + [0.1] * 7, start=T0 + 2 * STRIDE)
        assert [(e.type, e.suppressed_by) for e in events] == [("update", None), ("end", None)]

    def test_snooze_that_ends_within_the_cooldown_leaves_the_event_to_the_cooldown(self) -> None:
        target = policy()
        feed(target, [0.9, 0.9] + [0.1] * 7)
        start = T0 + 9 * STRIDE
        target.snooze(start + 10)
        events = feed(target, [0.6, 0.6, 0.6, 0.6, 0.6, 0.7], start=start)
        assert [(e.type, e.suppressed_by) for e in events] == [
            ("new", "snooze"),
            ("update", "cooldown"),
        ]

    def test_what_was_suppressed_begins_no_cooldown(self) -> None:
        target = policy()
        target.snooze(T0 + 20)
        feed(target, [0.9, 0.9] + [0.1] * 7)
        (event,) = feed(target, [0.9, 0.9], start=T0 + 9 * STRIDE)
        assert event.suppressed_by is None

    def test_cooldown_counts_from_the_moment_a_suppressed_event_was_sent(self) -> None:
        target = policy()
        target.snooze(T0 + 30)
        first = feed(target, [0.9] * 13 + [0.1] * 7)
        sent_seconds = T0 + 12 * STRIDE
        assert [e.type for e in first] == ["new", "new", "end"]
        (second,) = feed(target, [0.9, 0.9], start=sent_seconds + 60 - 2 * STRIDE)
        assert second.suppressed_by == "cooldown"
        (sent,) = feed(target, [0.9], start=sent_seconds + 60)
        assert (sent.type, sent.suppressed_by) == ("new", None)

    def test_cooldown_goes_on_while_nobody_watches(self) -> None:
        """As at the end of a schedule's window: the alert before it still counts after it."""
        target = policy()
        feed(target, [0.9, 0.9])
        target.lose(T0 + 5, "disabled")
        (event,) = feed(target, [0.9, 0.9], start=T0 + 30)
        assert event.suppressed_by == "cooldown"


class TestLoss:
    def test_lost_camera_ends_its_event_as_lost_and_state_is_unknown(self) -> None:
        target = policy()
        feed(target, [0.9, 0.9])
        (end,) = target.lose(T0 + 20, "camera_lost")
        assert (end.type, end.ended_by) == ("end", "camera_lost")
        assert target.state.state == "unknown"
        assert target.state.event_id is None

    def test_interruption_makes_the_state_unknown_and_keeps_the_event(self) -> None:
        target = policy()
        (new,) = feed(target, [0.9, 0.9])
        target.pause(T0 + 3)
        assert target.state.state == "unknown"
        assert target.state.event_id == new.event_id

    def test_silence_ends_an_event_as_not_judged(self) -> None:
        target = policy()
        feed(target, [0.9, 0.9])
        assert target.tick(T0 + STRIDE + 40) == []
        (end,) = target.tick(T0 + STRIDE + 40.1)
        assert end.ended_by == "not_judged"
        assert target.state.state == "unknown"

    def test_silence_without_an_event_makes_the_state_unknown(self) -> None:
        target = policy()
        feed(target, [0.1])
        before = target.state
        assert target.tick(T0 + 41) == []
        assert (before.state, target.state.state) == ("normal", "unknown")

    def test_state_is_unknown_before_the_first_verdict(self) -> None:
        assert policy().state.state == "unknown"

    def test_clock_set_back_does_not_keep_an_event_open(self) -> None:
        target = policy()
        feed(target, [0.9, 0.9])
        events = feed(target, [0.1] * 8, start=T0 - 3600)
        assert [e.type for e in events] == ["end"]

    def test_event_found_open_after_a_crash_gets_its_end(self) -> None:
        (new,) = feed(policy(), [0.9, 0.9])
        end = interrupted(new, T0 + 30)
        assert (end.type, end.ended_by, end.revision) == ("end", "restart", 2)
        assert end.end_seconds == T0 + 30
        assert interrupted(new, None).end_seconds == new.start_seconds


class TestState:
    def test_state_keeps_the_time_of_its_change(self) -> None:
        target = policy()
        feed(target, [0.1, 0.2, 0.3])
        assert target.state.since_seconds == T0
        assert target.state.score == 0.1

    def test_anomaly_names_its_event(self) -> None:
        target = policy()
        (new,) = feed(target, [0.9, 0.9])
        assert (target.state.state, target.state.event_id) == ("anomaly", new.event_id)


rules = st.builds(
    EventRules,
    open_after=st.integers(1, 3),
    open_within=st.integers(3, 6),
    close_after_seconds=st.floats(0, 30),
    close_below=st.none() | st.floats(0.01, 1),
    cooldown_seconds=st.floats(0, 120),
    stale_seconds=st.floats(5, 60),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("judge"), st.floats(0, 1), st.sampled_from([2.5, 5.0, 61.0, -30.0])),
        st.tuples(st.just("tick"), st.just(0.0), st.floats(0, 100)),
        st.tuples(st.just("lose"), st.just(0.0), st.just(1.0)),
        st.tuples(st.just("pause"), st.just(0.0), st.just(1.0)),
        st.tuples(st.just("describe"), st.just(0.0), st.just(0.0)),
        st.tuples(st.just("snooze"), st.just(0.0), st.just(0.0)),
    ),
    max_size=60,
)


def run(target: EventPolicy, moves: list[tuple[str, float, float]]) -> list[list[Event]]:
    """Walk through moves; each also moves the clock by its last number."""
    now = T0
    taken = []
    for move, score, wait in moves:
        now += wait
        match move:
            case "judge":
                events = target.judge(make_verdict(now, score))
            case "tick":
                events = target.tick(now)
            case "lose":
                events = target.lose(now, "camera_lost")
            case "describe" if target.open_event:
                events = target.describe(target.open_event.event_id, "words")
            case "snooze":
                target.snooze(now + 20)
                events = []
            case _:
                target.pause(now)
                events = []
        taken.append(events)
    taken.append(target.lose(now, "stream_ended"))
    return taken


class TestLaws:
    @given(rules, steps)
    def test_every_sequence_yields_well_formed_events(
        self, rule: EventRules, moves: list[tuple[str, float, float]]
    ) -> None:
        """new, then updates, then end, each once where once is due; never two open at a time."""
        open_id: str | None = None
        seen: set[str] = set()
        revision = 0
        for event in (e for events in run(policy(rule), moves) for e in events):
            if open_id is None:
                assert event.type == "new"
                assert event.event_id not in seen
                seen.add(event.event_id)
                open_id, revision = event.event_id, 0
            assert event.event_id == open_id
            assert event.revision == revision + 1
            assert event.peak_score >= event.score or event.type == "end"
            assert (event.end_seconds is not None) == (event.type == "end")
            assert (event.ended_by is not None) == (event.type == "end")
            revision = event.revision
            if event.type == "end":
                assert event.end_seconds is not None
                open_id = None
        assert open_id is None

    @given(rules, steps)
    def test_what_is_sent_is_well_formed_by_itself(
        self, rule: EventRules, moves: list[tuple[str, float, float]]
    ) -> None:
        """A consumer that never sees the suppressed snapshots still gets whole stories."""
        sent = [e for events in run(policy(rule), moves) for e in events if not e.suppressed_by]
        by_id: dict[str, list[Event]] = {}
        for event in sent:
            by_id.setdefault(event.event_id, []).append(event)
        for story in by_id.values():
            types = [event.type for event in story]
            assert types == ["new", *["update"] * (len(types) - 2), "end"]
            assert all(a.revision < b.revision for a, b in pairwise(story))

    @given(
        rules, st.lists(st.tuples(st.floats(0, 1), st.sampled_from([2.5, 5.0, 61.0])), max_size=80)
    )
    def test_no_alert_within_the_cooldown_of_the_last(
        self, rule: EventRules, clips: list[tuple[float, float]]
    ) -> None:
        target = policy(rule)
        now = T0
        alerts = []
        for score, wait in clips:
            now += wait
            events = target.judge(make_verdict(now, score))
            alerts += [now for e in events if e.type == "new" and not e.suppressed_by]
        assert all(b - a >= rule.cooldown_seconds for a, b in pairwise(alerts))

    @given(rules, st.lists(st.tuples(st.floats(0, 1), st.sampled_from([2.5, 5.0])), max_size=80))
    def test_no_event_outlives_its_last_anomaly_by_more_than_it_may_be_held(
        self, rule: EventRules, clips: list[tuple[float, float]]
    ) -> None:
        target, now, anomalous = policy(rule), T0, T0
        for score, wait in clips:
            now += wait
            target.judge(make_verdict(now, score))
            anomalous = now if score >= 0.5 else anomalous
            if target.open_event:
                assert now - anomalous < max(HOLD_TIMES * rule.close_after_seconds, 1e-9)

    @given(rules, st.lists(st.tuples(st.floats(0, 1), st.sampled_from([2.5, 61.0])), max_size=80))
    def test_to_close_below_the_threshold_or_not_at_all_is_the_same(
        self, rule: EventRules, clips: list[tuple[float, float]]
    ) -> None:
        """Without `close_below`, the rules are what they were before there was such a key."""
        plain, same = (policy(replace(rule, close_below=below)) for below in (None, 0.5))
        now = T0
        for score, wait in clips:
            now += wait
            verdict = make_verdict(now, score)
            assert plain.judge(verdict) == same.judge(verdict)

    @given(rules, steps)
    def test_state_is_normal_only_right_after_a_verdict(
        self, rule: EventRules, moves: list[tuple[str, float, float]]
    ) -> None:
        target = policy(rule)
        now = T0
        for move in moves:
            run_one = run_step(target, move, now)
            now = run_one
            if move[0] in ("lose", "pause"):
                assert target.state.state == "unknown"
            if move[0] == "judge":
                assert target.state.state in ("normal", "anomaly")
                assert (target.state.state == "anomaly") == (target.open_event is not None)

    def test_rules_changed_on_the_way_keep_the_event_open(self) -> None:
        target = policy()
        feed(target, [0.9, 0.9])
        target.change_rules(replace(RULES, open_within=5))
        assert target.open_event is not None


def run_step(target: EventPolicy, move: tuple[str, float, float], now: float) -> float:
    """One move of `run`; returns the new time."""
    name, score, wait = move
    now += wait
    if name == "judge":
        target.judge(make_verdict(now, score))
    elif name == "tick":
        target.tick(now)
    elif name == "lose":
        target.lose(now, "camera_lost")
    elif name == "pause":
        target.pause(now)
    return now
