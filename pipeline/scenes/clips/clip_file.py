"""Clip files: footage written as a video with its truth, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.scenes.clips.footage import Footage, footage_of
from edgewatch.pipeline.scenes.clips.recipe import Recipe
from edgewatch.pipeline.scenes.clips.sidecar import (
    DRAWN,
    PHOTOGRAPH,
    SUFFIX,
    ClipRecord,
    Origin,
    read_sidecar,
    versions,
)
from edgewatch.pipeline.scenes.clips.truth_file import line_of
from edgewatch.pipeline.scenes.clips.video import encode
from edgewatch.pipeline.scenes.still_file import pixels_sha256, png_bytes
from edgewatch.pipeline.types import Pixels


@dataclass(frozen=True, slots=True)
class WrittenClip:
    """One clip on disk."""

    video: Path
    truth: Path
    sidecar: Path
    record: ClipRecord
    known: bool = False
    """It was there already, and nothing was drawn."""


def clip_paths(folder: Path, clip_id: str) -> tuple[Path, Path, Path]:
    """Video, truth and sidecar of a clip."""
    return (
        folder / f"{clip_id}.mp4",
        folder / f"{clip_id}.truth.jsonl",
        folder / f"{clip_id}{SUFFIX}",
    )


def write_clip(
    recipe: Recipe,
    folder: Path,
    *,
    still: Pixels | None = None,
    origin: Origin = DRAWN,
    on_frame: Callable[[], None] = lambda: None,
) -> WrittenClip:
    """Draw a recipe into `folder` (made if need be), or find that it is there.

    The sidecar is written last: without it there is no clip, and the next call makes it anew.
    `still`: uint8 RGB, the one of the recipe; kept beside the clip as PNG, so that the clip can be
    verified. `on_frame` is called after each picture. Raises SceneRefused, SceneInvalid, OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    video, truth, sidecar = clip_paths(folder, recipe.clip_id)
    if (known := _known(video, truth, sidecar)) is not None:
        for _ in range(recipe.frame_count):
            on_frame()
        return known
    footage = footage_of(recipe, still)
    if still is not None:
        _keep_still(folder, still, painted=origin.backend != PHOTOGRAPH)
    partial = {path: path.with_name(f".{path.name}.partial") for path in (video, truth, sidecar)}
    try:
        drawing = _Drawing(footage, partial[truth], on_frame)
        count = encode(partial[video], drawing.pictures(), recipe.size, recipe.fps)
        record = drawing.record(_sha256(partial[video]), count, origin)
        text = json.dumps(record.document(), indent=2, allow_nan=False) + "\n"
        partial[sidecar].write_text(text, encoding="utf-8")
        for path in (truth, video, sidecar):
            _settle(partial[path], path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    return WrittenClip(video, truth, sidecar, record)


class _Drawing:
    """Draws a footage once, and notes on the way what the sidecar and the truth file say."""

    def __init__(self, footage: Footage, truth: Path, on_frame: Callable[[], None]) -> None:
        self._footage, self._truth, self._on_frame = footage, truth, on_frame
        self._pixels, self._lines = hashlib.sha256(), hashlib.sha256()
        self._anomalous: list[int] = []

    def pictures(self) -> Iterator[Pixels]:
        with self._truth.open("w", encoding="utf-8") as file:
            for index in range(self._footage.frame_count):
                pixels, truth = self._footage.frame(index), self._footage.truth(index)
                line = line_of(index, truth, self._footage.camera(index))
                self._pixels.update(np.ascontiguousarray(pixels).data)
                self._lines.update(line.encode())
                file.write(line)
                if truth.anomalous:
                    self._anomalous.append(index)
                yield pixels
                self._on_frame()

    def record(self, sha256: str, frames: int, origin: Origin) -> ClipRecord:
        anomalous = self._anomalous
        return ClipRecord(
            recipe=self._footage.recipe,
            sha256=sha256,
            pixels_sha256=self._pixels.hexdigest(),
            truth_sha256=self._lines.hexdigest(),
            frames=frames,
            t0_frame=anomalous[0] if anomalous else None,
            t_end_frame=anomalous[-1] + 1 if anomalous else None,
            origin=origin,
            made_with=versions(),
        )


def _known(video: Path, truth: Path, sidecar: Path) -> WrittenClip | None:
    """The clip that is there, None if it is not there whole; its content is not examined."""
    if not (video.exists() and truth.exists() and sidecar.exists()):
        return None
    with suppress(SceneInvalid):
        return WrittenClip(video, truth, sidecar, read_sidecar(sidecar), known=True)
    return None


def still_path(folder: Path, sha256: str) -> Path:
    """Where the still of clips in a folder lies."""
    return folder / f"still-{sha256[:20]}.png"


def read_still(path: Path) -> Pixels:
    """Read a PNG or JPEG as uint8 RGB. Raises SceneInvalid if it is no picture, OSError."""
    data = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        raise SceneInvalid(f"{path}: is no picture that can be read; give a PNG or a JPEG")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def _keep_still(folder: Path, still: Pixels, *, painted: bool) -> None:
    """Write a still as PNG; a painted one keeps the mark that says so."""
    path = still_path(folder, pixels_sha256(still))
    if path.exists():
        return
    data = png_bytes(still) if painted else png_bytes(still, {})
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        _settle(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _settle(partial: Path, path: Path) -> None:
    """Give what was written its name, once it is on the disk."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
