"""Rows to E4M3 codes: the end of every pass before a product of eight bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.arithmetic import Codes, Inputs, Rounding
from edgewatch.pipeline.engines.native.kernels.blocks import covering, warps_for

if TYPE_CHECKING:
    import torch


@triton.jit
def row_scale(largest: tl.tensor) -> tl.tensor:
    """Return the scale under which the largest size of a row becomes E4M3's largest."""
    return tl.maximum(largest, 1e-12) / 448.0


@triton.jit
def to_codes(values: tl.tensor, scale: tl.tensor) -> tl.tensor:
    """Round float32 to E4M3; what is too large for it becomes its largest."""
    return tl.minimum(tl.maximum(values * (1.0 / scale), -448.0), 448.0).to(tl.float8e4nv)


@triton.jit
def put(
    values: tl.tensor,
    out: tl.tensor,
    scales: tl.tensor,
    row: tl.tensor,
    width: tl.tensor,
    at: tl.tensor,
    kind: tl.constexpr,
) -> None:
    """Write a whole row of float32 as its product wants it; `at`: the values' columns."""
    there = at < width
    to = out + row * width + at
    if kind == "none":
        tl.store(to, values.to(out.dtype.element_ty), mask=there)
    elif kind == "rows":
        scale = row_scale(tl.max(tl.abs(values), 0))
        tl.store(scales + row, scale)
        tl.store(to, to_codes(values, scale), mask=there)
    else:
        tl.store(to, to_codes(values, tl.load(scales)), mask=there)


@triton.jit(do_not_specialize=["length"])
def _round(
    inputs: tl.tensor,
    length: tl.tensor,
    passage_stride: tl.tensor,
    stride: tl.tensor,
    out: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    kind: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One row; `length`: rows of a passage."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, block)
    begin = inputs + row // length * passage_stride + row % length * stride
    values = tl.load(begin + at, mask=at < width, other=0.0).to(tl.float32)
    put(values, out, scales, row, width, at, kind)


def rounded(inputs: torch.Tensor, rounding: Rounding) -> Inputs:
    """See `Operations`."""
    if inputs.stride(-1) != 1:
        inputs = inputs.contiguous()
    if inputs.ndim == 3 and _is_even(inputs):
        inputs = inputs.view(-1, inputs.shape[2])
    if inputs.ndim == 2 and rounding.kind == "none":
        return inputs
    length, width = inputs.shape[-2:]
    rows = inputs.shape[0] if inputs.ndim == 2 else inputs.shape[0] * length
    out, scales = room(inputs, rows, width, rounding)
    if rows:
        block = covering(width)
        _round[(rows,)](
            inputs,
            length,
            0 if inputs.ndim == 2 else inputs.stride(0),
            inputs.stride(-2),
            out,
            scales,
            width,
            kind=rounding.kind,
            block=block,
            num_warps=warps_for(block),
        )
    return given(out, scales, rounding)


def _is_even(passages: torch.Tensor) -> bool:
    """Say whether the rows of all passages are equally far apart."""
    count, length, _ = passages.shape
    return count == 1 or bool(passages.stride(0) == length * passages.stride(1))


def room(
    like: torch.Tensor, rows: int, width: int, rounding: Rounding
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a pass writes to: (rows, width) as its product wants it, and its scales.

    Without rounding the second is the first again, never looked at.
    """
    if rounding.kind == "none":
        out = like.new_empty((rows, width))
        return out, out
    import torch

    out = like.new_empty((rows, width), dtype=torch.float8_e4m3fn)
    if rounding.scale is not None:
        return out, rounding.scale
    return out, like.new_empty((rows, 1), dtype=torch.float32)


def given(out: torch.Tensor, scales: torch.Tensor, rounding: Rounding) -> Inputs:
    """Return what was written as inputs of a product."""
    return out if rounding.kind == "none" else Codes(out, scales)
