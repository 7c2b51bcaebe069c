"""What the language model reads of a batch: one row a clip, filled up at the right. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.qwen.positions import Grid, places
from edgewatch.pipeline.engines.qwen.script import Script

_FILLING = 0
"""Any token does: under a causal mask nothing that counts looks to its right."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A batch of prompts around clips of one grid.

    Rows end where their text ends; what fills them up stands right of it, so a causal mask alone
    keeps it out, and no mask of its own slows the attention down.
    """

    tokens: npt.NDArray[np.int64]
    """Shape (clips, length)."""
    places: npt.NDArray[np.int64]
    """Shape (3, clips, length)."""
    video_starts: tuple[int, ...]
    """Where each row's video begins."""
    ends: npt.NDArray[np.int64]
    """Shape (clips,): index of each row's last token of text, after which the answer comes."""
    grid: Grid


@dataclass(frozen=True, slots=True)
class Row:
    """One clip's part of a batch."""

    script: Script
    fps: float


def lay_out(
    rows: Sequence[Row],
    grid: Grid,
    *,
    video_token: int,
    temporal_patch: int,
    tokens_per_second: float,
) -> Rows:
    """Put prompts and clips of one grid into rows of equal length."""
    lengths = [len(row.script.before) + grid.tokens + len(row.script.after) for row in rows]
    tokens = np.full((len(rows), max(lengths)), _FILLING, np.int64)
    where = np.zeros((3, len(rows), max(lengths)), np.int64)
    for index, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        script = row.script
        tokens[index, :length] = (*script.before, *[video_token] * grid.tokens, *script.after)
        where[:, index, :length] = places(
            len(script.before),
            grid,
            len(script.after),
            seconds_per_pair=temporal_patch / row.fps,
            tokens_per_second=tokens_per_second,
        )
    return Rows(
        tokens=tokens,
        places=where,
        video_starts=tuple(len(row.script.before) for row in rows),
        ends=np.array(lengths, np.int64) - 1,
        grid=grid,
    )
