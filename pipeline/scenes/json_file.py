"""A JSON document on disk that is there whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneRefused

LONGEST_BYTES = 64 * 1024 * 1024


def read_json(path: Path) -> dict[str, Any]:
    """Read an object; {} if there is no such file. Raises SceneRefused if it is damaged."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(LONGEST_BYTES))
    except FileNotFoundError:
        return {}
    except (ValueError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise SceneRefused(f"{path} is damaged (no JSON object). Restore it, or remove it")
    return document


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Write an object in place of what is there; a crash leaves the old one. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with new.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
