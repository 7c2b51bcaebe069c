"""Figures and cars: where they stand, how large they are, how they move."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.scenes.car import Car
from edgewatch.pipeline.scenes.cutout import Cutout, contact_shadow
from edgewatch.pipeline.scenes.drawn.vehicle import VAN
from edgewatch.pipeline.scenes.figure import Clothes, draw_figure
from edgewatch.pipeline.scenes.posture import LEG_LEFT, LEG_RIGHT, Pose, joints_of

POSES: tuple[Pose, ...] = get_args(Pose)


def _bounds(cutout: Cutout) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is there."""
    seen = cutout.layer[..., 3] > 100
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return (
        cutout.left + int(columns[0]),
        cutout.top + int(rows[0]),
        cutout.left + int(columns[-1]) + 1,
        cutout.top + int(rows[-1]) + 1,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(POSES),
    st.floats(0.0, 20.0),
    st.floats(0.0, 1.0),
    st.floats(-7.0, 7.0),
    st.floats(4.0, 120.0),
)
def test_a_figure_is_a_whole_layer_of_its_size(
    pose: Pose, phase: float, progress: float, heading: float, height: float
) -> None:
    cutout = draw_figure(
        height, (50.3, 80.7), pose, phase=phase, progress=progress, heading=heading
    )
    alpha = cutout.layer[..., 3]
    assert cutout.layer.dtype == np.uint8
    assert (cutout.layer[..., :3] <= alpha[..., None]).all()  # colour times alpha
    assert alpha[0].max() == alpha[-1].max() == alpha[:, 0].max() == alpha[:, -1].max() == 0
    assert alpha.max() > 100
    assert max(alpha.shape) < 1.8 * height + 6


@pytest.mark.parametrize("height", [40.0, 110.0, 300.0])
def test_who_stands_is_as_tall_as_asked_and_stands_at_the_foot(height: float) -> None:
    left, top, right, bottom = _bounds(draw_figure(height, (200.0, 400.0), "standing"))
    assert bottom - top == pytest.approx(height, rel=0.07)
    assert bottom == pytest.approx(400.0, abs=0.05 * height)
    assert (left + right) / 2 == pytest.approx(200.0, abs=0.08 * height)


def test_who_falls_ends_low_and_long() -> None:
    heights, widths = [], []
    for progress in np.linspace(0, 1, 6):
        left, top, right, bottom = _bounds(
            draw_figure(100.0, (200.0, 200.0), "falling", progress=float(progress))
        )
        heights.append(bottom - top)
        widths.append(right - left)
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] < 0.3 * heights[0]
    assert widths[-1] > 2.0 * widths[0]


def test_a_fall_begins_in_the_stride_and_has_no_jump() -> None:
    np.testing.assert_allclose(joints_of("falling", 0.8, 0.0), joints_of("walking", 0.8, 1.0))
    track = np.stack([joints_of("falling", 0.8, p) for p in np.linspace(0, 1, 101)])
    assert np.abs(np.diff(track, axis=0)).max() < 0.07


def test_lying_is_the_end_of_a_fall() -> None:
    fallen = draw_figure(90.0, (100.0, 100.0), "falling", progress=1.0)
    lying = draw_figure(90.0, (100.0, 100.0), "lying")
    np.testing.assert_array_equal(fallen.layer, lying.layer)


def test_who_sits_is_lower_than_who_stands() -> None:
    stands = _bounds(draw_figure(100.0, (100.0, 200.0), "standing"))
    sits = _bounds(draw_figure(100.0, (100.0, 200.0), "sitting"))
    assert stands[1] + 15 < sits[1]
    assert sits[3] == pytest.approx(stands[3], abs=5)


def test_legs_swing_against_each_other_and_one_foot_is_on_the_ground() -> None:
    for phase in np.linspace(0, 2 * np.pi, 17):
        joints = joints_of("walking", float(phase), 1.0)
        assert float(joints[:, 2].min()) == pytest.approx(0.019, abs=1e-6)
    stride = joints_of("walking", np.pi / 2, 1.0)
    assert stride[LEG_LEFT][2, 0] - stride[LEG_RIGHT][2, 0] > 0.25
    turned = joints_of("walking", np.pi / 2 + np.pi, 1.0)
    assert turned[LEG_LEFT][2, 0] - turned[LEG_RIGHT][2, 0] < -0.25


