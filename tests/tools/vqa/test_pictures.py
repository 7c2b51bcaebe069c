"""Pictures brought to a model's sides, as its official processor does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.config.settings import load_settings
from edgewatch.tools.vqa.limits import MOST_PIXELS, sides_of
from edgewatch.tools.vqa.pictures import (
    FilePicture,
    PictureUnreadable,
    Sides,
    fitting,
    still_of,
)
from tests.tools.vqa.made import jpeg, model_choice, write

sides = st.integers(1, 3000)


@settings(max_examples=80, deadline=None)
@given(sides, sides, st.sampled_from([63_504, 200_704, MOST_PIXELS]))
def test_sides_are_multiples_of_28_within_limits(height: int, width: int, most: int) -> None:
    limits = Sides(3136, most, "test")
    if max(height, width) > 200 * min(height, width):
        with pytest.raises(PictureUnreadable, match="long and narrow"):
            fitting(height, width, limits)
        return
    high, wide = fitting(height, width, limits)
    assert (high % 28, wide % 28) == (0, 0)
    assert min(high, wide) >= 28
    # A strip thinner than one token cannot be made smaller.
    assert high * wide <= most or min(high, wide) == 28


def test_still_is_the_picture_twice(tmp_path: Path) -> None:
    picture = FilePicture(write(tmp_path / "x.jpg", jpeg(100, 60)), "x.jpg")
    still = still_of(picture, Sides(784, 100_000, "test"))
    assert still.shape == (2, 56, 112, 3)
    assert (still[0] == still[1]).all()
    broken = FilePicture(write(tmp_path / "y.jpg", jpeg()[:200]), "y.jpg")
    with pytest.raises(PictureUnreadable, match=r"y\.jpg cannot be read"):
        still_of(broken, Sides(784, 100_000, "test"))


def test_limits_are_the_models_own_or_named(tmp_path: Path) -> None:
    settings = model_choice(model=str(tmp_path)).settings
    assert "states none" in sides_of(settings, "model").said
    write(tmp_path / "preprocessor_config.json", {"min_pixels": 3136, "max_pixels": 200_704})
    own = sides_of(settings, "model")
    assert (own.least_pixels, own.most_pixels, own.whose) == (
        3136,
        200_704,
        "the model's own limit",
    )
    size = {"size": {"shortest_edge": 3136, "longest_edge": 12_845_056}}
    write(tmp_path / "preprocessor_config.json", size)
    assert sides_of(settings, "model").most_pixels == MOST_PIXELS
    assert "the model's own is 12845056" in sides_of(settings, "model").said
    write(tmp_path / "preprocessor_config.json", {"size": {"shortest_edge": 336}})
    assert "states none" in sides_of(settings, "model").said
    assert sides_of(settings, "clips").most_pixels == load_settings(environ={}).clips.pixels
    assert sides_of(settings, 10_000).said.endswith("3136 to 10000 pixels (--pixels)")
