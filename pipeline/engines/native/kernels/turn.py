"""Queries and keys turned by their places, and put with the values where attention reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.kernels.blocks import covering, refuse_strided

if TYPE_CHECKING:
    import torch


@triton.jit
def _turn(
    qkv: tl.tensor,
    cosines: tl.tensor,
    sines: tl.tensor,
    slots: tl.tensor,
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    heads: tl.constexpr,
    kv_heads: tl.constexpr,
    half: tl.constexpr,
    heads_block: tl.constexpr,
    values_block: tl.constexpr,
    half_block: tl.constexpr,
) -> None:
    """One row. The first half of a head turns with the second."""
    row = tl.program_id(0).to(tl.int64)
    slot = tl.load(slots + row)
    head = tl.arange(0, heads_block)[:, None]
    at = tl.arange(0, half_block)[None, :]
    whole = at < half
    there = whole & (head < heads + kv_heads)
    cosine = tl.load(cosines + row * half + at, mask=whole, other=0.0)
    sine = tl.load(sines + row * half + at, mask=whole, other=0.0)
    begin = qkv + row * ((heads + 2 * kv_heads) * 2 * half)
    vector = begin + head * (2 * half) + at
    first = tl.load(vector, mask=there, other=0.0).to(tl.float32)
    second = tl.load(vector + half, mask=there, other=0.0).to(tl.float32)
    turned = (first * cosine - second * sine).to(keys.dtype.element_ty)
    other = (second * cosine + first * sine).to(keys.dtype.element_ty)
    if heads:
        to = queries + (slot * heads + head) * (2 * half) + at
        tl.store(to, turned, mask=whole & (head < heads))
        tl.store(to + half, other, mask=whole & (head < heads))
    to = keys + (slot * kv_heads + head - heads) * (2 * half) + at
    tl.store(to, turned, mask=there & (head >= heads))
    tl.store(to + half, other, mask=there & (head >= heads))
    value = tl.arange(0, values_block)
    left = value < kv_heads * 2 * half
    kept = tl.load(begin + (heads + kv_heads) * 2 * half + value, mask=left)
    tl.store(values + slot * (kv_heads * 2 * half) + value, kept, mask=left)


def turn(
    qkv: torch.Tensor,
    cosines: torch.Tensor,
    sines: torch.Tensor,
    slots: torch.Tensor,
    queries: torch.Tensor | None,
    keys: torch.Tensor,
    values: torch.Tensor,
) -> None:
    """See `Operations`."""
    refuse_strided(qkv, slots, keys, values, *(() if queries is None else (queries,)))
    kv_heads, head = keys.shape[1:]
    heads = 0 if queries is None else queries.shape[1]
    if not len(qkv):
        return
    cosines, sines = cosines.contiguous(), sines.contiguous()
    _turn[(len(qkv),)](
        qkv,
        cosines,
        sines,
        slots,
        keys if queries is None else queries,
        keys,
        values,
        heads=heads,
        kv_heads=kv_heads,
        half=head // 2,
        heads_block=covering(heads + kv_heads),
        values_block=covering(kv_heads * head),
        half_block=covering(head // 2),
        num_warps=4 if heads else 1,
    )
