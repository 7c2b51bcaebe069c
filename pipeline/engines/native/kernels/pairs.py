"""Queries and keys of the vision tower turned in place, for the library's attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.kernels.blocks import covering, refuse_strided

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables


@triton.jit
def _turn(
    qkv: tl.tensor,
    cosines: tl.tensor,
    sines: tl.tensor,
    patches: tl.tensor,
    heads: tl.constexpr,
    half: tl.constexpr,
    heads_block: tl.constexpr,
    half_block: tl.constexpr,
) -> None:
    """One patch's queries and keys: the first half of a head turns with the second."""
    number = tl.program_id(0)
    place = number % patches
    head = tl.arange(0, heads_block)[:, None]
    at = tl.arange(0, half_block)[None, :]
    there = (at < half) & (head < 2 * heads)
    cosine = tl.load(cosines + place * half + at, mask=at < half, other=0.0)
    sine = tl.load(sines + place * half + at, mask=at < half, other=0.0)
    vector = qkv + number.to(tl.int64) * (6 * heads * half) + head * (2 * half) + at
    first = tl.load(vector, mask=there, other=0.0).to(tl.float32)
    second = tl.load(vector + half, mask=there, other=0.0).to(tl.float32)
    dtype = qkv.dtype.element_ty
    tl.store(vector, (first * cosine - second * sine).to(dtype), mask=there)
    tl.store(vector + half, (second * cosine + first * sine).to(dtype), mask=there)


def turn_in_place(qkv: torch.Tensor, tables: PairTables) -> None:
    """Turn queries and keys of (pairs x patches, 3 x heads x head) by their patches' places."""
    refuse_strided(qkv)
    if not len(qkv):
        return
    _turn[(len(qkv),)](
        qkv,
        tables.cosines,
        tables.sines,
        tables.plan.patches,
        heads=tables.heads,
        half=tables.head // 2,
        heads_block=covering(2 * tables.heads),
        half_block=covering(tables.head // 2),
        num_warps=4,
    )
