"""The composited fire: its truth is exact, and it looks like what the camera saw around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.scenes.incidents.flash_fire import FlashFire
from edgewatch.pipeline.types import Pixels

BEGINS = 2.0


def _fire(seed: int = 3) -> FlashFire:
    return FlashFire(
        seed, foot=(0.5, 0.8), flame_height=0.25, begins_seconds=BEGINS, burns_seconds=5.0
    )


def _footage(level: float = 120.0, sigma: float = 4.0) -> Pixels:
    rng = np.random.default_rng(9)
    ramp = np.linspace(-30, 30, 160)[None, :, None]
    noise = rng.normal(0, sigma, (120, 160, 1))
    return np.clip(level + ramp + noise + np.zeros((120, 160, 3)), 0, 255).astype(np.uint8)


FIRE = _fire()


@settings(max_examples=40, deadline=None)
@given(st.floats(0.0, 20.0))
def test_pixels_differ_only_inside_the_mask_and_only_while_it_burns(seconds: float) -> None:
    footage = _footage()
    composed, truth = FIRE.compose(footage, seconds)
    changed = (composed != footage).any(axis=2)
    assert truth.time_seconds == seconds
    if truth.mask is None:
        assert not truth.anomalous
        assert not changed.any()
    else:
        assert BEGINS <= seconds < FIRE.ends_seconds
        assert not (changed & ~truth.mask).any()
        assert changed[truth.mask].mean() > 0.5


@pytest.mark.parametrize("seconds", [0.0, BEGINS - 0.001, 30.0])
def test_footage_before_and_after_the_fire_is_passed_on_untouched(seconds: float) -> None:
    footage = _footage()
    composed, truth = FIRE.compose(footage, seconds)
    assert composed is footage
    assert not truth.anomalous


def test_every_picture_from_the_flash_until_it_dies_is_anomalous() -> None:
    footage = _footage()
    moments = np.arange(BEGINS, BEGINS + 5.0, 0.1)
    assert all(FIRE.compose(footage, float(moment))[1].kind == "fire" for moment in moments)


def test_same_seed_and_time_give_the_same_pixels_in_any_order() -> None:
    footage, twin = _footage(), _fire()
    later = FIRE.compose(footage, 5.0)[0]
    FIRE.compose(footage, 3.0)
    np.testing.assert_array_equal(twin.compose(footage, 5.0)[0], later)
    assert (_fire(seed=4).compose(footage, 5.0)[0] != later).any()


def test_smoke_grows_and_fire_glows_where_it_was_lit() -> None:
    footage = _footage()
    early, late = (FIRE.compose(footage, BEGINS + age) for age in (1.0, 4.5))
    assert early[1].mask is not None
    assert late[1].mask is not None
    above = np.s_[:60]
    assert late[1].mask[above].sum() > 2 * early[1].mask[above].sum()
    hearth = early[0][80:95, 74:86].astype(int)
    assert (hearth[..., 0] - hearth[..., 2]).mean() > 60


def test_smoke_is_darker_in_darker_footage() -> None:
    def smoke_tone(level: float) -> float:
        composed, truth = FIRE.compose(_footage(level), BEGINS + 4.0)
        assert truth.mask is not None
        return float(composed[20:50][truth.mask[20:50]].mean())

    assert smoke_tone(60.0) < 0.75 * smoke_tone(150.0)


def test_noise_inside_the_smoke_follows_the_noise_of_the_footage() -> None:
    def roughness(sigma: float) -> float:
        """Mean difference of neighbours where the plume is densest."""
        composed, _ = FIRE.compose(_footage(150.0, sigma), BEGINS + 4.0)
        return float(np.abs(np.diff(composed[45:60, 76:92, 0].astype(int), axis=1)).mean())

    assert roughness(8.0) > roughness(1.0) + 3.0


def test_a_fire_that_cannot_die_down_in_time_is_refused() -> None:
    with pytest.raises(ValueError, match="burns_seconds"):
        FlashFire(1, foot=(0.5, 0.5), flame_height=0.2, begins_seconds=0.0, burns_seconds=1.0)
