from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.config.errors import ConfigError
from edgewatch.config.regions import Region, ignored_share
from edgewatch.config.settings import Settings, load_settings

CAMERA = '[[cameras]]\nname = "front"\nurl = "rtsp://10.0.0.9/stream1"\n'
SQUARE: Region = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5))


def loaded(folder: Path, ignore: str) -> Settings:
    file = folder / "edgewatch.toml"
    file.write_text(f"{CAMERA}ignore = {ignore}\n")
    return load_settings(file, {})


def test_regions_reach_the_plan_as_they_stand(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, "[[[0, 0], [0.5, 0.0], [0.5, 0.25]], [[0.9, 0.9], [1, 0.9], [1, 1]]]"
    )
    (plan,) = settings.plans()
    assert plan.ignore == (
        ((0.0, 0.0), (0.5, 0.0), (0.5, 0.25)),
        ((0.9, 0.9), (1.0, 0.9), (1.0, 1.0)),
    )
    assert settings.plan_for("front").ignore == plan.ignore
    assert settings.plan_for(None).ignore == ()


def test_a_variable_may_hold_them(tmp_path: Path) -> None:
    file = tmp_path / "edgewatch.toml"
    file.write_text(CAMERA)
    environ = {"EDGEWATCH_CAMERAS__FRONT__IGNORE": json.dumps([SQUARE])}
    assert load_settings(file, environ).plans()[0].ignore == (SQUARE,)


@pytest.mark.parametrize(
    ("ignore", "told"),
    [
        ("true", "ignore: is no list of regions. Write ignore = [[[0.0, 0.0]"),
        ('"all"', "is no list of regions"),
        ("[1]", "region 1 is no list of corners"),
        ("[[0.0, 0.0, 0.5, 0.5]]", "region 1, corner 1 is no pair [x, y]"),
        ("[[[0.0, 0.0], [1.0, 0.0]]]", "region 1 has 2 corners, not 3 to 64"),
        ("[[[0.0, 0.0], [1.0, 0.0], [1.2, 0.4]]]", "corner 3 lies outside of the picture. Write"),
        ("[[[0.0, 0.0], [320, 0], [320, 200]]]", "shares of width and height from 0 to 1, not pix"),
        ("[[[0.0, 0.0], [nan, 0.0], [1.0, 0.4]]]", "corner 2 lies outside"),
        ("[[[0.0, 0.0], [true, 0.0], [1.0, 0.4]]]", "corner 2 is not made of numbers"),
        ("[[[0.0, 0.0], [0.5, 0.5], [0.5, 0.0], [0.0, 0.5]]]", "crosses itself: its sides from c"),
        ("[[[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]]", "region 1 encloses next to nothing"),
        ("[[[0, 0], [1, 0], [1, 1], [0, 1]]]", "leaves 0 % of the picture to be judged, and 5 %"),
        (json.dumps([SQUARE] * 17), "has 17 regions, and 16 are the most"),
        (json.dumps([[[0.5, 0.5]] * 65]), "has 65 corners"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, ignore: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, ignore)
    assert told in str(error.value)
    assert '[[cameras]] #1 "front" ignore: ' in str(error.value)


def test_a_camera_with_most_of_its_picture_ignored_is_warned_of(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[[[0, 0], [1, 0], [1, 0.7], [0, 0.7]]]")
    (warning,) = settings.warnings
    assert warning.startswith('camera "front" ignore: 70 % of its picture is not judged.')
    assert not loaded(tmp_path, "[[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]").warnings


def test_a_threshold_to_close_below_that_changes_nothing_is_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "edgewatch.toml"
    file.write_text("[events]\nclose_below = 0.5\n" + CAMERA)
    (warning,) = load_settings(file, {}).warnings
    assert "close_below: 0.5 is not below the threshold (0.5)" in warning


class TestShare:
    def test_what_overlaps_counts_once(self) -> None:
        assert ignored_share((SQUARE, SQUARE)) == pytest.approx(0.25)
        beside = tuple((x + 0.25, y) for x, y in SQUARE)
        assert ignored_share((SQUARE, beside)) == pytest.approx(0.375)

    def test_a_triangle_is_half_its_box(self) -> None:
        assert ignored_share((((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)),)) == pytest.approx(0.5)

    def test_nothing_is_ignored_without_regions(self) -> None:
        assert ignored_share(()) == 0.0

    @given(st.lists(st.tuples(*[st.tuples(st.floats(0, 1), st.floats(0, 1))] * 4), max_size=4))
    def test_it_is_a_share_and_never_falls_with_more_regions(self, regions: list[Region]) -> None:
        shares = [ignored_share(tuple(regions[:count])) for count in range(len(regions) + 1)]
        assert shares == sorted(shares)
        assert 0.0 <= shares[-1] <= 1.0 + 1e-9
