"""The committed network is the converted one, and its features mean something."""

from __future__ import annotations

import hashlib
from importlib import resources

import numpy as np
import pytest

from edgewatch.pipeline.engines import builtin
from edgewatch.pipeline.engines.builtin.appearance import CHANNELS, Backbone, look_size
from tests.pipeline.engines.street import STRANGER, STREET, paste, quiet

FILES = resources.files(builtin)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone()


def test_file_is_the_one_its_licence_notice_names() -> None:
    data = FILES.joinpath("backbone.onnx").read_bytes()
    assert hashlib.sha256(data).hexdigest() in FILES.joinpath("BACKBONE-LICENSE.txt").read_text()


def test_file_is_small() -> None:
    assert len(FILES.joinpath("backbone.onnx").read_bytes()) < 9_000_000


@pytest.mark.parametrize(
    ("width", "height", "grid"), [(336, 196, (4, 7)), (252, 252, (5, 5)), (196, 336, (7, 4))]
)
def test_every_size_of_frames_gets_its_grid(
    backbone: Backbone, width: int, height: int, grid: tuple[int, int]
) -> None:
    features = backbone.features(np.zeros((height, width, 3), np.uint8))
    assert features.shape == (CHANNELS, *grid)
    assert look_size(width, height) == (grid[1] * 32, grid[0] * 32)


def test_vectors_have_length_one(backbone: Backbone) -> None:
    look = backbone.look(STREET)
    assert np.linalg.norm(look.whole) == pytest.approx(1.0, abs=1e-4)
    lengths = np.linalg.norm(look.patches.astype(np.float32), axis=2)
    assert lengths == pytest.approx(np.ones_like(lengths), abs=1e-2)


def test_similar_pictures_lie_closer_than_different_ones(backbone: Backbone) -> None:
    street = backbone.look(STREET).whole
    noisy = backbone.look(quiet(3)).whole
    changed = backbone.look(paste(STREET.copy(), STRANGER, 40, 120)).whole
    assert street @ noisy > 0.97
    assert street @ changed < street @ noisy - 0.01


def test_a_change_shows_in_its_own_patches(backbone: Backbone) -> None:
    before = backbone.look(STREET).patches.astype(np.float32)
    after = backbone.look(paste(STREET.copy(), STRANGER, 80, 240)).patches.astype(np.float32)
    gone = 1 - (before * after).sum(axis=2)
    row, column = np.unravel_index(int(gone.argmax()), gone.shape)
    assert row >= 2
    assert column >= 5
