"""Products of quantised layers: imitated in the model's own type, or the device's FP8 ones.

Imitated: codes of inputs and weights are exact in bfloat16 (NVFP4, FP8, INT8), their products are
summed in float32 as the real ones are, and both scales are applied to the sum. What differs from a
device that has the format is the order of the sum, the time it takes, and the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.codes import unpack
from edgewatch.pipeline.engines.modelopt.scheme import Scheme
from edgewatch.pipeline.engines.transformers.modelopt.inputs import Rounding

if TYPE_CHECKING:
    import torch

ALIGNMENT = 16
"""What both sides of a matrix are multiples of in the device's FP8 products.

Source: torch/aten/src/ATen/native/cuda/Blas.cpp, `_scaled_mm_out_cuda`."""


class ImitatedProduct:
    """Stands for a linear layer's `forward`."""

    def __init__(
        self,
        scheme: Scheme,
        parts: Mapping[str, torch.Tensor],
        bias: torch.Tensor | None,
        rounding: Rounding,
        *,
        dtype: torch.dtype,
        packed: bool,
    ) -> None:
        """`parts`: the layer's tensors by their names in the file; `dtype`: of the imitation.

        `packed`: weights stay as they are stored and are unpacked at each call: slower, smaller.
        """
        import torch

        whole = unpack(scheme, parts, dtype)
        self._scale = None if whole.scale is None else _number(whole.scale)
        kept = {name: one for name, one in parts.items() if name.startswith("weight")}
        codes = whole.codes
        self._codes: Callable[[], torch.Tensor] = (
            (lambda: unpack(scheme, kept, dtype).codes) if packed else (lambda: codes)
        )
        self._rounding = rounding
        self._bias = bias
        self._nothing = torch.zeros(1, dtype=dtype, device=parts["weight"].device)

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, (..., outputs), for inputs (..., inputs) of one type."""
        codes, scale = self._rounding(inputs)
        matrix = self._codes()
        found = self._multiplied(codes.flatten(0, -2), scale, matrix)
        return found.view(*inputs.shape[:-1], matrix.shape[0])

    def _multiplied(
        self, codes: torch.Tensor, scale: float | torch.Tensor | None, matrix: torch.Tensor
    ) -> torch.Tensor:
        import torch

        if self._scale is None:  # a weight as it is, and inputs as they are
            return torch.nn.functional.linear(codes, matrix, self._bias)
        if isinstance(scale, float) and isinstance(self._scale, float):
            # The scale is applied to the sum before that is rounded: as in the real product.
            bias = self._nothing if self._bias is None else self._bias
            beta = 0 if self._bias is None else 1
            return torch.addmm(bias, codes, matrix.t(), beta=beta, alpha=scale * self._scale)
        by_token = scale.reshape(-1, 1) if isinstance(scale, torch.Tensor) else scale
        found = (codes @ matrix.t()).float() * self._scale * (1.0 if by_token is None else by_token)
        if self._bias is not None:
            found += self._bias
        return found.to(codes.dtype)


class Fp8Product:
    """Stands for a linear layer's `forward` by the device's own FP8 products."""

    def __init__(
        self, parts: Mapping[str, torch.Tensor], bias: torch.Tensor | None, rounding: Rounding
    ) -> None:
        """`parts`: the layer's tensors by their names in the file; `rounding` gives E4M3."""
        import torch

        weight = parts["weight"]
        self._outputs, self._inputs = weight.shape
        # Zeros to the next multiple change no sum.
        self._weight = _padded(weight, -weight.shape[0] % ALIGNMENT, -weight.shape[1] % ALIGNMENT)
        self._input_scale = parts["input_scale"].float().reshape(())
        self._weight_scale = parts["weight_scale"].float().reshape(())
        self._rounding = rounding
        self._bias = bias
        if bias is not None and self._weight.shape[0] > self._outputs:
            self._bias = torch.nn.functional.pad(bias, (0, self._weight.shape[0] - self._outputs))

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, (..., outputs), for bfloat16 inputs (..., inputs)."""
        import torch

        codes, _ = self._rounding(inputs)
        rows = codes.flatten(0, -2)
        if self._weight.shape[1] > self._inputs:
            rows = _padded(rows, 0, self._weight.shape[1] - self._inputs)
        found = torch._scaled_mm(
            rows,
            self._weight.t(),
            scale_a=self._input_scale,
            scale_b=self._weight_scale,
            bias=self._bias,
            out_dtype=inputs.dtype,
        )
        if found.shape[-1] > self._outputs:
            found = found[:, : self._outputs].contiguous()
        return found.view(*inputs.shape[:-1], self._outputs)


def fp8_products_work(device: torch.device, *, by_rows: bool = False) -> bool:
    """Try one FP8 product on a device: torch may be built without, or have dropped them.

    `by_rows`: with a scale a row and an output, which older torch has on Hopper only.
    """
    import torch

    try:
        one = torch.ones((ALIGNMENT, ALIGNMENT), device=device).to(torch.float8_e4m3fn)
        scale = torch.ones((ALIGNMENT, 1) if by_rows else (), device=device)
        found = torch._scaled_mm(
            one,
            one.t(),
            scale_a=scale,
            scale_b=scale.view(1, -1) if by_rows else scale,
            out_dtype=torch.bfloat16,
            use_fast_accum=by_rows,
        )
        return bool((found == ALIGNMENT).all())
    except (RuntimeError, NotImplementedError, TypeError, AttributeError, ValueError):
        return False


def _padded(matrix: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Add rows and columns of zeros to a matrix of E4M3."""
    import torch

    if not rows and not columns:
        return matrix.contiguous()
    wide = torch.nn.functional.pad(matrix.view(torch.uint8), (0, columns, 0, rows))
    return wide.view(torch.float8_e4m3fn)


def _number(scale: torch.Tensor) -> float | torch.Tensor:
    return scale if scale.ndim else float(scale)
