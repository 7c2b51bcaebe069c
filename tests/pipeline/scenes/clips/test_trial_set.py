"""The test set: every incident has its twin, and nothing but the incident tells them apart."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgewatch.pipeline.scenes.clips.placing import Ground, place_incident
from edgewatch.pipeline.scenes.clips.trial_set import SetPlan, fits_scene, recipes_of_set
from edgewatch.pipeline.scenes.drawn.table import SCENES
from edgewatch.pipeline.scenes.incidents.catalogue import KINDS

PLAN = SetPlan(seed=7, each=6, seconds=10.0)
SET = recipes_of_set(PLAN)


def test_each_kind_is_there_in_each_scene_that_it_fits_with_a_twin_each() -> None:
    counted = Counter((one.scene, one.incident, one.twin) for one in SET)
    for scene in SCENES:
        for kind in ("impact", *KINDS):
            expected = PLAN.each if fits_scene(kind, scene) else 0
            assert counted[scene, kind, False] == counted[scene, kind, True] == expected
    assert {one.scene for one in SET} == set(SCENES)
    assert {one.incident for one in SET} == {"impact", *KINDS}


def test_a_twin_differs_in_being_one_and_in_nothing_else() -> None:
    for incident, twin in zip(SET[::2], SET[1::2], strict=True):
        assert replace(incident, twin=True) == twin
        assert incident.split == twin.split


def test_no_two_pairs_share_footage_and_no_two_sets_either() -> None:
    sources = [one.source for one in SET[::2]]
    assert len(set(sources)) == len(sources)
    assert not set(sources) & {one.source for one in recipes_of_set(replace(PLAN, seed=8))}


def test_incidents_begin_all_over_the_middle_of_the_clip() -> None:
    begins = [one.placement.begins_seconds for one in SET[::2] if one.placement is not None]
    assert all(1.9 < at < 7.0 for at in begins)
    counts, _ = np.histogram(begins, bins=4, range=(2.0, 6.5))
    assert counts.min() > len(begins) / 12


def test_the_same_plan_gives_the_same_recipes() -> None:
    assert recipes_of_set(PLAN) == SET


@pytest.mark.parametrize("scene", SCENES)
def test_things_that_stand_nearer_are_larger(scene: str) -> None:
    ground = Ground.of_scene(scene)
    near, far = (place_incident("fall", ground, 1, 10.0, foot=(0.5, y)).height for y in (0.9, 0.65))
    assert near > far > 0


def test_what_is_asked_for_is_placed_so() -> None:
    ground = Ground("fixed", 0.4)
    placed = place_incident(
        "debris", ground, 1, 8.0, begins_seconds=2.5, foot=(0.2, 0.8), height=0.3
    )
    assert (placed.begins_seconds, placed.foot, placed.height) == (2.5, (0.2, 0.8), 0.3)
    assert placed.begins_seconds + placed.lasts_seconds >= 8.0
    assert placed.camera == "fixed"
