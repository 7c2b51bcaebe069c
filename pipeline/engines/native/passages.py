"""Clips as passages: how they begin alike, and what is left to read of one. Pure."""

from __future__ import annotations

import zlib
from itertools import takewhile
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.packing import Group, Packed, Passage
from edgewatch.pipeline.engines.qwen.pixels import grid_of

if TYPE_CHECKING:
    from edgewatch.pipeline.engines.model import AskedClip
    from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules
    from edgewatch.pipeline.engines.qwen.script import Script

Look = tuple[int, tuple[int, ...], float]
"""What a clip looks like, whatever is asked about it."""


def look_of(clip: AskedClip) -> Look:
    """Return what tells a clip's pixels and rate from all others': about 1 ms for 4 MB."""
    return zlib.crc32(clip.frames.data), clip.frames.shape, clip.fps


def passage_of(clip: AskedClip, script: Script, rules: PixelRules, *, known: int = 0) -> Passage:
    """Return what is to be read of a clip; `known`: see `Passage`."""
    grid = grid_of(clip.frames.shape, rules)
    return Passage(script, grid, rules.temporal_patch / clip.fps, known=known)


def alike(one: Passage, other: Passage) -> int:
    """Return with how many tokens two passages of one clip begin alike, its video included."""
    before = _alike(one.script.before, other.script.before)
    if one.script.before != other.script.before:
        return before
    return before + one.grid.tokens + _alike(one.script.after, other.script.after)


def behind(packed: Packed, known: int) -> Packed:
    """Return a batch of one passage without its first tokens, whose keys and values are known.

    Raises ValueError if there is not one passage, of which nothing is known, or nothing is left.
    """
    if len(packed.groups) != 1 or packed.groups[0].count != 1 or packed.groups[0].known:
        raise ValueError("one passage that is read as a whole is expected")
    length = packed.groups[0].length - known
    if known < 0 or length < 1:
        raise ValueError(f"{known} tokens of {packed.groups[0].length} cannot be known")
    return Packed(
        order=packed.order,
        tokens=packed.tokens[known:],
        video_rows=packed.video_rows[packed.video_rows >= known] - known,
        places=packed.places[:, known:],
        ends=packed.ends - known,
        next_places=packed.next_places,
        slots=packed.slots[known:],
        groups=(Group(0, 1, known, length, 0, 0),),
    )


def _alike(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
