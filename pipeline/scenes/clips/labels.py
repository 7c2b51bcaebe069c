"""Labels of a folder of clips: INDEX.csv, as `edgewatch evaluate` reads it."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Final

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.clips.sidecar import SUFFIX, ClipRecord, read_sidecar

INDEX: Final = "INDEX.csv"
COLUMNS: Final = (
    "file",
    "camera",
    "label",
    "anomaly_start_s",
    "anomaly_end_s",
    "kind",
    "twin_of",
    "scene",
    "split",
    "twin_file",
)
_CAMERAS: Final = {"driving": "drive", "fixed": "fixed"}


def records_in(folder: Path) -> list[ClipRecord]:
    """Read the sidecars of all clips in a folder, in order of their ids. Raises as `read_sidecar`.

    A sidecar whose video is gone is passed over.
    """
    found = sorted(folder.glob(f"*{SUFFIX}"))
    return [
        read_sidecar(path)
        for path in found
        if path.with_name(path.name.removesuffix(SUFFIX) + ".mp4").exists()
    ]


def check_index(folder: Path) -> None:
    """See that INDEX.csv may be written. Raises SceneRefused if somebody else's is there."""
    path = folder / INDEX
    if path.exists() and not _is_ours(path):
        raise SceneRefused(f"{path}: was not written by scenes clip; choose another folder")


def write_index(folder: Path) -> Path:
    """Write INDEX.csv anew from the sidecars in a folder. Raises SceneInvalid, OSError.

    A label file that was not written here is not touched: raises SceneRefused.
    """
    check_index(folder)
    path = folder / INDEX
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(record) for record in records_in(folder))
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _is_ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(4096).strip() == ",".join(COLUMNS)


def _row(record: ClipRecord) -> dict[str, str]:
    recipe = record.recipe
    counterpart = recipe.counterpart()
    return {
        "file": f"{record.clip_id}.mp4",
        "camera": _CAMERAS[recipe.camera],
        "label": record.label,
        "anomaly_start_s": _seconds(record.t0_frame, recipe.fps),
        "anomaly_end_s": _seconds(record.t_end_frame, recipe.fps),
        "kind": record.kind or "",
        "twin_of": (recipe.incident or "") if recipe.twin else "",
        "scene": recipe.scene or "still",
        "split": recipe.split,
        "twin_file": f"{counterpart.clip_id}.mp4" if counterpart else "",
    }


def _seconds(frame: int | None, fps: float) -> str:
    return "" if frame is None else f"{frame / fps:.3f}"
