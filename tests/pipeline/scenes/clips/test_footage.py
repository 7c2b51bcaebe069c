"""Footage: outside the mask nothing differs from the footage without, whatever the camera does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.footage import Footage, footage_of
from edgewatch.pipeline.scenes.clips.placing import Ground, place_incident
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.moving.path import Motion
from edgewatch.pipeline.scenes.moving.weather import Weather
from edgewatch.pipeline.scenes.truth import IncidentKind
from tests.pipeline.scenes.clips.recipes import FPS, SIZE, STILL, still_recipe


def _drawn(scene: str, kind: IncidentKind, seconds: float, begins: float) -> Recipe:
    placement = place_incident(
        kind, Ground.of_scene(scene), 3, seconds, begins_seconds=begins, height=0.4
    )
    return Recipe(
        3,
        scene,
        size=SIZE,
        fps=4.0,
        seconds=seconds,
        incident=kind,
        placement=placement,
        weather="rain",
        light="dusk",
    )


def _assert_exact(footage: Footage, plain: Footage, *, begins_seconds: float) -> int:
    """Hold every picture against the same recipe without incident; gives how many are anomalous."""
    anomalous = 0
    for index in range(footage.frame_count):
        pixels, truth, without = footage.frame(index), footage.truth(index), footage.without(index)
        np.testing.assert_array_equal(without, plain.frame(index))
        assert truth.time_seconds == pytest.approx(index / footage.fps)
        assert not pixels.flags.writeable
        changed = (pixels != without).any(axis=2)
        if truth.mask is None:
            assert not changed.any()
            assert not truth.anomalous
            continue
        assert index / footage.fps >= begins_seconds
        assert truth.mask.shape == changed.shape
        assert not (changed & ~truth.mask).any()
        assert changed.any()
        anomalous += truth.anomalous
    return anomalous


@pytest.mark.parametrize(
    ("motion", "weather"), [("handheld", "snow"), ("ptz", "fog"), ("drive", "clear")]
)
def test_a_still_with_an_incident_differs_inside_the_mask_alone(
    motion: Motion, weather: Weather
) -> None:
    recipe = replace(still_recipe("flame", motion=motion), weather=weather, light="cloud")
    footage = footage_of(recipe, STILL)
    plain = footage_of(recipe.without_incident(), STILL)
    assert _assert_exact(footage, plain, begins_seconds=1.0) >= 6


def test_the_mask_of_a_still_is_exactly_what_changed_before_the_sensor() -> None:
    recipe = replace(still_recipe("flame"), sensor_sigma=0.0)
    footage = footage_of(recipe, STILL)
    footage.frame(14)
    mask = footage.truth(14).mask
    assert mask is not None
    np.testing.assert_array_equal(mask, (footage.frame(14) != footage.without(14)).any(axis=2))


@pytest.mark.parametrize("scene", ["corridor"])
def test_a_drawn_scene_with_an_incident_differs_inside_the_mask_alone(scene: str) -> None:
    recipe = _drawn(scene, "flame", 3.0, 1.0)
    plain = footage_of(recipe.without_incident())
    assert _assert_exact(footage_of(recipe), plain, begins_seconds=1.0) >= 6


def test_a_drive_with_an_impact_is_the_calm_one_until_the_braking_begins() -> None:
    recipe = replace(_drawn("drive", "impact", 2.75, 0.75), fps=3.0)
    plain = footage_of(recipe.without_incident())
    assert _assert_exact(footage_of(recipe), plain, begins_seconds=0.75) > 3
    gentle = footage_of(replace(recipe, twin=True))
    assert _assert_exact(gentle, plain, begins_seconds=0.75) == 0


def test_a_frozen_picture_keeps_its_noise_and_can_be_asked_for_in_any_order() -> None:
    recipe = still_recipe("frozen")
    footage = footage_of(recipe, STILL)
    last = footage.frame(15)
    np.testing.assert_array_equal(last, footage.frame(13))
    assert (footage.frame(3) != footage.frame(4)).any()
    np.testing.assert_array_equal(last, footage_of(recipe, STILL).frame(15))


def test_pictures_asked_for_backwards_are_the_same() -> None:
    recipe = still_recipe("flame")
    forwards = footage_of(recipe, STILL)
    seen = [forwards.frame(index) for index in range(16)]
    backwards = footage_of(recipe, STILL)
    for index in (15, 9, 10, 2):
        np.testing.assert_array_equal(backwards.frame(index), seen[index])


def test_the_camera_of_a_warped_still_is_told_and_a_drawn_one_has_none() -> None:
    told = footage_of(still_recipe(motion="drive"), STILL).camera(8)
    assert told is not None
    assert np.shape(told["M"]) == (2, 3)
    assert told["travelled_m"] > 0
    assert footage_of(Recipe(1, size=SIZE, fps=FPS, seconds=1.0)).camera(3) is None


def test_a_still_that_is_missing_or_another_one_is_refused() -> None:
    with pytest.raises(SceneRefused, match="none was given"):
        footage_of(still_recipe())
    with pytest.raises(SceneRefused, match="not the one"):
        footage_of(still_recipe(), STILL[::-1])


def test_an_impact_that_does_not_fit_the_clip_is_refused() -> None:
    with pytest.raises(SceneRefused, match="impact"):
        footage_of(_drawn("drive", "impact", 2.0, 1.5))


def test_no_picture_lies_beyond_the_end() -> None:
    with pytest.raises(IndexError):
        footage_of(still_recipe(), STILL).frame(16)
