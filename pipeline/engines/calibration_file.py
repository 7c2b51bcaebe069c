"""A calibration's file: where it lies, read and written whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

from edgewatch.pipeline.engines.calibration import Calibration, calibration_from
from edgewatch.pipeline.errors import EngineFailed

FILE_NAME = "edgewatch-calibration.json"
"""Beside a model's weights, or in the data folder for engines without a folder of their own."""

MOST_BYTES = 4_000_000


def default_file(model: Path | None, data_dir: Path) -> Path:
    """Return where an engine's calibration is looked for: with its model, else with the data."""
    return (model or data_dir) / FILE_NAME


def kept_file(file: Path, calibration_hash: str) -> Path:
    """Return where an earlier calibration is kept when another takes its place."""
    return file.with_name(f"{file.stem}.{calibration_hash}{file.suffix}")


def read_calibration(file: Path) -> Calibration:
    """Read a file. Raises EngineFailed, naming it and the cure."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise EngineFailed(f"{file} is no calibration: it is larger than any", _CURE)
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise EngineFailed(f"{file} cannot be read: {reason}", _CURE) from error
    return calibration_from(text, str(file))


def write_calibration(calibration: Calibration, file: Path) -> Path | None:
    """Write a file, whole or not at all; return where the one before is kept, None if none was.

    It is kept so that what was judged under it can be judged so again (`edgewatch verify`).
    Raises OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = _keep(file, calibration.hash)
    partial = file.with_name(f".{file.name}.partial")
    text = json.dumps(calibration.document(), indent=2, allow_nan=False) + "\n"
    try:
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    return kept


def _keep(file: Path, new_hash: str) -> Path | None:
    try:
        old = read_calibration(file)
    except EngineFailed:
        return None
    if old.method == "none" or old.hash == new_hash:
        return None
    kept = kept_file(file, old.hash)
    os.replace(file, kept)
    return kept


_CURE = 'fit one with edgewatch calibrate, or set [engine] calibration = "none"'
