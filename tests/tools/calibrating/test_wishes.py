from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.tuning import replayed
from edgewatch.tools.calibrating.labelled import Series
from edgewatch.tools.calibrating.promises import least_promise_per_day, most_recall_promised
from edgewatch.tools.calibrating.wishes import (
    Granted,
    Wish,
    effect_of,
    grant,
    ground_of,
    plain_between,
)
from tests.tools.calibrating.made import series

RULES = EventRules()


def granted(wish: Wish, made: list[Series]) -> Granted:
    found = grant(wish, ground_of(made, RULES), RULES)
    assert isinstance(found, Granted)
    return found


def normal_with_bursts(bursts: list[float]) -> list[Series]:
    """An hour of footage for each burst: two clips in a row that score so, the rest 0.1."""
    return [
        series(f"n{number}", "normal", [0.1] * 300 + [burst] * 2 + [0.1] * 418)
        for number, burst in enumerate(bursts)
    ]


class TestFalseAlarms:
    def test_the_lowest_threshold_within_the_wish_is_chosen_by_the_event_rules(self) -> None:
        made = [
            *normal_with_bursts([0.3, 0.5, 0.7, 0.9]),
            # One clip alone is no event under these rules.
            series("lone", "normal", [0.1] * 100 + [0.99] + [0.1] * 619),
        ]
        found = granted(Wish("false_alarms_per_day", 10.0), made)
        # Five hours: two alarms are 9.6 a day, three were 14.4.
        assert found.effect.false_alarms == 2
        assert 0.5 < found.chosen.threshold <= 0.7
        assert found.chosen.reached == pytest.approx(9.6)
        assert found.chosen.low < 9.6 < found.chosen.high

    def test_what_footage_cannot_promise_is_said_with_what_it_can(self) -> None:
        """Ten minutes of quiet footage, 0.1 a day wished: the rule of three."""
        found = granted(Wish("false_alarms_per_day", 0.1), [series("n", "normal", [0.1, 0.2] * 60)])
        assert not found.chosen.supported
        (told,) = found.warnings
        assert told.startswith(
            "0.1 false alarms a day cannot be promised from 10 minutes of footage without "
            "incident: even with none in all of it, up to 431 a day are possible"
        )
        assert "To promise 0.1 takes at least 30 days of it." in told
        assert found.effect.false_alarms == 0

    def test_no_alarms_at_all_can_never_be_promised(self) -> None:
        found = granted(Wish("false_alarms_per_day", 0.0), normal_with_bursts([0.4]))
        assert 0.4 < found.chosen.threshold <= 1.0
        assert found.warnings[0].startswith("No false alarms at all can never be promised")

    def test_enough_footage_warns_of_chance_alone(self) -> None:
        found = granted(Wish("false_alarms_per_day", 24.0), normal_with_bursts([0.3] * 3 + [0.2]))
        assert found.chosen.supported
        assert found.effect.false_alarms == 4 or found.effect.false_alarms == 3
        assert found.warnings[0].startswith("by chance")

    def test_few_alarms_that_never_end_are_no_bargain(self) -> None:
        """Half an hour at 0.6 is one alarm; within the wish, and far too busy."""
        made = [series("n", "normal", [0.1] * 360 + [0.6] * 360)]
        found = granted(Wish("false_alarms_per_day", 1000.0), made)
        assert found.chosen.threshold > 0.6
        assert found.warnings[-1].startswith("a lower threshold would have no more alarms, but")

    def test_the_rule_of_three(self) -> None:
        assert least_promise_per_day(1.0) == pytest.approx(3.0, abs=0.005)

    def test_without_footage_there_is_nothing_to_choose_by(self) -> None:
        ground = ground_of([series("i", "incident", [0.9] * 4)], RULES)
        assert grant(Wish("false_alarms_per_day", 1.0), ground, RULES) == (
            "no footage without incident"
        )


class TestRecall:
    def incidents(self, tops: list[float]) -> list[Series]:
        return [
            series(f"i{number}", "incident", [0.1, 0.1, top, top, 0.1], windows=[(10.0, 20.0)])
            for number, top in enumerate(tops)
        ]

    def test_the_highest_threshold_that_finds_so_many_is_chosen(self) -> None:
        tops = [0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.93, 0.97]
        found = granted(Wish("recall", 0.8), self.incidents(tops))
        assert (found.effect.found, found.effect.incidents) == (8, 10)
        assert 0.25 < found.chosen.threshold <= 0.35
        assert found.chosen.low < 0.8 < found.chosen.high

    def test_few_incidents_promise_little(self) -> None:
        found = granted(Wish("recall", 0.95), self.incidents([0.9] * 10))
        assert found.effect.found == 10
        assert found.warnings == (
            "a recall of 0.95 cannot be promised from 10 incidents: even with all of them found, "
            "no more than 0.74 can be (95 %). To promise 0.95 takes at least 59 incidents.",
        )
        assert most_recall_promised(59) >= 0.95 > most_recall_promised(58)

    def test_an_event_elsewhere_finds_no_incident(self) -> None:
        made = series("i", "incident", [0.9, 0.9, 0.1, 0.1, 0.1, 0.2, 0.2], windows=[(30.0, 35.0)])
        found = granted(Wish("recall", 1.0), [made])
        assert found.chosen.threshold <= 0.2
        assert found.effect.found == 1

    def test_recordings_too_short_for_an_event_are_told_and_left_out(self) -> None:
        made = [*self.incidents([0.9] * 3), series("short", "incident", [0.99])]
        found = granted(Wish("recall", 0.5), made)
        assert found.effect.incidents == 3
        assert "1 of 4 incidents are in recordings too short" in found.warnings[-1]

    def test_the_views_of_a_drive_are_one_incident(self) -> None:
        made = [
            series("front", "incident", [0.1] * 4, group="drive"),
            series("left", "incident", [0.8] * 4, group="drive"),
        ]
        effect = effect_of(0.5, ground_of(made, RULES), RULES)
        assert (effect.found, effect.incidents) == (1, 1)

    def test_without_incident_there_is_nothing_to_choose_by(self) -> None:
        ground = ground_of(normal_with_bursts([0.4]), RULES)
        assert isinstance(grant(Wish("recall", 0.9), ground, RULES), str)


@given(
    st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=30), min_size=1, max_size=5),
    st.floats(0.0, 20_000.0),
)
@settings(max_examples=25, deadline=None)
def test_no_lower_threshold_would_have_done(found: list[list[int]], wished: float) -> None:
    """Held against every different threshold, from the top down."""
    made = [
        series(f"n{number}", "normal", [one / 20 for one in scores])
        for number, scores in enumerate(found)
    ]
    threshold = granted(Wish("false_alarms_per_day", wished), made).chosen.threshold
    days = sum(one.scores.watched_seconds for one in made) / 86_400.0

    def fits(at: float) -> bool:
        events = [event for one in made for event in replayed(one.scores, RULES, at)]
        alarms = sum(event.sent_seconds is not None for event in events)
        busy = sum(event.end_seconds - event.start_seconds for event in events)
        return alarms / days <= wished and busy <= 0.05 * days * 86_400.0

    assert fits(threshold)
    lower = sorted({one / 20 for scores in found for one in scores if 0 < one / 20 < threshold})
    assert not lower or not fits(lower[-1])


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_a_plain_number_lies_between(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if low < high:
        assert low < plain_between(low, high) <= high
    assert plain_between(0.31, 0.62) == 0.5
    assert plain_between(0.1234, 0.1239) == 0.1236
    assert not math.isnan(float(np.float64(plain_between(0.0, 1e-12))))
