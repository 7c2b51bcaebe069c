"""What stands before a quantised product: a layer's inputs rounded as its format rounds them.

Codes and scale as in `codes`: input = codes x scale. Source: the fake quantisers of
`modelopt.torch.quantization` 0.47 (`tensor_quant`, `NVFP4QTensor`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.codes import (
    E4M3_MAX,
    block_scales,
    round_to_e2m1,
)
from edgewatch.pipeline.engines.modelopt.scheme import Scheme

if TYPE_CHECKING:
    import torch

INT8_MAX = 127.0
PIECE = 2**22
"""Numbers that are rounded at a time. What is made of them on the way, in float32, then stays small
beside a batch, and within the cache of a large GPU."""

Rounding = Callable[["torch.Tensor"], "tuple[torch.Tensor, float | torch.Tensor | None]"]
"""Inputs (..., width) to codes of the same shape, and their scale: one number, one a token
(..., 1), or None where the inputs are left as they are."""


def rounding(scheme: Scheme, parts: Mapping[str, torch.Tensor], *, native: bool) -> Rounding:
    """Return how a layer rounds its inputs. `parts`: its scales by their names in the file.

    `native`: codes come in the format's own type, for products of that type, and not in the
    inputs' type. Only FP8 has such products here.
    """
    scale = parts.get("input_scale")
    number = None if scale is None else float(scale)
    match scheme.format.algorithm:
        case "NVFP4" if number is not None:
            found: Rounding = Nvfp4(number, scheme.group)
        case "FP8" if number is not None:
            found = Fp8(number, native=native)
        case "W8A8_SQ_PER_CHANNEL":
            found = Int8OfTokens() if number is None else Int8(number)
        case "W4A16_AWQ":
            found = unrounded
        case other:
            raise ValueError(f"no input_scale for {other}")
    smoothing = parts.get("pre_quant_scale")
    return found if smoothing is None else Smoothed(smoothing, found)


def unrounded(inputs: torch.Tensor) -> tuple[torch.Tensor, None]:
    """Leave inputs as they are."""
    return inputs, None


class Nvfp4:
    """E2M1 in blocks, each with an E4M3 scale found anew, under one fixed scale."""

    def __init__(self, scale: float, block: int) -> None:
        self._scale = scale
        self._block = block

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return codes x block scales, which bfloat16 holds exactly, and the fixed scale."""
        return _in_pieces(inputs, self._codes, inputs.dtype), self._scale

    def _codes(self, values: torch.Tensor) -> torch.Tensor:
        blocks = values.unflatten(-1, (-1, self._block))
        scales = block_scales(blocks.abs().amax(-1, keepdim=True), self._scale).float()
        return round_to_e2m1(blocks.div_(scales * self._scale)).mul_(scales).flatten(-2)


class Fp8:
    """E4M3 under one fixed scale; what is too large stays at the largest."""

    def __init__(self, scale: float, *, native: bool) -> None:
        import torch

        self._scale = scale
        # In float32, by way of the largest input, as ModelOpt has it.
        self._factor = float(E4M3_MAX / (torch.tensor(scale) * E4M3_MAX))
        self._native = native

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return codes and the fixed scale."""
        import torch

        codes = _in_pieces(inputs, self._codes, torch.float8_e4m3fn)
        return codes if self._native else codes.to(inputs.dtype), self._scale

    def _codes(self, values: torch.Tensor) -> torch.Tensor:
        return values.mul_(self._factor).clamp_(-E4M3_MAX, E4M3_MAX)


class Int8:
    """Whole numbers from -128 to 127 under one fixed scale."""

    def __init__(self, scale: float) -> None:
        import torch

        self._scale = scale
        self._factor = float(INT8_MAX / (torch.tensor(scale) * INT8_MAX))

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return codes and the fixed scale."""
        return _in_pieces(inputs, self._codes, inputs.dtype), self._scale

    def _codes(self, values: torch.Tensor) -> torch.Tensor:
        return values.mul_(self._factor).round_().clamp_(-INT8_MAX - 1, INT8_MAX)


class Int8OfTokens:
    """Whole numbers from -127 to 127, each token under a scale of its own."""

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return codes and the tokens' scales, (..., 1) in float32."""
        values = inputs.float()
        scales = values.abs().amax(-1, keepdim=True).clamp_(min=1e-12) / INT8_MAX
        return (values / scales).round_().to(inputs.dtype), scales


class Smoothed:
    """A rounding of inputs that are first multiplied by one number each."""

    def __init__(self, factors: torch.Tensor, after: Rounding) -> None:
        """`factors`: shape (width,)."""
        self._factors = factors
        self._after = after

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float | torch.Tensor | None]:
        """Return what comes of the product; it is rounded to the inputs' type, as ModelOpt's is."""
        return self._after(inputs * self._factors.to(inputs.dtype))


class Shared:
    """One rounding for layers that read the same tensor one after the other: done once.

    The latest codes are kept as long as that tensor lives. One thread only.
    """

    def __init__(self, rounding: Rounding) -> None:
        self._rounding = rounding
        self._seen: weakref.ref[torch.Tensor] | None = None
        self._found: tuple[torch.Tensor, float | torch.Tensor | None] | None = None

    def __call__(self, inputs: torch.Tensor) -> tuple[torch.Tensor, float | torch.Tensor | None]:
        """Return the rounding's result for these inputs, which must not have been changed since."""
        if self._found is not None and self._seen is not None and self._seen() is inputs:
            return self._found
        found = self._found = self._rounding(inputs)
        self._seen = weakref.ref(inputs, self._forget)
        return found

    def _forget(self, gone: weakref.ref[torch.Tensor]) -> None:
        if gone is self._seen:
            self._seen = self._found = None


def _in_pieces(
    inputs: torch.Tensor, work: Callable[[torch.Tensor], torch.Tensor], dtype: torch.dtype
) -> torch.Tensor:
    """Return what `work` makes of inputs, some rows at a time, as numbers of a type.

    `work` gets rows in float32, which it may change.
    """
    import torch

    rows = inputs.reshape(-1, inputs.shape[-1])
    found = torch.empty(rows.shape, dtype=dtype, device=rows.device)
    step = max(1, PIECE // rows.shape[-1])
    for start in range(0, rows.shape[0], step):
        piece = rows[start : start + step]
        values = piece.clone() if piece.dtype == torch.float32 else piece.float()
        found[start : start + step] = work(values)
    return found.view(inputs.shape)
