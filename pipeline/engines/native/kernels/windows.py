"""Attention within the windows of all pairs, in one launch, turning on the way.

A tile is one window, or several small ones whose patches see those of their own window alone. A
program stays with a tile for some of its heads: cosines and sines are the same for all of them,
and the next head is loaded while one is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Inputs, Rounding
from edgewatch.pipeline.engines.native.kernels.blocks import covering, refuse_strided
from edgewatch.pipeline.engines.native.kernels.rounding import given, room, rounded, to_codes

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables

LARGEST = 128
"""Patches of the largest window that a program holds."""
_HEADS_AT_ONCE = 4
_FEW_PROGRAMS = 1024
"""With fewer a device is not full: then each takes one head."""
_LOG2_E = 1.4426950408889634


@triton.jit
def _attend(
    qkv: tl.tensor,
    out: tl.tensor,
    scale: tl.tensor,
    cosines: tl.tensor,
    sines: tl.tensor,
    window_of: tl.tensor,
    tile_starts: tl.tensor,
    tile_lengths: tl.tensor,
    patches: tl.tensor,
    softness: tl.tensor,
    heads: tl.constexpr,
    at_once: tl.constexpr,
    half: tl.constexpr,
    half_block: tl.constexpr,
    block: tl.constexpr,
    kind: tl.constexpr,
    stages: tl.constexpr,
) -> None:
    """One tile of one pair, `at_once` heads. Halves of a head are kept apart: they turn together.

    `softness`: what scores are multiplied by, for powers of 2.
    """
    first_head = tl.program_id(0) * at_once
    pair = tl.program_id(1).to(tl.int64)
    tile = tl.program_id(2)
    width: tl.constexpr = heads * 2 * half
    dtype: tl.constexpr = qkv.dtype.element_ty
    within = tl.arange(0, block)
    patch = tl.load(tile_starts + tile) + within
    used = within < tl.load(tile_lengths + tile)
    window = tl.load(window_of + patch, mask=used, other=-1)
    same = window[:, None] == window[None, :]
    at = tl.arange(0, half_block)[None, :]
    there = used[:, None] & (at < half)
    cosine = tl.load(cosines + patch[:, None] * half + at, mask=there, other=0.0)
    sine = tl.load(sines + patch[:, None] * half + at, mask=there, other=0.0)
    # What may pass 2**31 stands outside of the tiles: there it would cost registers.
    inputs = qkv + pair * patches * (3 * width)
    outputs = out + pair * patches * width
    for number in tl.range(0, at_once, num_stages=stages):
        head = (first_head + number) * (2 * half)
        query = inputs + head + patch[:, None] * (3 * width) + at
        q1 = tl.load(query, mask=there, other=0.0).to(tl.float32)
        q2 = tl.load(query + half, mask=there, other=0.0).to(tl.float32)
        k1 = tl.load(query + width, mask=there, other=0.0).to(tl.float32)
        k2 = tl.load(query + width + half, mask=there, other=0.0).to(tl.float32)
        v1 = tl.load(query + 2 * width, mask=there, other=0.0)
        v2 = tl.load(query + 2 * width + half, mask=there, other=0.0)
        turned_q1 = (q1 * cosine - q2 * sine).to(dtype)
        turned_q2 = (q2 * cosine + q1 * sine).to(dtype)
        turned_k1 = (k1 * cosine - k2 * sine).to(dtype)
        turned_k2 = (k2 * cosine + k1 * sine).to(dtype)
        scores = tl.dot(turned_q1, tl.trans(turned_k1), input_precision="ieee")
        scores += tl.dot(turned_q2, tl.trans(turned_k2), input_precision="ieee")
        scores = tl.where(same, scores * softness, -1e30)
        shares = tl.exp2(scores - tl.max(scores, 1)[:, None])
        whole = tl.sum(shares, 1)[:, None]
        shares = shares.to(dtype)
        o1 = tl.dot(shares, v1, input_precision="ieee") / whole
        o2 = tl.dot(shares, v2, input_precision="ieee") / whole
        to = outputs + head + patch[:, None] * width + at
        if kind == "fixed":
            tl.store(to, to_codes(o1, tl.load(scale)), mask=there)
            tl.store(to + half, to_codes(o2, tl.load(scale)), mask=there)
        else:
            tl.store(to, o1.to(dtype), mask=there)
            tl.store(to + half, o2.to(dtype), mask=there)


def attend_windows(qkv: torch.Tensor, tables: PairTables, rounding: Rounding = PLAIN) -> Inputs:
    """See `Operations`; windows of at most `LARGEST` patches."""
    refuse_strided(qkv)
    # A row's scale is known after its last head: that rounding is a pass of its own.
    within = rounding if rounding.kind == "fixed" else PLAIN
    patches, heads = tables.plan.patches, tables.heads
    out, scale = room(qkv, len(qkv), heads * tables.head, within)
    pairs, tiles = len(qkv) // patches, len(tables.tile_starts)
    if pairs:
        few = pairs * tiles * heads < _FEW_PROGRAMS * _HEADS_AT_ONCE
        at_once = 1 if few or heads % _HEADS_AT_ONCE else _HEADS_AT_ONCE
        _attend[(heads // at_once, pairs, tiles)](
            qkv,
            out,
            scale,
            tables.cosines,
            tables.sines,
            tables.window_of,
            tables.tile_starts,
            tables.tile_lengths,
            patches,
            tables.head**-0.5 * _LOG2_E,
            heads=heads,
            at_once=at_once,
            half=tables.head // 2,
            half_block=covering(tables.head // 2),
            block=covering(max(tables.plan.lengths)),
            kind=within.kind,
            stages=2,
            num_warps=4,
        )
    return given(out, scale, within) if within is rounding else rounded(out, rounding)
