"""A tiny checkpoint for all tests of engines that load one, and torch on one thread."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fakes.tiny_qwen import make_tiny_qwen

if find_spec("torch") is None or find_spec("transformers") is None:
    collect_ignore_glob = [
        "transformers/*",
        "qwen/*",
        "native/*",
        "contract/*",
    ]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint, not to be changed."""
    import torch

    torch.set_num_threads(1)
    return make_tiny_qwen(tmp_path_factory.mktemp("models") / "tiny-qwen")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny-qwen"))
