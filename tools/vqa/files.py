"""Files of a data set below a folder: found by name, read with errors that name them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError

_DEEPEST = 5
"""Folders below the named one that are looked into."""


def files_below(folder: Path, wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield files whose name is wanted, folder by folder in order; links to folders count."""
    waiting = [(folder, 0)]
    while waiting:
        current, depth = waiting.pop(0)
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError as error:
            raise ConfigError(f"{current}: cannot be read: {error.strerror or error}") from error
        for entry in entries:
            if entry.is_dir():
                if depth < _DEEPEST and not entry.name.startswith("."):
                    waiting.append((Path(entry.path), depth + 1))
            elif wanted(entry.name):
                yield Path(entry.path)


def first_below(folder: Path, wanted: Callable[[str], bool]) -> Path | None:
    """Return the first such file; None if there is none."""
    return next(files_below(folder, wanted), None)


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object. Raises ConfigError."""
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read ({error})") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: holds no JSON object")
    return document


def name_below(file: Path, folder: Path) -> str:
    """Return a file's path within a data set."""
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)
