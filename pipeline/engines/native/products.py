"""Linear layers: in the network's own type, or in E4M3 with scales."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import (
    E4M3_MAX,
    LEAST_SIZE,
    PLAIN,
    Codes,
    Inputs,
    Rounding,
)

if TYPE_CHECKING:
    import torch


class PlainProduct:
    """A weight in the network's own type."""

    rounding = PLAIN

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """`weight`: (outputs, inputs), contiguous."""
        self.weight = weight
        self.bias = bias

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return (rows, outputs)."""
        import torch

        assert not isinstance(inputs, Codes)
        if self.bias is None:
            return inputs @ self.weight.T
        return torch.addmm(self.bias, inputs, self.weight.T)

    def add_to(self, total: torch.Tensor, inputs: Inputs) -> torch.Tensor | None:
        """Let the product itself add up, where there is no bias to be added as well."""
        if self.bias is not None:
            return self(inputs)
        assert not isinstance(inputs, Codes)
        total.addmm_(inputs, self.weight.T)
        return None

    def split(self, outputs: int) -> tuple[PlainProduct, PlainProduct]:
        """Return two products of the same weights: of the first outputs, and of the others."""
        biases = (None, None) if self.bias is None else (self.bias[:outputs], self.bias[outputs:])
        return (
            PlainProduct(self.weight[:outputs], biases[0]),
            PlainProduct(self.weight[outputs:], biases[1]),
        )

    @property
    def held_bytes(self) -> int:
        """Of weight and bias."""
        return int(self.weight.nbytes + (0 if self.bias is None else self.bias.nbytes))


class Fp8Product:
    """A weight in E4M3: under a scale of each output, or one for all.

    Runs on the device's own FP8 products; where it has none (a CPU), codes are multiplied in
    float32, which is what the device does up to the order of its sums.
    """

    def __init__(
        self,
        codes: torch.Tensor,
        scale: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        rounding: Rounding,
    ) -> None:
        """`codes`: E4M3 (outputs, inputs). `scale`: float32, (outputs,) or one number. `dtype`: of
        what comes out. `rounding`: "rows" where the scale is by outputs, "fixed" where it is one
        number: a device takes no mixture."""
        if (rounding.kind == "fixed") != (scale.ndim == 0) or rounding.kind == "none":
            raise ValueError("scales of weights and inputs are both single, or both are not")
        self.rounding = rounding
        self.codes = codes
        self.scale = scale if scale.ndim == 0 else scale.view(1, -1)
        self.bias = bias
        self._dtype = dtype
        self._on_host = codes.device.type == "cpu"

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return (rows, outputs)."""
        import torch

        assert isinstance(inputs, Codes)
        if self._on_host:
            sums = (inputs.codes.float() @ self.codes.float().T) * inputs.scale * self.scale
            return (sums if self.bias is None else sums + self.bias.float()).to(self._dtype)
        return torch._scaled_mm(
            inputs.codes,
            self.codes.T,
            scale_a=inputs.scale,
            scale_b=self.scale,
            bias=self.bias,
            out_dtype=self._dtype,
            use_fast_accum=True,
        )

    def add_to(self, total: torch.Tensor, inputs: Inputs) -> torch.Tensor | None:
        """Return the product: torch's FP8 products add nothing."""
        del total
        return self(inputs)

    def split(self, outputs: int) -> tuple[Fp8Product, Fp8Product]:
        """Return two products of the same weights: of the first outputs, and of the others."""
        first, second = slice(None, outputs), slice(outputs, None)
        return self._part(first), self._part(second)

    def _part(self, outputs: slice) -> Fp8Product:
        scale = self.scale if self.scale.ndim == 0 else self.scale[0, outputs]
        bias = None if self.bias is None else self.bias[outputs]
        return Fp8Product(self.codes[outputs], scale, bias, self._dtype, self.rounding)

    @property
    def held_bytes(self) -> int:
        """Of codes, scales and bias."""
        bias_bytes = 0 if self.bias is None else self.bias.nbytes
        return int(self.codes.nbytes + self.scale.nbytes + bias_bytes)


def fp8_by_rows(weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype) -> Fp8Product:
    """Quantise a weight (outputs, inputs) at load: a scale an output, inputs scaled row by row."""
    import torch

    weight = weight.float()
    scale = weight.abs().amax(dim=1).clamp_(min=LEAST_SIZE) / E4M3_MAX
    codes = (weight / scale[:, None]).clamp_(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn)
    return Fp8Product(codes, scale, bias, dtype, Rounding("rows"))
