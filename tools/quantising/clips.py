"""Clips to calibrate and to compare with: kept on disk meanwhile, evenly chosen of what was read.

A clip of 20 frames of 252 x 252 is 3.8 MB, so hundreds of them are no burden of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from edgewatch.pipeline.engines.model import AskedClip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeptClip:
    """A clip on disk."""

    file: Path
    fps: float
    prompt: str

    def load(self) -> AskedClip:
        """Read it."""
        return AskedClip(np.load(self.file), self.fps, self.prompt)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Clips for both purposes."""

    calibration: tuple[KeptClip, ...]
    comparison: tuple[KeptClip, ...]
    shared: bool
    """There was but one clip: it serves for both."""


class ClipStore:
    """Takes clips of footage of any length and keeps an even choice of them.

    When twice as many as wanted were kept, every other one is let go of and from then on every
    second as many are taken: what is kept lies evenly over all that was read, and the room on disk
    is bounded.
    """

    def __init__(self, folder: Path, wanted: int) -> None:
        """`folder`: exists, and is cleared away by its owner."""
        self.seen = 0
        self._folder = folder
        self._most = 2 * max(1, wanted)
        self._step = 1
        self._kept: list[KeptClip] = []

    def add(self, clip: AskedClip) -> None:
        """Take the next clip, if it is its turn."""
        number = self.seen
        self.seen += 1
        if number % self._step:
            return
        file = self._folder / f"{number:09d}.npy"
        np.save(file, clip.frames)
        self._kept.append(KeptClip(file, clip.fps, clip.prompt))
        if len(self._kept) >= self._most:
            for gone in self._kept[1::2]:
                gone.file.unlink()
            self._kept = self._kept[::2]
            self._step *= 2

    def choose(self, calibration: int, comparison: int) -> Chosen:
        """Choose so many for each purpose, evenly, none for both where there are two or more.

        Where there are fewer than wanted in all, at most half of them are for comparison.
        """
        kept = _evenly(self._kept, calibration + comparison)
        if len(kept) == 1 and calibration and comparison:
            return Chosen(tuple(kept), tuple(kept), shared=True)
        most = comparison if not calibration else min(comparison, max(1, len(kept) // 2))
        compared = _evenly(list(range(len(kept))), most) if comparison else []
        taken = set(compared)
        return Chosen(
            tuple(one for index, one in enumerate(kept) if index not in taken)[:calibration],
            tuple(kept[index] for index in compared),
            shared=False,
        )


def batches(clips: Sequence[KeptClip], size: int) -> Iterator[list[AskedClip]]:
    """Load clips in turn, so many at a time."""
    for start in range(0, len(clips), size):
        yield [one.load() for one in clips[start : start + size]]


def _evenly(items: Sequence[T], count: int) -> list[T]:
    if count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]
