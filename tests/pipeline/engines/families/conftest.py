"""Tiny checkpoints of the families, made once a session when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("torch") is None or find_spec("transformers") is None:
    collect_ignore_glob = ["test_*.py"]  # pip install -e '.[dev]' brings both


@pytest.fixture(scope="session")
def tiny_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a family's tiny checkpoint by its model type; not to be changed."""
    import torch

    from tests.fakes.tiny_families import make_tiny

    torch.set_num_threads(1)
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = make_tiny(name, tmp_path_factory.mktemp("families") / f"tiny-{name}")
        return made[name]

    return get
