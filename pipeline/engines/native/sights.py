"""Sights: what the tower saw of pairs of frames, kept for the clips that share them.

A pair's tokens rest on its two frames alone (`vision`), so a sight may stand in for seeing the
pair again. All lie in one table on the device, a row a token; a sight has any rows of it, so that
sizes of every kind share one bound and nothing falls to pieces. The one that was not looked for
the longest gives way.
"""

from __future__ import annotations

import zlib
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.device_memory import free_sentence, is_out_of_memory
from edgewatch.pipeline.engines.native.staging import staged
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.network import Network

Rows = npt.NDArray[np.int64]
_COLUMN_WORDS = 588
"""Frames' sides are multiples of 28, so that a pair's bytes are a multiple of 8 times this."""


class Sight(NamedTuple):
    """What names a pair of frames."""

    camera: str
    times: tuple[float, float]
    """Unix time of both frames, in seconds."""
    size: tuple[int, int]
    """Height and width."""
    fingerprint: int
    """Of the pixels: two sources under one name, each with a time of its own, never mix."""


def fingerprint(pair: npt.NDArray[np.uint8]) -> int:
    """Return 32 bits in which every byte of a pair (2, height, width, 3) counts.

    Not a hash: it tells pictures of cameras apart, and costs a fraction of one.
    """
    columns = pair.reshape(-1).view(np.uint64).reshape(-1, _COLUMN_WORDS).sum(0)
    return zlib.crc32(columns.tobytes())


class Sights:
    """The latest pairs' tokens. One thread and one stream of the device only."""

    def __init__(self, most_bytes: int, width: int, dtype: torch.dtype, device: torch.device):
        """Take the memory at once, so that it is there when batches are planned.

        `width`: of a token as the language model takes it.
        """
        import torch

        row_bytes: int = width * dtype.itemsize
        self.table = torch.empty((most_bytes // row_bytes, width), dtype=dtype, device=device)
        """(rows, width)."""
        self.evicted = 0
        """Given up for newer ones."""
        self._gone: deque[str] = deque()
        self._row_bytes = row_bytes
        self._kept: OrderedDict[Sight, Rows] = OrderedDict()
        self._free: Rows = np.arange(len(self.table), dtype=np.int64)
        self._free_count = len(self._free)
        """The first so many of `_free` are free."""

    @property
    def held_bytes(self) -> int:
        """Of what is kept now."""
        return (len(self._free) - self._free_count) * self._row_bytes

    def __contains__(self, sight: Sight) -> bool:
        return sight in self._kept

    def find(self, sight: Sight) -> Rows | None:
        """Return in which rows a sight stands, (tokens,), until the next `keep`; None: nowhere."""
        rows = self._kept.get(sight)
        if rows is not None:
            self._kept.move_to_end(sight)
        return rows

    def keep(self, seen: Mapping[Sight, Rows], tokens: torch.Tensor) -> None:
        """Keep sights, each the rows of `tokens` (rows, width) named; of too many the last ones.

        If it raises (no memory), none of them is kept.
        """
        while self._gone:
            gone = self._gone.popleft()
            for sight in [one for one in self._kept if one.camera == gone]:
                self._let_go(sight)
        fitting = self._fitting(seen)
        if not fitting:
            return
        wanted = sum(len(rows) for rows in fitting.values())
        while self._free_count < wanted:
            self._let_go(next(iter(self._kept)))
            self.evicted += 1
        room = self._free[self._free_count - wanted : self._free_count].copy()
        taken, put = upload_rows([np.concatenate(list(fitting.values())), room], tokens.device)
        self.table.index_copy_(0, put, tokens.index_select(0, taken))
        # Only now: nothing that has a name may be half there.
        self._free_count -= wanted
        start = 0
        for sight, rows in fitting.items():
            self._kept[sight] = room[start : start + len(rows)]
            start += len(rows)

    def forget(self, camera: str) -> None:
        """Free the rows of a camera that is gone, at the next `keep`; any thread may ask."""
        self._gone.append(camera)

    def _fitting(self, seen: Mapping[Sight, Rows]) -> dict[Sight, Rows]:
        """Return the last ones, as many as the whole table has room for."""
        left, first = len(self._free), len(seen)
        for rows in reversed(list(seen.values())):
            left -= len(rows)
            if left < 0:
                break
            first -= 1
        return dict(islice(seen.items(), first, None))

    def _let_go(self, sight: Sight) -> None:
        rows = self._kept.pop(sight)
        self._free[self._free_count : self._free_count + len(rows)] = rows
        self._free_count += len(rows)


def sights_of(network: Network, most_bytes: int) -> Sights | None:
    """Make room for a network's sights; None for no bytes, or too few for a single token.

    Raises EngineFailed if there is no room.
    """
    width = network.sizes.language.width
    if most_bytes < width * network.dtype.itemsize:
        return None
    try:
        return Sights(most_bytes, width, network.dtype, network.device)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise EngineFailed(
            f"there is no room for {most_bytes / 1e6:.0f} MB of sights beside the weights on "
            f"{free_sentence(network.device)}",
            "lower [engine] vision_cache_bytes, or end other programs that hold memory",
        ) from error


def upload_rows(parts: Sequence[Rows], device: torch.device) -> Sequence[torch.Tensor]:
    """Copy row numbers to the device, as one piece; each part by itself again."""
    parted: tuple[torch.Tensor, ...] = staged(parts, device).split([len(part) for part in parts])
    return parted
