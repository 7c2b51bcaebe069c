"""A product whose end is SiLU of the gate times up: what lies between is never written.

A program multiplies a tile of rows with the same columns of gate and of up side by side. Tiles come
by descriptors (TMA), and programs stay for several tiles, taken so that neighbours share what they
read.

It wins for many rows in bf16, and in FP8 under fixed scales, measured on an H200 against cuBLAS
and a pass (language of 8496 rows 0.99 and 0.97, vision of 25920 rows 0.79 and 0.94 of the time).
With fewer rows the last tiles leave much of a device idle; and where codes are scaled row by row,
a row's largest size is known after its last tile, and two passes are faster than what that takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.arithmetic import Codes, Inputs, Product, Rounding
from edgewatch.pipeline.engines.native.kernels.rounding import given, room, to_codes
from edgewatch.pipeline.engines.native.products import Fp8Product, PlainProduct

if TYPE_CHECKING:
    import torch

_CAPABILITY = (9, 0)
_FROM_ROWS = 4096
_ROWS, _COLUMNS = 128, 128
"""Of a tile: as many columns of gate, and as many of up."""
_DEPTH_BYTES = 128
"""Of a row of inputs or weights, taken at once."""
_WARPS, _STAGES = 8, 3
_GROUP_BYTES, _LARGEST_GROUP = 14 * 2**20, 32
"""Inputs whose tiles take the same columns of weights one after the other: they stay in the
device's cache meanwhile."""
_ALIGNED_BYTES = 16
"""A descriptor takes rows that begin at such addresses."""


@dataclass(frozen=True, slots=True)
class Fusing:
    """Where a product and its gate are one kernel."""

    from_rows: int
    programs: int
    """That run at once."""


TRIAL = Fusing(from_rows=32, programs=3)
"""For small inputs: programs take several tiles here too."""


@lru_cache(maxsize=8)
def fusing_on(device: int) -> Fusing | None:
    """Return from which size on to fuse on a CUDA device; None: not there."""
    import torch

    if torch.cuda.get_device_capability(device) != _CAPABILITY:
        return None
    try:
        import triton.tools.tensor_descriptor  # noqa: F401 - older ones have none
    except ImportError:
        return None
    programs = torch.cuda.get_device_properties(device).multi_processor_count
    return Fusing(_FROM_ROWS, programs=programs)


@triton.jit(do_not_specialize=["rows", "group"])
def _gated_product(
    inputs: tl.tensor,
    weight: tl.tensor,
    out: tl.tensor,
    bias: tl.tensor,
    inputs_scale: tl.tensor,
    weight_scale: tl.tensor,
    out_scale: tl.tensor,
    rows: tl.tensor,
    width: tl.tensor,
    depth: tl.tensor,
    group: tl.tensor,
    tile_rows: tl.constexpr,
    tile_columns: tl.constexpr,
    tile_depth: tl.constexpr,
    biased: tl.constexpr,
    scaled: tl.constexpr,
    rounds: tl.constexpr,
    between: tl.constexpr,
) -> None:
    """`inputs` (rows, depth), `weight` (2 x width, depth), `out` (rows, width): descriptors.

    `between`: the network's type, to which both products are rounded. `scaled`: inputs and weights
    are codes under one scale each. `rounds`: what comes out is, too.
    """
    across = tl.cdiv(width, tile_columns)
    down = tl.cdiv(rows, tile_rows)
    for tile in tl.range(tl.program_id(0), across * down, tl.num_programs(0)):
        first = tile // (group * across) * group
        size = tl.minimum(down - first, group)
        within = tile % (group * across)
        row = (first + within % size) * tile_rows
        column = within // size * tile_columns
        gate = tl.zeros((tile_rows, tile_columns), tl.float32)
        up = tl.zeros((tile_rows, tile_columns), tl.float32)
        for k in range(0, depth, tile_depth):
            part = inputs.load([row, k])
            gate = tl.dot(part, weight.load([column, k]).T, gate, input_precision="ieee")
            up = tl.dot(part, weight.load([width + column, k]).T, up, input_precision="ieee")
        at = column + tl.arange(0, tile_columns)
        there = at < width
        if scaled:
            both = tl.load(inputs_scale) * tl.load(weight_scale)
            gate *= both
            up *= both
        if biased:
            gate += tl.load(bias + at, mask=there, other=0.0).to(tl.float32)[None, :]
            up += tl.load(bias + width + at, mask=there, other=0.0).to(tl.float32)[None, :]
        # As the product by itself gives them: a clip in a small batch, which takes two passes, is
        # to get the same score.
        gate = gate.to(between).to(tl.float32)
        up = up.to(between).to(tl.float32)
        gated = gate / (1.0 + tl.exp(-gate)) * up
        if rounds:
            out.store([row, column], to_codes(gated, tl.load(out_scale)))
        else:
            out.store([row, column], gated.to(out.dtype))


