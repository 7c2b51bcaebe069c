"""The order in which the vision tower takes a pair of frames' patches, and their windows. Pure.

A pair's patches stand window by window, the largest windows first; within a window token by token,
row by row, and a token's four patches together. Any order gives the same features, as patches know
their places by rotation alone; this one puts windows of one size side by side.

Source: `get_window_index` and `rot_pos_emb` of Qwen2.5-VL in transformers: windows are cut from
the upper left, and those at the right and the bottom are what is left over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class WindowPlan:
    """One size of frames, in tokens."""

    rows: int
    columns: int
    patch_rows: npt.NDArray[np.int64]
    """Row of each patch, (patches,), in the tower's order."""
    patch_columns: npt.NDArray[np.int64]
    lengths: tuple[int, ...]
    """Patches of each window, largest first."""
    restore: npt.NDArray[np.int64]
    """(tokens,): where in the tower's order each token stands, row by row."""

    @property
    def tokens(self) -> int:
        """Of a pair of frames."""
        return self.rows * self.columns

    @property
    def patches(self) -> int:
        """Of a pair of frames."""
        return len(self.patch_rows)

    @property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """(windows, patches of each), in order."""
        return tuple((len(list(same)), length) for length, same in groupby(self.lengths))

    @property
    def tiles(self) -> tuple[tuple[int, int], ...]:
        """(first patch, patches) of stretches no longer than the largest window.

        Small windows share one: a kernel then has about as much to do for each.
        """
        tiles: list[tuple[int, int]] = []
        for length in self.lengths:
            if tiles and tiles[-1][1] + length <= self.lengths[0]:
                tiles[-1] = tiles[-1][0], tiles[-1][1] + length
            else:
                tiles.append((sum(tiles[-1]) if tiles else 0, length))
        return tuple(tiles)

    @property
    def window_of(self) -> npt.NDArray[np.int64]:
        """(patches,): number of each patch's window."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)


@lru_cache(maxsize=64)
def window_plan(rows: int, columns: int, *, window: int, merge: int) -> WindowPlan:
    """Plan frames of `rows` x `columns` tokens; a window is `window` tokens wide."""
    windows = sorted(_windows(rows, columns, window), key=len, reverse=True)
    tokens = np.array([token for one in windows for token in one], np.int64)
    across = np.arange(merge**2) % merge
    down = np.arange(merge**2) // merge
    restore = np.empty(len(tokens), np.int64)
    restore[tokens[:, 0] * columns + tokens[:, 1]] = np.arange(len(tokens))
    return WindowPlan(
        rows=rows,
        columns=columns,
        patch_rows=(tokens[:, :1] * merge + down).reshape(-1),
        patch_columns=(tokens[:, 1:] * merge + across).reshape(-1),
        lengths=tuple(len(one) * merge**2 for one in windows),
        restore=restore,
    )


def _windows(rows: int, columns: int, window: int) -> Iterator[list[tuple[int, int]]]:
    for top in range(0, rows, window):
        for left in range(0, columns, window):
            yield [
                (row, column)
                for row in range(top, min(top + window, rows))
                for column in range(left, min(left + window, columns))
            ]
