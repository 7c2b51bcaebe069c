"""How much a kernel takes at once, and what it does not take. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_LEAST = 16
"""A tile of a matrix product is no smaller."""
_PER_WARP = 512


def covering(count: int) -> int:
    """Return the smallest power of two that holds `count`: Triton's blocks are such."""
    return max(_LEAST, 1 << (count - 1).bit_length())


def two_pieces(count: int) -> tuple[int, int]:
    """Return powers of two that together hold `count`, with less left over than one would have.

    18944 is held by 16384 and 4096; alone it would take 32768.
    """
    first = max(_LEAST, 1 << (count.bit_length() - 1))
    return first, covering(max(1, count - first))


def refuse_strided(*tensors: torch.Tensor) -> None:
    """Raise ValueError if one is not contiguous: a kernel would read other numbers, unseen."""
    for one in tensors:
        if not one.is_contiguous():
            raise ValueError(f"a kernel takes contiguous tensors: {one.shape} by {one.stride()}")


def warps_for(values: int) -> int:
    """Return how many warps take a row of so many values: about 16 a thread."""
    return max(1, min(16, values // _PER_WARP))
