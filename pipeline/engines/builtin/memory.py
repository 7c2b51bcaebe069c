"""A camera's memory of its normal: bounded, slowly adapting, kept in one file a camera."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import structlog

from edgewatch.pipeline.engines.builtin.appearance import CELL_PIXELS, look_size
from edgewatch.pipeline.engines.builtin.fusion import BASELINE_CLIPS, REMEMBERED
from edgewatch.pipeline.engines.builtin.places import FamiliarLooks, UsualDirections
from edgewatch.pipeline.types import CameraName

Scalar = TypeVar("Scalar", bound=np.generic)

log = structlog.get_logger(__name__)

VERSION = 1
"""Of the file and of what its figures mean; another version's file is not read."""

_CAPACITY = 512
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
        self._figures = np.zeros((_CAPACITY, len(REMEMBERED)), np.float32)

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

    def save(self, path: Path) -> None:
        """Write the memory, whole or not at all. Raises OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with partial.open("wb") as file:
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
                )
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _restore(self, stored: dict[str, npt.NDArray[Any]]) -> None:
        """Take over what a file held. Raises ValueError where it does not fit."""
        if tuple(stored["names"].tolist()) != REMEMBERED:
            raise ValueError("it holds other figures")
        self._figures = _like(stored["figures"], self._figures)
        self.looks.looks = _like(stored["looks"], self.looks.looks)
        self.looks.times = _like(stored["look_times"], self.looks.times)
        self.looks.usual = _like(stored["look_usual"], self.looks.usual)
        self.directions.seen = _like(stored["directions"], self.directions.seen)
        learnt = int(stored["learnt_clips"])
        if learnt < 0:
            raise ValueError("its count is negative")
        self.learnt_clips = learnt


def load_memory(camera: CameraName, path: Path, width: int, height: int) -> CameraMemory:
    """Read a camera's memory; start anew, with a warning, where the file is not usable."""
    fresh = CameraMemory(width, height)
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if int(file["version"]) != VERSION:
                raise ValueError(f"version {int(file['version'])} is not {VERSION}")
            stored = {name: file[name] for name in file.files}
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


def _like(stored: npt.NDArray[Any], model: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return a stored array if it could stand in for `model`. Raises ValueError."""
    if stored.shape != model.shape or stored.dtype != model.dtype:
        raise ValueError(f"an array is {stored.dtype} {stored.shape}, not {model.dtype}")
    if not np.isfinite(stored).all():
        raise ValueError("it holds figures that are no numbers")
    return np.array(stored, model.dtype)
