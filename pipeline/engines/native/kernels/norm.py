"""Residual sum, RMS norm and rounding of a row, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Inputs, Rounding
from edgewatch.pipeline.engines.native.kernels.blocks import covering, refuse_strided, warps_for
from edgewatch.pipeline.engines.native.kernels.rounding import given, put, room

if TYPE_CHECKING:
    import torch


@triton.jit
def _norm(
    total: tl.tensor,
    add: tl.tensor,
    weight: tl.tensor,
    out: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    eps: tl.tensor,
    adds: tl.constexpr,
    kind: tl.constexpr,
    block: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    there = at < width
    kept = total + row * width + at
    values = tl.load(kept, mask=there, other=0.0).to(tl.float32)
    if adds:
        values += tl.load(add + row * width + at, mask=there, other=0.0).to(tl.float32)
        summed = values.to(total.dtype.element_ty)
        tl.store(kept, summed, mask=there)
        values = summed.to(tl.float32)
    values *= tl.rsqrt(tl.sum(values * values, 0) / width + eps)
    if kind == "none":  # transformers rounds before it takes the weight
        values = values.to(total.dtype.element_ty).to(tl.float32)
    values *= tl.load(weight + at, mask=there, other=0.0).to(tl.float32)
    put(values, out, scales, row, width, at, kind)


def norm(
    total: torch.Tensor,
    weight: torch.Tensor,
    eps: float,
    *,
    add: torch.Tensor | None = None,
    rounding: Rounding = PLAIN,
) -> Inputs:
    """See `Operations`."""
    refuse_strided(total, weight, *(() if add is None else (add,)))
    rows, width = total.shape
    out, scales = room(total, rows, width, rounding)
    if rows:
        block = covering(width)
        _norm[(rows,)](
            total,
            total if add is None else add,
            weight,
            out,
            scales,
            width,
            eps,
            adds=add is not None,
            kind=rounding.kind,
            block=block,
            num_warps=warps_for(block),
        )
    return given(out, scales, rounding)
