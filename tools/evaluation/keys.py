"""Keys under which judgements are kept: what, if it changed, would change an answer."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import edgewatch
from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.tools.evaluation.dataset import LabelledRecording

_AFTER_THE_ANSWER = {"threshold", "explain_tokens", "token_file", "request_seconds"}
"""Keys of [engine] that change no score."""
_DEEPEST = 2
"""Folders of a checkpoint that are looked into."""


def recording_key(one: LabelledRecording, plan: CameraPlan) -> str:
    """Name a recording and how its clips are cut. Raises OSError if the file is gone."""
    cut = _digest({**plan.clips.model_dump(mode="json"), "ignore": repr(plan.ignore)})
    return f"{one.name} {one.fingerprint} {cut}"


def engine_key(settings: Settings, plan: CameraPlan) -> str:
    """Name an engine, what it is asked, and the files it is made of (size and time of change)."""
    engine = settings.engine.model_dump(mode="json", exclude=_AFTER_THE_ANSWER)
    values = settings.engine.model_dump(exclude=_AFTER_THE_ANSWER).values()
    files = [value for value in values if isinstance(value, Path)]
    return _digest(
        {
            "engine": engine,
            "prompt": plan.prompt,
            "version": edgewatch.__version__,
            "files": [list(_files(path)) for path in files],
            "calibration": list(_files(settings.service.data_dir / "edgewatch-calibration.json")),
        }
    )


def _files(path: Path, depth: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield name, size and time of change of a file, or of the files in a folder."""
    try:
        if path.is_dir():
            if depth <= _DEEPEST:
                for one in sorted(path.iterdir()):
                    yield from _files(one, depth + 1)
        else:
            about = os.stat(path)
            yield path.name, about.st_size, about.st_mtime_ns
    except OSError:
        yield path.name, -1, -1  # starting the engine will say what is wrong with it


def _digest(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