def fuses(
    product: Product, inputs: Inputs, rounding: Rounding, fusing: Fusing
) -> TypeGuard[PlainProduct | Fp8Product]:
    """Say whether `gated_product` takes this, and is worth it."""
    if isinstance(product, PlainProduct) and not isinstance(inputs, Codes):
        values, weight = inputs, product.weight
    elif isinstance(product, Fp8Product) and isinstance(inputs, Codes):
        values, weight = inputs.codes, product.codes
    else:
        return False
    out_bytes = 1 if rounding.kind == "fixed" else 2
    return (
        len(values) >= fusing.from_rows
        and "rows" not in (product.rounding.kind, rounding.kind)
        and all(_aligned(one) for one in (values, weight))
        and len(weight) // 2 * out_bytes % _ALIGNED_BYTES == 0
    )


def gated_product(
    product: PlainProduct | Fp8Product,
    inputs: Inputs,
    rounding: Rounding,
    dtype: torch.dtype,
    programs: int,
) -> Inputs:
    """See `Operations.gated`; takes what `fuses` lets through. `dtype`: the network's own type."""
    from triton.tools.tensor_descriptor import TensorDescriptor

    if isinstance(product, Fp8Product):
        assert isinstance(inputs, Codes)
        values, weight = inputs.codes, product.codes
        inputs_scale, weight_scale = inputs.scale, product.scale
    else:
        assert not isinstance(inputs, Codes)
        values, weight = inputs, product.weight
        inputs_scale, weight_scale = values, values  # never looked at
    (rows, depth), width = values.shape, len(weight) // 2
    if rounding.kind == "none":
        out = out_scale = values.new_empty((rows, width), dtype=dtype)
    else:
        out, out_scale = room(values, rows, width, rounding)
    row_bytes = depth * values.itemsize
    tile_depth = _DEPTH_BYTES // values.itemsize
    tiles = triton.cdiv(rows, _ROWS) * triton.cdiv(width, _COLUMNS)
    _gated_product[(min(programs, tiles),)](
        TensorDescriptor.from_tensor(values, [_ROWS, tile_depth]),
        TensorDescriptor.from_tensor(weight, [_COLUMNS, tile_depth]),
        TensorDescriptor.from_tensor(out, [_ROWS, _COLUMNS]),
        values if product.bias is None else product.bias,
        inputs_scale,
        weight_scale,
        out_scale,
        rows,
        width,
        depth,
        max(1, min(_LARGEST_GROUP, _GROUP_BYTES // (_ROWS * row_bytes))),
        tile_rows=_ROWS,
        tile_columns=_COLUMNS,
        tile_depth=tile_depth,
        biased=product.bias is not None,
        scaled=isinstance(product, Fp8Product),
        rounds=rounding.kind != "none",
        between=getattr(tl, str(dtype).removeprefix("torch.")),
        num_warps=_WARPS,
        num_stages=_STAGES,
    )
    return given(out, out_scale, rounding)


def _aligned(values: torch.Tensor) -> bool:
    """Say whether a descriptor takes it."""
    row_bytes = values.stride(0) * values.itemsize
    return values.stride(1) == 1 and not any(
        one % _ALIGNED_BYTES for one in (row_bytes, values.data_ptr())
    )
