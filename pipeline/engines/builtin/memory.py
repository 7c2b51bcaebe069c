"""A camera's memory of its normal: bounded, slowly adapting, kept in one file a camera."""

from __future__ import annotations

import io
import os
import zipfile
from copy import deepcopy
from pathlib import Path
from typing import IO, Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import structlog

from edgewatch.pipeline.engines.builtin.appearance import CELL_PIXELS, look_size
from edgewatch.pipeline.engines.builtin.fusion import BASELINE_CLIPS, REMEMBERED
from edgewatch.pipeline.engines.builtin.places import Booleans, FamiliarLooks, UsualDirections
from edgewatch.pipeline.types import CameraName

Scalar = TypeVar("Scalar", bound=np.generic)

log = structlog.get_logger(__name__)

VERSION = 1
"""Of the file and of what its figures mean; another version's file is not read."""

_CAPACITY = 512
_MOST_PIXELS = 1 << 24
_REPLACED_EVERY = 4
"""With all places taken, one clip in four replaces the oldest: a memory reaches back over about an
hour and a half of clips every 2.5 s."""


class CameraMemory:
    """What an engine has learnt of one camera at one size of its frames."""

    def __init__(self, width: int, height: int) -> None:
        """`width`, `height`: the size of the camera's frames, pixels."""
        self.size = (width, height)
        across, down = look_size(width, height)
        grid = down // CELL_PIXELS, across // CELL_PIXELS
        self.looks = FamiliarLooks(*grid)
        self.directions = UsualDirections(*grid)
        self.learnt_clips = 0
        self._seen = np.ones(grid, np.bool_)
        """Cells that were judged when it learnt last."""
        self._figures = np.zeros((_CAPACITY, len(REMEMBERED)), np.float32)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of its cells."""
        return self._seen.shape[0], self._seen.shape[1]

    def look_with(self, seen: Booleans | None) -> None:
        """Judge only these cells from now on (None: all).

        What is known of a cell that is now hidden, or no longer, is forgotten, and of the cells
        around it, for the network sees them in their surroundings: what one sees there is another
        thing now, but no news.
        """
        new = np.ones(self.grid, np.bool_) if seen is None else seen
        changed = (new != self._seen).astype(np.uint8)
        if changed.any():
            around = cv2.dilate(changed, np.ones((3, 3), np.uint8))
            self.looks.forget(np.asarray(around, np.bool_))
            self._seen = new

    @property
    def has_baseline(self) -> bool:
        """Whether enough was learnt to know this camera's normal."""
        return self.learnt_clips >= BASELINE_CLIPS

    def past(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the remembered figures by name, each (clips,)."""
        kept = self._figures[: min(self.learnt_clips, _CAPACITY)]
        return {name: kept[:, column] for column, name in enumerate(REMEMBERED)}

    def remember(self, figures: dict[str, float]) -> None:
        """Take in one clip's figures."""
        place: int | None = self.learnt_clips
        if self.learnt_clips >= _CAPACITY:
            turn, rest = divmod(self.learnt_clips, _REPLACED_EVERY)
            place = None if rest else turn % _CAPACITY
        if place is not None:
            self._figures[place] = [figures[name] for name in REMEMBERED]
        self.learnt_clips += 1

    def copy(self) -> CameraMemory:
        """Return the same once more, of which nothing is shared."""
        return deepcopy(self)

    def to_bytes(self) -> bytes:
        """Return it as `save` writes it."""
        file = io.BytesIO()
        self._write(file)
        return file.getvalue()

    def save(self, path: Path) -> None:
        """Write the memory, whole or not at all. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
                self._write(file)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _write(self, file: IO[bytes]) -> None:
        np.savez(
            file,
            version=np.array(VERSION),
            names=np.array(REMEMBERED),
            size=np.array(self.size),
            learnt_clips=np.array(self.learnt_clips),
            figures=self._figures,
            looks=self.looks.looks,
            look_times=self.looks.times,
            look_usual=self.looks.usual,
            directions=self.directions.seen,
            seen=self._seen,
        )

    def _restore(self, stored: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what a file held. Raises ValueError where it does not fit."""
        if tuple(stored["names"].tolist()) != REMEMBERED:
            raise ValueError("it holds other figures")
        self._figures = _like(stored["figures"], self._figures)
        self.looks.looks = _like(stored["looks"], self.looks.looks)
        self.looks.times = _like(stored["look_times"], self.looks.times)
        self.looks.usual = _like(stored["look_usual"], self.looks.usual)
        self.directions.seen = _like(stored["directions"], self.directions.seen)
        if "seen" in stored:  # baselines from before regions could be ignored have none
            self._seen = _like(stored["seen"], self._seen)
        learnt = int(stored["learnt_clips"])
        if learnt < 0:
            raise ValueError("its count is negative")
        self.learnt_clips = learnt


def load_memory(camera: CameraName, path: Path, width: int, height: int) -> CameraMemory:
    """Read a camera's memory; start anew, with a warning, where the file is not usable."""
    fresh = CameraMemory(width, height)
    try:
        with path.open("rb") as raw:
            stored = _stored(raw)
        if tuple(stored["size"].tolist()) != fresh.size:
            log.info("baseline is for another picture size", camera=camera, path=str(path))
            return fresh
        memory = CameraMemory(width, height)
        memory._restore(stored)
    except FileNotFoundError:
        return fresh
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        log.warning(
            "baseline not usable, learning anew", camera=camera, path=str(path), error=str(error)
        )
        return fresh
    return memory


def memory_from(data: bytes) -> CameraMemory:
    """Return the memory that `to_bytes` gave. Raises ValueError if it is not one."""
    try:
        stored = _stored(io.BytesIO(data))
        width, height = (int(side) for side in stored["size"])
        if not 0 < width * height <= _MOST_PIXELS:
            raise ValueError(f"its frames are of {width} x {height}")
        memory = CameraMemory(width, height)
        memory._restore(stored)
    except (OSError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"no memory of the built-in engine: {error}") from error
    return memory


def _stored(raw: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    """Read the arrays of a memory of our version. Raises ValueError among others."""
    with np.load(raw, allow_pickle=False) as file:
        if int(file["version"]) != VERSION:
            raise ValueError(f"version {int(file['version'])} is not {VERSION}")
        return {name: file[name] for name in file.files}


def _like(stored: npt.NDArray[Any], model: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return a stored array if it could stand in for `model`. Raises ValueError."""
    if stored.shape != model.shape or stored.dtype != model.dtype:
        raise ValueError(f"an array is {stored.dtype} {stored.shape}, not {model.dtype}")
    if not np.isfinite(stored).all():
        raise ValueError("it holds figures that are no numbers")
    return np.array(stored, model.dtype)
