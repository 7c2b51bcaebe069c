"""Clips' pixels to the features that the language model reads; what was seen is not seen again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.sights import Rows, Sight, Sights, fingerprint, upload_rows
from edgewatch.pipeline.engines.native.staging import staged

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.qwen.pixels import Frames

Name = Sight | int
"""What tells pairs of frames of one call apart; a number where one is not to be kept."""


class Tower(Protocol):
    """What sees: `vision.Vision`."""

    def see(self, pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tokens of pairs, (pairs, tokens, width), for each (pairs, 2, h, w, 3)."""


class Pair(NamedTuple):
    """Two frames of a clip."""

    name: Name
    pixels: Frames
    """(2, height, width, 3)."""


class Seer:
    """Shows pairs of frames to the tower, those of one size together. One thread only."""

    def __init__(self, tower: Tower, device: torch.device, sights: Sights | None = None) -> None:
        """`sights`: where what was seen is kept; None keeps nothing."""
        self._tower = tower
        self._device = device
        self._sights = sights
        self._hits = self._misses = self._foreseen = 0

    @property
    def figures(self) -> EngineFigures:
        """What was found, seen and given up so far; any thread may ask."""
        sights = self._sights
        return EngineFigures(
            sight_hits=self._hits,
            sight_misses=self._misses,
            sight_foreseen=self._foreseen,
            sight_evicted=sights.evicted if sights else 0,
            sight_bytes=sights.held_bytes if sights else 0,
        )

    def features(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """Return all clips' tokens, clip after clip: (tokens, width of the language model).

        A pair of frames that was seen before, or is in several of the clips, is not seen again.
        """
        pairs = self._pairs(clips)
        held = self._held(pairs)
        unseen = {pair.name: pair.pixels for pair in pairs if pair.name not in held}
        rows, seen = self._see(unseen)
        names = [pair.name for pair in pairs]
        if seen is not None and list(rows) == names:
            features = seen
        else:
            kept = None if self._sights is None else self._sights.table
            features = gathered(names, [(seen, rows), (kept, held)])
        # What is kept now may take the place of what was held: it is gathered already.
        self._keep(rows, seen)
        missed = sum(isinstance(name, Sight) for name in unseen)
        self._misses += missed
        self._hits += sum(isinstance(name, Sight) for name in names) - missed
        return features

    def foresee(self, clips: Sequence[AskedClip]) -> None:
        """See pairs of frames for clips to come, as far as they can be kept and are not yet."""
        unseen: dict[Name, Frames] = {
            name: pixels
            for name, pixels in self._pairs(clips)
            if self._sights is not None and isinstance(name, Sight) and name not in self._sights
        }
        self._keep(*self._see(unseen))
        self._foreseen += len(unseen)

    def forget(self, camera: str) -> None:
        """Free what is kept of a camera."""
        if self._sights is not None:
            self._sights.forget(camera)

    def _pairs(self, clips: Sequence[AskedClip]) -> list[Pair]:
        pairs: list[Pair] = []
        for clip in clips:
            named = self._sights is not None and clip.camera and clip.times
            for first in range(0, len(clip.frames), 2):
                name = sight_of(clip, first) if named else len(pairs)
                pairs.append(Pair(name, clip.frames[first : first + 2]))
        return pairs

    def _held(self, pairs: Sequence[Pair]) -> dict[Name, Rows]:
        """Return where the pairs stand that were seen before."""
        held: dict[Name, Rows] = {}
        for name, _ in pairs:
            if self._sights is not None and isinstance(name, Sight):
                rows = self._sights.find(name)
                if rows is not None:
                    held[name] = rows
        return held

    def _see(self, unseen: Mapping[Name, Frames]) -> tuple[dict[Name, Rows], torch.Tensor | None]:
        """Return all tokens of pairs, (tokens, width), and in which rows each one's are."""
        import torch

        by_size: dict[tuple[int, ...], list[Name]] = {}
        for name, pixels in unseen.items():
            by_size.setdefault(pixels.shape, []).append(name)
        if not by_size:
            return {}, None
        seen = self._tower.see(
            [
                upload_pairs([unseen[name] for name in same], self._device)
                for same in by_size.values()
            ]
        )
        names = [name for same in by_size.values() for name in same]
        counts = [one.shape[1] for one in seen for _ in range(len(one))]
        starts = [0, *accumulate(counts)]
        rows = {
            name: np.arange(start, end)
            for name, (start, end) in zip(names, pairwise(starts), strict=True)
        }
        flat = [one.flatten(0, 1) for one in seen]
        return rows, flat[0] if len(flat) == 1 else torch.cat(flat)

    def _keep(self, rows: Mapping[Name, Rows], seen: torch.Tensor | None) -> None:
        if self._sights is not None and seen is not None:
            named = {name: one for name, one in rows.items() if isinstance(name, Sight)}
            self._sights.keep(named, seen)


def gathered(
    names: Sequence[Name], sources: Sequence[tuple[torch.Tensor | None, Mapping[Name, Rows]]]
) -> torch.Tensor:
    """Return the tokens of pairs in order: (tokens, width).

    `sources`: tables (rows, width), and where in each a pair's tokens stand; each pair in one.
    """
    import torch

    where = {name: one for _, rows in sources for name, one in rows.items()}
    ends = np.cumsum([0, *(len(where[name]) for name in names)])
    out: torch.Tensor | None = None
    for table, rows in sources:
        if table is None or not rows:
            continue
        mine = [place for place, name in enumerate(names) if name in rows]
        taken, put = upload_rows(
            [
                np.concatenate([rows[names[place]] for place in mine]),
                np.concatenate([np.arange(ends[place], ends[place + 1]) for place in mine]),
            ],
            table.device,
        )
        if out is None:
            shape = int(ends[-1]), table.shape[1]
            out = torch.empty(shape, dtype=table.dtype, device=table.device)
        out.index_copy_(0, put, table.index_select(0, taken))
    assert out is not None
    return out


def sight_of(clip: AskedClip, first: int) -> Sight:
    """Name the pair of a clip that begins with a frame."""
    _, height, width, _ = clip.frames.shape
    pixels = clip.frames[first : first + 2]
    times = clip.times[first], clip.times[first + 1]
    return Sight(clip.camera, times, (height, width), fingerprint(pixels))


def upload_pairs(frames: Sequence[Frames], device: torch.device) -> torch.Tensor:
    """Return frames of one size as pairs on the device: uint8 (pairs, 2, height, width, 3).

    `frames`: each (an even number, height, width, 3).
    """
    pixels = staged(frames, device)
    return pixels.view(len(pixels) // 2, 2, *pixels.shape[1:])
