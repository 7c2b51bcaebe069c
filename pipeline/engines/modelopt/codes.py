"""Numbers of four and eight bits, unpacked: the reference for each of ModelOpt's formats.

Every function takes tensors of any device and computes there. A weight is split into *codes* and
*scale*, so that weight = codes x scale: codes are what a quantised product multiplies, exact in
bfloat16 wherever the format's own products are; the scale is left for after the sum.

Source: `modelopt.torch.quantization.qtensor` and `modelopt.torch.export.quant_utils` 0.47; OCP
Microscaling Formats 1.0, table 5 (E2M1), and OCP 8-bit Floating Point 1.0 (E4M3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.scheme import Scheme

if TYPE_CHECKING:
    import torch

E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)
"""By code; the highest of the four bits is the sign."""
E2M1_MAX, E4M3_MAX = 6.0, 448.0
E4M3_LEAST = 2.0**-9
"""The smallest positive E4M3, below which no block scale goes."""


@dataclass(frozen=True, slots=True, eq=False)
class Unpacked:
    """A weight as codes x scale."""

    codes: torch.Tensor
    """Shape (outputs, inputs)."""
    scale: torch.Tensor | None
    """float32: one number, or one an output; None: the codes are the weight itself."""

    def weight(self) -> torch.Tensor:
        """Return the weight in float32, (outputs, inputs)."""
        codes = self.codes.float()
        if self.scale is None:
            return codes
        return codes * (self.scale[:, None] if self.scale.ndim else self.scale)


def unpack(scheme: Scheme, parts: Mapping[str, torch.Tensor], dtype: torch.dtype) -> Unpacked:
    """Unpack a layer's weight. `parts`: its tensors by their names in the file.

    `dtype`: of the codes; float32 and bfloat16 hold those of NVFP4, FP8 and INT8 exactly. INT4's
    groups have scales in float32, so its codes hold them already and are rounded to `dtype`.
    """
    weight, scale = parts["weight"], parts["weight_scale"]
    match scheme.format.algorithm:
        case "NVFP4":
            codes = e2m1_of_bytes(weight, dtype).view(*scale.shape, scheme.group)
            blocks = codes.mul_(scale.to(dtype)[..., None]).view(weight.shape[0], -1)
            return Unpacked(blocks, parts["weight_scale_2"].float().reshape(()))
        case "FP8":
            return Unpacked(weight.to(dtype), scale.float().reshape(()))
        case "W8A8_SQ_PER_CHANNEL":
            return Unpacked(weight.to(dtype), scale.float())
        case "W4A16_AWQ":
            grouped = int4_of_bytes(weight).float().view(*scale.shape, scheme.group)
            whole = grouped.mul_(scale.float()[..., None]).view(scale.shape[0], -1)
            return Unpacked(whole.to(dtype), None)
    raise ValueError(f"no unpacking for {scheme.format.algorithm}")


def e2m1_of_bytes(packed: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return the numbers of bytes that hold two each, the first in the low half: twice as wide.

    `dtype`: bfloat16 or float32.
    """
    return _pairs(dtype, packed.device)[packed.int()].view(dtype)


@cache
def _pairs(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Return each byte's two numbers as one whole number of their bits: one look-up a byte."""
    import torch

    both = [(E2M1[byte & 15], E2M1[byte >> 4]) for byte in range(256)]
    whole = torch.int32 if dtype.itemsize == 2 else torch.int64
    return torch.tensor(both, dtype=dtype).view(whole).flatten().to(device)


def int4_of_bytes(packed: torch.Tensor) -> torch.Tensor:
    """Return the int8 numbers, -8 to 7, of bytes that hold two rows each: twice as high.

    The low half is the first of the two rows; both are two's complement.
    """
    import torch

    signed = packed.view(torch.int8)
    low, high = (signed << 4) >> 4, signed >> 4
    return torch.stack((low, high), dim=1).flatten(0, 1)


def round_to_e2m1(values: torch.Tensor) -> torch.Tensor:
    """Round float32 values to E2M1 in place, ties to the even code; beyond 6 they stay at 6."""
    import torch

    values.clamp_(-E2M1_MAX, E2M1_MAX)
    size = values.abs()
    # Numbers lie 0.5 apart below 2, 1 apart below 4, and 2 apart above.
    step = torch.where(size < 2.0, 0.5, torch.where(size < 4.0, 1.0, 2.0))
    return values.div_(step).round_().mul_(step)


def block_scales(amax: torch.Tensor, scale_2: torch.Tensor | float) -> torch.Tensor:
    """Return the E4M3 scales of blocks with these largest sizes (float32) under a tensor's scale.

    A block of zeros gets 1, as ModelOpt gives it.
    """
    import torch

    scales = amax / (E2M1_MAX * scale_2)
    scales = torch.where(scales == 0, torch.ones_like(scales), scales)
    return scales.clamp(E4M3_LEAST, E4M3_MAX).to(torch.float8_e4m3fn)
