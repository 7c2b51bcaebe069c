"""Weights in the types that the network computes in: plain, or quantised at load or before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from edgewatch.pipeline.engines.native.arithmetic import E4M3_MAX, LEAST_SIZE, Product, Rounding
from edgewatch.pipeline.engines.native.products import Fp8Product, PlainProduct

if TYPE_CHECKING:
    import torch

Precision = Literal["plain", "fp8"]
"""What products are computed in: the network's own type, or E4M3."""
NEVER_ROUNDED = ("visual.patch_embed", "lm_head", "model.embed_tokens")
"""Layers that stay in the network's own type: few, and what they lose shows at once."""
_SIDE = 16
"""Both sides of the device's FP8 products are multiples of this; other layers stay plain.

Source: torch/aten/src/ATen/native/cuda/Blas.cpp, `_scaled_mm_out_cuda`."""
_PIECE_ELEMENTS = 2**24
"""So much of a weight is rounded at a time: 64 MiB in float32, whatever the weight's size."""


class Reader(Protocol):
    """Stored weights by canonical name; `stored.StoredWeights`."""

    def read(self, name: str) -> torch.Tensor:
        """Return a weight on the device, as it is stored."""


class PlainSource:
    """A checkpoint whose weights are plain; `Source`."""

    def __init__(self, stored: Reader, dtype: torch.dtype, precision: Precision = "plain") -> None:
        """`dtype`: the network's own type. `precision`: of products; "fp8" quantises at load."""
        self._stored = stored
        self._dtype = dtype
        self._precision = precision

    def plain(self, name: str) -> torch.Tensor:
        """See `Source`."""
        return self._stored.read(name).to(self._dtype)

    def product(
        self, layers: Sequence[str], *, bias: bool, outputs: int = 0, inputs: int = 0
    ) -> Product:
        """See `Source`."""

        def weights() -> Iterator[torch.Tensor]:
            return (widened(self._weight(name), outputs, inputs) for name in layers)

        joined_bias = self._bias(layers, outputs) if bias else None
        if self._precision == "fp8" and not layers[0].startswith(NEVER_ROUNDED):
            found = fp8_of(weights(), joined_bias, self._dtype)
            if found is not None:
                return found
        return PlainProduct(joined(weights(), len(layers), self._dtype), joined_bias)

    def _weight(self, layer: str) -> torch.Tensor:
        """Return a layer's weight, (outputs, inputs), in any plain type."""
        return self._stored.read(f"{layer}.weight").flatten(1)

    def _bias(self, layers: Sequence[str], outputs: int) -> torch.Tensor:
        parts = (widened(self.plain(f"{one}.bias"), outputs) for one in layers)
        return joined(parts, len(layers), self._dtype)


def joined(parts: Iterable[torch.Tensor], count: int, dtype: torch.dtype) -> torch.Tensor:
    """Return `count` parts one above the other, in a type; the first is the largest.

    No more than one of them is held besides: each is let go of before the next is read.
    """
    import torch

    waiting = iter(parts)
    part = next(waiting)
    if count == 1:
        return part.to(dtype).contiguous()
    whole = torch.empty((count * len(part), *part.shape[1:]), dtype=dtype, device=part.device)
    filled = 0
    while True:
        whole[filled : filled + len(part)] = part
        filled += len(part)
        del part
        following = next(waiting, None)
        if following is None:
            break
        part = following
        del following
    # Keys and values are lower than queries.
    return whole if filled == len(whole) else whole[:filled].clone()


def fp8_of(
    weights: Iterable[torch.Tensor], bias: torch.Tensor | None, dtype: torch.dtype
) -> Fp8Product | None:
    """Round weights (outputs, inputs) to a product in E4M3 with a scale an output.

    None: the device multiplies no weights of such a shape.
    """
    import torch

    parts = [codes_by_rows(one) for one in weights]
    codes = [one for one, _ in parts]
    if not fits(codes):
        return None
    scale = torch.cat([one for _, one in parts])
    whole = joined([one.view(torch.uint8) for one in codes], len(codes), torch.uint8)
    return Fp8Product(whole.view(torch.float8_e4m3fn), scale, bias, dtype, Rounding("rows"))


def fits(parts: Sequence[torch.Tensor]) -> bool:
    """Whether weights one above the other have a shape that the device's FP8 products take."""
    return sum(len(one) for one in parts) % _SIDE == 0 and parts[0].shape[1] % _SIDE == 0


def codes_by_rows(
    weight: torch.Tensor, piece_elements: int = _PIECE_ELEMENTS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a weight (outputs, inputs) as E4M3 codes and float32 scales (outputs,)."""
    import torch

    codes = torch.empty(weight.shape, dtype=torch.float8_e4m3fn, device=weight.device)
    scale = torch.empty(len(weight), dtype=torch.float32, device=weight.device)
    for rows in pieces(weight, piece_elements):
        piece = weight[rows].float()
        scale[rows] = piece.abs().amax(dim=1).clamp_(min=LEAST_SIZE) / E4M3_MAX
        rounded = (piece / scale[rows, None]).clamp_(-E4M3_MAX, E4M3_MAX)
        codes[rows] = rounded.to(codes.dtype)
    return codes, scale


def pieces(weight: torch.Tensor, piece_elements: int = _PIECE_ELEMENTS) -> Iterator[slice]:
    """Yield the rows of a weight (outputs, inputs) piece by piece: what is computed of them in
    float32 then takes little room."""
    step = max(1, piece_elements // weight.shape[1])
    for first in range(0, len(weight), step):
        yield slice(first, first + step)


def widened(weight: torch.Tensor, outputs: int, inputs: int = 0) -> torch.Tensor:
    """Add zeros at the end of the outputs and inputs; 0: none."""
    from torch.nn.functional import pad

    below = max(0, outputs - weight.shape[0])
    if weight.ndim == 1:
        return pad(weight, (0, below)) if below else weight
    right = max(0, inputs - weight.shape[1])
    return pad(weight, (0, right, 0, below)) if below or right else weight
