"""A spool: decoded clips on disk, within a bound, for engines that judge one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.types import Clip, Frame
from edgewatch.tools.evaluation.judgement import Seen
from edgewatch.tools.evaluation.panel import Case
from edgewatch.tools.evaluation.reel import Reel

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(slots=True)
class Spooled:
    """One recording's clips: pixels in a file, each frame once, the rest here."""

    case: Case
    path: Path
    seen: Seen | None = None
    size_bytes: int = 0
    _clips: list[Clip] = field(default_factory=list)
    """Their frames without pixels."""
    _places: dict[int, tuple[int, tuple[int, ...]]] = field(default_factory=dict)
    """By frame index: where in the file, and the picture's shape."""

    async def fill(self, plan: CameraPlan, most_bytes: int) -> bool:
        """Decode the recording; False, and nothing is kept, if it needs more than `most_bytes`.

        Raises ConfigError if the disk does not take it.
        """
        reel = Reel(self.case.recording, plan)
        reel.start()
        try:
            with self.path.open("wb") as file:
                async for clip in reel.clips():
                    new = [one for one in clip.frames if one.index not in self._places]
                    if self.size_bytes + sum(one.pixels.nbytes for one in new) > most_bytes:
                        return False
                    for frame in new:
                        self._places[frame.index] = self.size_bytes, frame.pixels.shape
                        self.size_bytes += frame.pixels.nbytes
                        await asyncio.to_thread(file.write, frame.pixels.data)
                    bare = tuple(replace(one, pixels=_NO_PIXELS) for one in clip.frames)
                    self._clips.append(replace(clip, frames=bare))
            self.seen = reel.seen()
        except OSError as error:
            raise ConfigError(
                f"{self.path.parent}: cannot be written: {error.strerror or error}; name another "
                "folder with --spool, or lower --spool-gib"
            ) from error
        finally:
            await reel.close()
            if self.seen is None:
                self.remove()
        return True

    async def clips(self) -> AsyncIterator[Clip]:
        """Yield the clips again, their pixels read from the file."""
        if not self.size_bytes:
            return
        pixels = np.memmap(self.path, np.uint8, mode="r")
        frames: dict[int, Frame] = {}
        for clip in self._clips:
            kept = {one.index: one for one in clip.frames}
            frames = {
                index: frames.get(index) or self._whole(one, pixels) for index, one in kept.items()
            }
            yield replace(clip, frames=tuple(frames.values()))

    def remove(self) -> None:
        """Take the file away."""
        self.path.unlink(missing_ok=True)

    def _whole(self, frame: Frame, pixels: np.memmap[tuple[int], np.dtype[np.uint8]]) -> Frame:
        begin, shape = self._places[frame.index]
        size = int(np.prod(shape))
        picture = np.array(pixels[begin : begin + size]).reshape(shape)
        picture.flags.writeable = False
        return replace(frame, pixels=picture)


@dataclass(slots=True)
class Spool:
    """Recordings in a folder, never more than `most_bytes`."""

    folder: Path
    most_bytes: int
    _kept: list[Spooled] = field(default_factory=list)
    _number: int = 0

    @property
    def kept(self) -> tuple[Spooled, ...]:
        """What can be judged now, in order."""
        return tuple(self._kept)

    @property
    def is_half_full(self) -> bool:
        """Whether another recording is likely to find no room, and to be decoded in vain."""
        return sum(one.size_bytes for one in self._kept) * 2 >= self.most_bytes

    async def take(self, case: Case, plan: CameraPlan) -> bool:
        """Decode one recording more; False if there is no room beside the others.

        Raises ConfigError.
        """
        self._number += 1
        spooled = Spooled(case, self.folder / f"{self._number}.frames")
        room = self.most_bytes - sum(one.size_bytes for one in self._kept)
        if not await spooled.fill(plan, room):
            return False
        self._kept.append(spooled)
        return True

    def clear(self) -> None:
        """Make room for the next."""
        while self._kept:
            self._kept.pop().remove()
