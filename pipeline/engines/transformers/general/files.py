"""A checkpoint's files beside its weights, and calm errors for those that do not do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import EngineFailed

_AGAIN = "download the checkpoint again, whole (hf download NAME --local-dir DIRECTORY)"
_MOST_CHARACTERS = 300
"""Of a library's error: the first line says it, the rest is advice about its servers."""

_CURES = {
    "timm": "pip install timm torchvision",
    "torchvision": "pip install torchvision, of the build that goes with this torch",
    "sentencepiece": "pip install sentencepiece",
    "PIL": "pip install pillow",
    "jinja2": "pip install jinja2",
}
"""Packages that single families need, by what an error calls them."""


@contextmanager
def calmly(directory: Path, part: str) -> Iterator[None]:
    """Turn what a library raises over a part of a checkpoint into EngineFailed with a cure.

    The library raises almost anything over such files (OSError, KeyError, its own), so all
    exceptions are meant.
    """
    try:
        yield
    except (EngineFailed, MemoryError):
        raise
    except Exception as error:
        raise unusable(directory, part, error) from error


def unusable(directory: Path, part: str, error: Exception) -> EngineFailed:
    """Return the error for a part that a library raised over; its first line says what it is."""
    text = str(error).strip()
    first = (text.splitlines() or [""])[0][:_MOST_CHARACTERS]
    cure = next((cure for package, cure in _CURES.items() if package in text), _AGAIN)
    return broken(directory, part, f"{type(error).__name__}: {first}", cure)


def broken(directory: Path, part: str, why: str, cure: str = _AGAIN) -> EngineFailed:
    """Return the error for a part of a checkpoint that does not do."""
    return EngineFailed(f"the {part} of {directory} cannot be used ({why})", cure)


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no such file. Raises EngineFailed if it is broken."""
    if not file.is_file():
        return {}
    try:
        table = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
    if not isinstance(table, dict):
        raise EngineFailed(f"{file} holds no JSON object", "download it again")
    return table
