"""Places of tokens in time, height and width (mRoPE), by the rule the models were trained with.

Text counts up in all three. A video's tokens take the next free place plus their pair of frames'
time, row and column; the text after it goes on behind the largest place of all three. Time counts
`floor(pair * seconds_per_pair * tokens_per_second)`.

Source: `get_rope_index` as published with Qwen2.5-VL, whose text still says "interval =
tokens_per_second * temporal_patch_size / fps". The library's versions count otherwise, each in its
way: 4.57 and 5.17 cut a pair's seconds to whole ones, which puts every pair of a 4 fps clip at the
same time; 5.17 and 5.23 go on after the video behind its rows and columns alone. The weights were
trained with the rule above, so it is computed here and handed over. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]
"""Shape (3, tokens): time, row, column."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A clip in tokens."""

    pairs: int
    rows: int
    columns: int

    @property
    def tokens(self) -> int:
        """How many the language model reads."""
        return self.pairs * self.rows * self.columns


def places(
    before: int, grid: Grid, after: int, *, seconds_per_pair: float, tokens_per_second: float
) -> Places:
    """Return every token's place: `before` of text, the video's, `after` of text."""
    # In single precision and this order, as the model's own code multiplies.
    pairs = np.arange(grid.pairs, dtype=np.float32)
    times = pairs * np.float32(seconds_per_pair) * np.float32(tokens_per_second)
    video = np.stack(
        np.meshgrid(
            times.astype(np.int64), np.arange(grid.rows), np.arange(grid.columns), indexing="ij"
        )
    ).reshape(3, -1)
    video += before
    follows = _text(int(video.max()) + 1 if grid.tokens else before, after)
    return np.concatenate([_text(0, before), video, follows], axis=1)


def _text(first: int, length: int) -> Places:
    return np.tile(np.arange(first, first + length, dtype=np.int64), (3, 1))
