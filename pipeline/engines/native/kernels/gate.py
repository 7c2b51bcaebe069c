"""SiLU of the gate times up, and rounding, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.arithmetic import PLAIN, Inputs, Rounding
from edgewatch.pipeline.engines.native.kernels.blocks import (
    covering,
    refuse_strided,
    two_pieces,
    warps_for,
)
from edgewatch.pipeline.engines.native.kernels.rounding import (
    given,
    put,
    room,
    row_scale,
    to_codes,
)

if TYPE_CHECKING:
    import torch

_STRETCH = 1024
"""Values that a program takes where a row needs no scale of its own."""


@triton.jit
def _gated(gate_up: tl.tensor, row: tl.tensor, width: tl.tensor, at: tl.tensor) -> tl.tensor:
    """Return float32 silu(gate) x up of a row's columns; 0 beyond its end."""
    there = at < width
    gates = gate_up + row * 2 * width + at
    gate = tl.load(gates, mask=there, other=0.0).to(tl.float32)
    up = tl.load(gates + width, mask=there, other=0.0).to(tl.float32)
    return gate / (1.0 + tl.exp(-gate)) * up


@triton.jit
def _gate(
    gate_up: tl.tensor,
    out: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    kind: tl.constexpr,
    block: tl.constexpr,
) -> None:
    row = tl.program_id(0).to(tl.int64)
    at = tl.program_id(1) * block + tl.arange(0, block)
    put(_gated(gate_up, row, width, at), out, scales, row, width, at, kind)


@triton.jit
def _gate_rows(
    gate_up: tl.tensor,
    out: tl.tensor,
    scales: tl.tensor,
    width: tl.tensor,
    first: tl.constexpr,
    second: tl.constexpr,
) -> None:
    """Keep a whole row, in two pieces, until its largest size is known."""
    row = tl.program_id(0).to(tl.int64)
    at = tl.arange(0, first)
    behind = first + tl.arange(0, second)
    values = _gated(gate_up, row, width, at)
    others = _gated(gate_up, row, width, behind)
    scale = row_scale(tl.maximum(tl.max(tl.abs(values), 0), tl.max(tl.abs(others), 0)))
    tl.store(scales + row, scale)
    to = out + row * width
    tl.store(to + at, to_codes(values, scale), mask=at < width)
    tl.store(to + behind, to_codes(others, scale), mask=behind < width)


def gate(gate_up: torch.Tensor, rounding: Rounding = PLAIN) -> Inputs:
    """See `Operations`."""
    refuse_strided(gate_up)
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    out, scales = room(gate_up, rows, width, rounding)
    if not rows:
        return given(out, scales, rounding)
    if rounding.kind == "rows":
        first, second = two_pieces(width)
        warps = warps_for(first)
        _gate_rows[(rows,)](
            gate_up, out, scales, width, first=first, second=second, num_warps=warps
        )
    else:
        block = min(_STRETCH, covering(width))
        _gate[(rows, triton.cdiv(width, block))](
            gate_up, out, scales, width, kind=rounding.kind, block=block, num_warps=warps_for(block)
        )
    return given(out, scales, rounding)
