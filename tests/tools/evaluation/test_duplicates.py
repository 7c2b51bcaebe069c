"""Near-duplicates: the same footage in other clothes is named, another one is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgewatch.tools.evaluation.duplicates import SIDE, near_duplicates, similarity
from edgewatch.tools.evaluation.judgement import Signature
from edgewatch.tools.evaluation.reel import small_picture

Pictures = npt.NDArray[np.float64]


def scene(seed: int, pictures: int = 24, *, background: int | None = None) -> Pictures:
    """Draw blobs that wander over a background, as grey pictures of 64 x 64."""
    draw = np.random.default_rng(seed)
    still = np.random.default_rng(seed if background is None else background)
    ground = np.kron(still.uniform(60, 160, (8, 8)), np.ones((8, 8)))
    rows, columns = np.mgrid[0:64, 0:64]
    place, speed = draw.uniform(0, 64, (3, 2)), draw.uniform(-5, 5, (3, 2))
    drawn = []
    for number in range(pictures):
        picture = ground.copy()
        for row, column in (place + number * speed) % 64:
            picture[(rows - row) ** 2 + (columns - column) ** 2 < 150] = 235
        drawn.append(picture)
    return np.stack(drawn)


def signature(pictures: Pictures) -> Signature:
    colour = np.repeat(np.clip(pictures, 0, 255).astype(np.uint8)[..., None], 3, axis=3)
    return Signature(np.stack([small_picture(one) for one in colour]))


def test_another_encoding_brightness_and_cut_of_the_same_footage_is_named() -> None:
    original = scene(1)
    noise = np.random.default_rng(9).normal(0, 6, original.shape)
    found = near_duplicates(
        {
            "original": signature(original),
            "dark": signature(0.6 * original + 10 + noise),
            "part": signature(original[7:17]),
            "other": signature(scene(2)),
        }
    )
    assert {(one.first, one.second) for one in found} == {
        ("original", "dark"),
        ("original", "part"),
        ("dark", "part"),
    }
    assert all(0.9 <= one.similarity <= 1.0 for one in found)


def test_one_camera_at_two_times_is_two_witnesses() -> None:
    first, second = scene(1, background=5), scene(2, background=5)
    assert similarity(signature(first), signature(second)) < 0.7
    assert near_duplicates({"a": signature(first), "b": signature(second)}) == ()


def test_where_nothing_moves_the_picture_itself_counts() -> None:
    still = np.repeat(scene(3)[:1], 8, axis=0)
    other = np.repeat(scene(4)[:1], 8, axis=0)
    assert similarity(signature(still), signature(still + 20)) > 0.95
    assert similarity(signature(still), signature(other)) < 0.7


def test_too_short_or_blank_a_recording_is_like_nothing() -> None:
    short = signature(scene(1, pictures=3))
    blank = Signature(np.zeros((8, SIDE, SIDE), np.uint8))
    nothing = Signature(np.empty((0, SIDE, SIDE), np.uint8))
    for one in (short, blank, nothing):
        assert similarity(one, one) == 0.0
    assert near_duplicates({"a": short, "b": short, "c": blank, "d": blank, "e": nothing}) == ()
