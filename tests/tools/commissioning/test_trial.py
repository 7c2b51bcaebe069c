"""The grid of trials: what is tried where, of what size."""

from __future__ import annotations

from collections import Counter

import pytest

from edgewatch.tools.commissioning.trial import FAULTS_TRIED, PLACES, SIZES, kinds_for, plan_trials


def test_each_kind_is_tried_in_each_size_at_so_many_places_with_a_twin_each() -> None:
    trials = plan_trials(("smoke", "fall"), places_each=3, seed=1)
    counts = Counter((one.kind, one.size, one.harmless) for one in trials)
    for kind in ("smoke", "fall"):
        for size in SIZES:
            assert counts[kind, size, False] == 3
            assert counts[kind, size, True] == 1
    assert len({one.number for one in trials}) == len({one.seed for one in trials}) == len(trials)


def test_places_are_tried_about_equally_often() -> None:
    trials = plan_trials(("smoke", "fall", "flame"), places_each=2, seed=5)
    counts = Counter(one.place for one in trials if not one.harmless)
    assert set(counts) == set(PLACES)
    assert max(counts.values()) - min(counts.values()) <= 2


def test_places_that_the_camera_ignores_are_left_out() -> None:
    hidden = [name for name in PLACES if "left" in name]
    trials = plan_trials(("smoke",), places_each=6, seed=1, hidden=hidden)
    assert {one.place for one in trials}.isdisjoint(hidden)
    with pytest.raises(ValueError, match="ignored"):
        plan_trials(("smoke",), places_each=1, seed=1, hidden=list(PLACES))


def test_faults_of_the_camera_have_neither_place_nor_size() -> None:
    trials = plan_trials(("frozen",), places_each=3, seed=1)
    assert sum(not one.harmless for one in trials) == FAULTS_TRIED
    assert {(one.place, one.size) for one in trials} == {("", None)}
    assert all(one.is_fault for one in trials)


def test_the_same_seed_plans_the_same_and_another_does_not() -> None:
    first = plan_trials(("smoke", "debris"), places_each=2, seed=1)
    assert first == plan_trials(("smoke", "debris"), places_each=2, seed=1)
    assert first != plan_trials(("smoke", "debris"), places_each=2, seed=2)


def test_kinds_are_those_that_make_sense_on_the_camera() -> None:
    assert "moved" in kinds_for("fixed")
    assert "moved" not in kinds_for("driving")
    assert kinds_for("fixed", ("smoke",)) == ("smoke",)
