"""Tiny checkpoints of all families here, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.fakes.tiny_families_other import OTHER_TINY

if find_spec("torch") is None or find_spec("transformers") is None:
    collect_ignore_glob = ["test_forms.py", "test_running.py", "test_adapters.py"]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a model type, not to be changed."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    made: dict[str, Path] = {}

    def of(name: str) -> Path:
        if name not in made:
            directory = tmp_path_factory.mktemp("families") / name.replace(" ", "-")
            made[name] = OTHER_TINY[name](directory)
        return made[name]

    return of
