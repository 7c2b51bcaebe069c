"""Bytes of frames to the patches that the tower takes, in its order, in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import triton
import triton.language as tl

from edgewatch.pipeline.engines.native.kernels.blocks import covering, refuse_strided

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.frames import PairTables


@triton.jit
def _cut(
    pixels: tl.tensor,
    out: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    factor: tl.tensor,
    offset: tl.tensor,
    patches: tl.tensor,
    height: tl.tensor,
    width: tl.tensor,
    frames: tl.constexpr,
    patch: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """One patch: its values are by channel, frame, row, column; pixels by frame, row, column."""
    number = tl.program_id(0)
    pair = (number // patches).to(tl.int64)
    place = number % patches
    value = tl.arange(0, block)
    there = value < 3 * frames * patch * patch
    channel = value // (frames * patch * patch)
    frame = value // (patch * patch) % frames
    row = tl.load(rows + place) * patch + value // patch % patch
    column = tl.load(columns + place) * patch + value % patch
    pixel = ((pair * frames + frame) * height + row) * width + column
    byte = tl.load(pixels + pixel * 3 + channel, mask=there, other=0).to(tl.float32)
    scaled = byte * tl.load(factor + channel, mask=there, other=0.0)
    scaled += tl.load(offset + channel, mask=there, other=0.0)
    to = out + number.to(tl.int64) * (3 * frames * patch * patch) + value
    tl.store(to, scaled.to(out.dtype.element_ty), mask=there)


def patches(pixels: torch.Tensor, tables: PairTables, dtype: torch.dtype) -> torch.Tensor:
    """See `Operations`."""
    refuse_strided(pixels)
    pairs, frames, height, width, _ = pixels.shape
    rows, values = pairs * tables.plan.patches, 3 * frames * tables.patch**2
    out = pixels.new_empty((rows, values), dtype=dtype)
    if rows:
        _cut[(rows,)](
            pixels,
            out,
            tables.patch_rows,
            tables.patch_columns,
            tables.factor,
            tables.offset,
            tables.plan.patches,
            height,
            width,
            frames=frames,
            patch=tables.patch,
            block=covering(values),
            num_warps=4,
        )
    return out
