from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.config.regions import ignored_share
from edgewatch.pipeline.mask import GREY, Mask, drawn

LEFT_HALF = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
TOP_RIGHT = [(1.0, 0.0), (1.0, 0.5), (0.5, 0.0)]

shares = st.integers(0, 40).map(lambda number: number / 40)
triangles = st.tuples(*[st.tuples(shares, shares)] * 3)


def picture(width: int = 84, height: int = 56) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    pixels = np.random.default_rng(5).integers(0, 90, (height, width, 3), np.uint8)
    pixels.flags.writeable = False
    return pixels


def test_pixels_of_a_region_become_grey_and_the_others_stay() -> None:
    pixels = picture()
    hidden, ignored = Mask([LEFT_HALF]).hide(pixels)
    assert ignored is not None
    assert ignored[:, :42].all()
    assert not ignored[:, 43:].any()
    assert (hidden[ignored] == GREY).all()
    assert (hidden[~ignored] == pixels[~ignored]).all()


def test_what_comes_out_cannot_be_written_to_and_what_went_in_is_as_it_was() -> None:
    pixels = picture()
    before = pixels.copy()
    hidden, ignored = Mask([TOP_RIGHT]).hide(pixels)
    assert ignored is not None
    assert not hidden.flags.writeable
    assert not ignored.flags.writeable
    assert (pixels == before).all()


def test_without_regions_it_is_the_very_same_picture() -> None:
    pixels = picture()
    assert Mask([]).hide(pixels) == (pixels, None) or Mask([]).hide(pixels)[0] is pixels
    assert Mask([]).hide(pixels)[1] is None


def test_a_picture_of_another_size_gets_a_mask_of_its_own() -> None:
    mask = Mask([LEFT_HALF])
    first = mask.hide(picture())[1]
    assert mask.hide(picture())[1] is first
    other = mask.hide(picture(112, 28))[1]
    assert other is not None
    assert other.shape == (28, 112)


def test_regions_that_overlap_are_ignored_where_they_do() -> None:
    assert drawn([LEFT_HALF, LEFT_HALF], 40, 40)[:, :20].all()


@given(st.lists(triangles, max_size=3))
def test_as_much_is_hidden_as_the_settings_say(
    regions: list[tuple[tuple[float, float], ...]],
) -> None:
    """Pixels that a region only touches count, so it may be more by its outline, never less."""
    width, height = 160, 120
    hidden = float(drawn(regions, width, height).mean())
    share = ignored_share(tuple(regions))
    outline = len(regions) * 2 * (width + height) * 1.5 / (width * height)
    assert share - 0.02 <= hidden <= share + outline