def test_a_walk_repeats_after_one_turn() -> None:
    first = draw_figure(80.0, (60.0, 90.0), "walking", phase=0.7, heading=0.4)
    again = draw_figure(80.0, (60.0, 90.0), "walking", phase=0.7 + 2 * np.pi, heading=0.4)
    half = draw_figure(80.0, (60.0, 90.0), "walking", phase=0.7 + np.pi / 2, heading=0.4)
    assert first.layer.shape == again.layer.shape
    assert np.abs(first.layer.astype(int) - again.layer).max() <= 2
    assert first.layer.shape != half.layer.shape or (first.layer != half.layer).mean() > 0.1


def test_clothes_are_chosen_by_the_seed() -> None:
    chosen = [Clothes.chosen(np.random.default_rng(seed)) for seed in (1, 1, 2, 3, 4)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) > 2


def test_darkness_is_in_the_light_not_in_the_shape() -> None:
    day = draw_figure(80.0, (60.0, 90.0))
    night = draw_figure(80.0, (60.0, 90.0), light=(0.3, 0.3, 0.4))
    np.testing.assert_array_equal(day.layer[..., 3], night.layer[..., 3])
    assert night.layer[..., :3].mean() < 0.5 * day.layer[..., :3].mean()


def test_no_figure_has_no_height() -> None:
    with pytest.raises(ValueError, match="height_pixels"):
        draw_figure(0.0, (1.0, 1.0))


def test_a_cutout_changes_nothing_outside_its_box_and_may_reach_over_the_edge() -> None:
    canvas = np.full((60, 80, 3), 100, np.uint8)
    draw_figure(50.0, (3.0, 70.0)).paste(canvas)
    assert (canvas[:, 40:] == 100).all()
    assert (canvas[:, :20] != 100).any()
    before = canvas.copy()
    draw_figure(50.0, (300.0, 70.0)).paste(canvas)
    np.testing.assert_array_equal(canvas, before)


def test_a_shadow_darkens_the_ground_beside_the_foot() -> None:
    figure = draw_figure(60.0, (100.0, 100.0))
    canvas = np.full((160, 220, 3), 150, np.uint8)
    figure.cast(100.0, 0.8, -0.3, 0.5).paste(canvas)
    contact_shadow((100.0, 100.0), 20.0, 6.0).paste(canvas)
    assert canvas.max() == 150
    assert canvas[98:102, 96:104].mean() < 110
    dark = np.argwhere((canvas < 120).all(axis=2))
    assert dark[:, 1].max() > 125  # to the right, by the slant
    assert dark[:, 0].min() < 92  # and away from the viewer


@pytest.fixture(scope="module")
def cars() -> dict[str, Car]:
    return {"side": Car(), "left": Car(leftwards=True), "end": Car(view="rear")}


class TestCar:
    """Vehicles seen by fixed cameras."""

    def test_it_has_its_length_and_height_at_its_foot(self, cars: dict[str, Car]) -> None:
        left, top, right, bottom = _bounds(cars["side"].cutout((200.0, 150.0), 30.0))
        assert right - left == pytest.approx(4.3 * 30, rel=0.06)
        assert 1.4 * 30 < bottom - top < 2.0 * 30
        assert (left + right) / 2 == pytest.approx(200, abs=4)
        assert 150 <= bottom < 150 + 0.4 * 30

    def test_from_behind_it_is_narrow(self, cars: dict[str, Car]) -> None:
        left, _, right, _ = _bounds(cars["end"].cutout((200.0, 150.0), 30.0))
        assert right - left < 2.6 * 30

    def test_drawing_is_the_cutout_over_its_shadow(self, cars: dict[str, Car]) -> None:
        drawn, pasted = (np.full((120, 260, 3), 120, np.uint8) for _ in range(2))
        cars["left"].draw(drawn, (130.0, 90.0), 24.0)
        cars["left"].shadow((130.0, 90.0), 24.0).paste(pasted)
        cars["left"].cutout((130.0, 90.0), 24.0).paste(pasted)
        assert np.abs(drawn.astype(int) - pasted).max() <= 2

    def test_a_van_is_taller(self, cars: dict[str, Car]) -> None:
        _, top, _, _ = _bounds(cars["side"].cutout((200.0, 150.0), 20.0))
        _, van_top, _, _ = _bounds(Car(body=VAN).cutout((200.0, 150.0), 20.0))
        assert van_top < top - 10
