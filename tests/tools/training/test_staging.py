"""Staging: every incident has its twin, alike in all but what happens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS
from edgewatch.tools.training.places import drawn_place
from edgewatch.tools.training.recipe import TrainingRecipe
from edgewatch.tools.training.staging import Projector, StagedCamera, stage
from edgewatch.tools.training.treatment import Codec, Treatment

TINY = TrainingRecipe(
    name="tiny", drives=2, yards=2, corridors=0, walkways=0, pairs=2,
    warm_seconds=5.0, episode_seconds=7.5, drawn_width=160,
)  # fmt: skip


@pytest.fixture(scope="module")
def cameras() -> list[StagedCamera]:
    return stage(TINY, [(drawn_place("drive"), 2), (drawn_place("yard"), 2)])


def test_every_incident_has_a_twin_that_differs_in_nothing_else(
    cameras: list[StagedCamera],
) -> None:
    for camera in cameras:
        incidents, twins = camera.episodes[::2], camera.episodes[1::2]
        assert len(incidents) == len(twins) == TINY.pairs
        for incident, twin in zip(incidents, twins, strict=True):
            assert replace(incident, twin=True, number=twin.number) == twin
            assert incident.kind in camera.place.kinds
            assert incident.kind not in CAMERA_FAULTS
            assert incident.placement.begins_seconds > incident.begins_seconds


def test_staging_is_repeated_exactly_and_another_seed_gives_others(
    cameras: list[StagedCamera],
) -> None:
    def essence(one: StagedCamera) -> tuple[object, ...]:
        return one.name, one.seed, one.treatment, one.held_out, one.episodes

    places = [(drawn_place("drive"), 2), (drawn_place("yard"), 2)]
    assert [essence(c) for c in stage(TINY, places)] == [essence(c) for c in cameras]
    assert [c.seed for c in stage(replace(TINY, seed=2), places)] != [c.seed for c in cameras]


def test_one_camera_of_each_place_is_held_out_and_one_is_not(cameras: list[StagedCamera]) -> None:
    held_out = {(camera.place.name, camera.held_out) for camera in cameras}
    assert held_out == {(name, held) for name in ("drive", "yard") for held in (True, False)}


def test_until_it_happens_the_twin_shows_the_same_pictures(
    cameras: list[StagedCamera],
) -> None:
    # Encoding looks ahead, and so would show a little of what is to come.
    camera = replace(cameras[2], treatment=Treatment(noise=1.0, speed=1.0))
    projector = Projector(camera, TINY)
    incident, twin = (projector.episode(one) for one in camera.episodes[:2])
    begins = camera.episodes[0].placement.begins_seconds - camera.episodes[0].begins_seconds
    same = []
    for clip, other in zip(incident.clips, twin.clips, strict=True):
        for frame, opposite in zip(clip.frames, other.frames, strict=True):
            if frame.media_seconds < begins:
                np.testing.assert_array_equal(frame.pixels, opposite.pixels)
            else:
                same.append(np.array_equal(frame.pixels, opposite.pixels))
    assert not all(same)
    assert max(incident.seen) > 0
    assert sum(twin.seen) == 0


@pytest.mark.parametrize("codec", ["none", "jpeg", "h264"])
def test_a_treatment_gives_pictures_of_the_size_asked_for_and_the_same_each_time(
    codec: Codec,
) -> None:
    smooth = [np.full((90, 160, 3), 40 + 10 * step, np.uint8) for step in range(6)]
    treatment = Treatment(
        mirrored=True, crop=(0.1, 0.0, 0.9, 1.0), gamma=1.2, noise=2.0, blur=0.8,
        codec=codec, quality=30,
    )  # fmt: skip
    first, again = (treatment.applied(smooth, (112, 84), np.random.default_rng(3)) for _ in "ab")
    assert len(first) == 6
    for one, other in zip(first, again, strict=True):
        assert (one.shape, str(one.dtype)) == ((84, 112, 3), "uint8")
        assert not one.flags.writeable
        np.testing.assert_array_equal(one, other)
    brightness = [float(one.mean()) for one in first]
    assert brightness == sorted(brightness)
