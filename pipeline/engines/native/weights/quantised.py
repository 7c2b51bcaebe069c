"""Weights of a checkpoint that was quantised: multiplied as they are stored, or unpacked at load.

What stands beside each other in one product (queries, keys and values; gate and up) may have a
scale each. A device's product takes one scale for all, or one for each output and row:

- vLLM and TensorRT-LLM round the others anew to the largest scale. That rounds twice: their error
  grows by up to half.
- Here each output keeps its own scale, to the last bit of the checkpoint's numbers, and inputs are
  scaled row by row, which is as exact as a calibrated scale or better and never cuts off. It costs
  nothing in front of such products, as a norm has the whole row anyway; the product itself ran
  2.5 % slower (measured on an H200). Where all scales are equal, the calibrated one is used; so it
  is for every product that stands alone, among them an MLP's second, whose inputs would have to
  be passed over twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.codes import e2m1_of_bytes
from edgewatch.pipeline.engines.native.arithmetic import Product, Rounding
from edgewatch.pipeline.engines.native.products import Fp8Product
from edgewatch.pipeline.engines.native.weights.formats import StoredFormat
from edgewatch.pipeline.engines.native.weights.inventory import is_quantised
from edgewatch.pipeline.engines.native.weights.precision import Choice
from edgewatch.pipeline.engines.native.weights.source import (
    NEVER_ROUNDED,
    PlainSource,
    Reader,
    fits,
    fp8_of,
    joined,
    pieces,
    widened,
)

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.weights.inventory import Stored


class QuantisedSource(PlainSource):
    """A checkpoint some of whose layers are stored in fewer bits; `Source`."""

    def __init__(
        self, reader: Reader, stored: Stored, dtype: torch.dtype, found: StoredFormat, *, fp8: bool
    ) -> None:
        """`dtype`: the network's own type. `fp8`: whether products are in E4M3; False: unpacked.

        Layers that the checkpoint holds plain stay plain: its maker left them out on purpose.
        """
        super().__init__(reader, dtype)
        self._found = found
        self._entries = stored
        self._fp8 = fp8

    def product(
        self, layers: Sequence[str], *, bias: bool, outputs: int = 0, inputs: int = 0
    ) -> Product:
        """See `Source`."""
        quantised = all(is_quantised(self._entries, one, self._found) for one in layers)
        if not self._fp8 or not quantised or layers[0].startswith(NEVER_ROUNDED):
            return super().product(layers, bias=bias, outputs=outputs, inputs=inputs)
        joined_bias = self._bias(layers, outputs) if bias else None
        if self._found.kind == "nvfp4":
            # E2M1 x E4M3 has a digit more than E4M3 holds: this rounds, as `Choice` says.
            unpacked = (widened(self._weight(one), outputs, inputs) for one in layers)
            product: Product | None = fp8_of(unpacked, joined_bias, self._dtype)
        else:
            product = self._stored_product(layers, joined_bias, outputs, inputs)
        return product or super().product(layers, bias=bias, outputs=outputs, inputs=inputs)

    def _weight(self, layer: str) -> torch.Tensor:
        """Return a layer's weight unpacked; in float32 where its own type may not hold it."""
        weight = self._stored.read(f"{layer}.weight")
        if not is_quantised(self._entries, layer, self._found):
            return weight.flatten(1)
        scale = self._stored.read(f"{layer}.weight_scale")
        if self._found.kind == "fp8":
            return _unpacked_fp8(weight, scale, self._dtype)
        whole = self._stored.read(f"{layer}.weight_scale_2").float().reshape(())
        return _unpacked_nvfp4(weight, scale, whole, self._dtype)

    def _stored_product(
        self, layers: Sequence[str], bias: torch.Tensor | None, outputs: int, inputs: int
    ) -> Fp8Product | None:
        """Return a product of the stored codes; None: the device takes no such shape."""
        import torch

        weights = [
            widened(self._stored.read(f"{one}.weight").view(torch.uint8), outputs, inputs)
            for one in layers
        ]
        if not fits(weights):
            return None
        scales = [self._stored.read(f"{one}.weight_scale").float().reshape(-1) for one in layers]
        heights = [len(one) for one in weights]
        codes = joined(weights, len(weights), torch.uint8).view(torch.float8_e4m3fn)
        if self._found.inputs == "fixed" and _all_equal(scales):
            largest = torch.stack(
                [self._stored.read(f"{one}.input_scale").float().reshape(()) for one in layers]
            ).amax()
            rounding = Rounding("fixed", largest)
            return Fp8Product(codes, scales[0].reshape(()), bias, self._dtype, rounding)
        each = [_padded_scale(scale, height) for scale, height in zip(scales, heights, strict=True)]
        return Fp8Product(codes, torch.cat(each), bias, self._dtype, Rounding("rows"))


def source_of(
    reader: Reader,
    stored: Stored,
    dtype: torch.dtype,
    found: StoredFormat | None,
    choice: Choice,
) -> PlainSource:
    """Return the source of a checkpoint's weights: `found` says how they are stored."""
    if found is not None:
        return QuantisedSource(reader, stored, dtype, found, fp8=choice.fp8)
    return PlainSource(reader, dtype, "fp8" if choice.fp8 else "plain")


def _unpacked_fp8(codes: torch.Tensor, scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Unpack E4M3 (outputs, inputs) under a scale for each output or one for all."""
    import torch

    weight = torch.empty(codes.shape, dtype=dtype, device=codes.device)
    scale = scale.float().reshape(()) if scale.numel() == 1 else scale.float().reshape(-1, 1)
    for rows in pieces(weight):
        weight[rows] = codes[rows].float() * (scale[rows] if scale.ndim else scale)
    return weight


def _unpacked_nvfp4(
    packed: torch.Tensor, blocks: torch.Tensor, whole: torch.Tensor, dtype: torch.dtype
) -> torch.Tensor:
    """Unpack two E2M1 a byte (outputs, inputs / 2) under E4M3 scales (outputs, inputs / 16)."""
    import torch

    weight = torch.empty((len(packed), 2 * packed.shape[1]), dtype=dtype, device=packed.device)
    for rows in pieces(weight):
        codes = e2m1_of_bytes(packed[rows], torch.float32).view(*blocks[rows].shape, -1)
        scales = blocks[rows].float() * whole
        weight[rows] = (codes * scales[..., None]).flatten(1)
    return weight


def _padded_scale(scale: torch.Tensor, outputs: int) -> torch.Tensor:
    """Return a scale for each output; those of zeros that were added have any."""
    from torch.nn.functional import pad

    if scale.numel() == 1:
        return scale.expand(outputs)
    return pad(scale, (0, outputs - len(scale)), value=1.0)


def _all_equal(scales: Sequence[torch.Tensor]) -> bool:
    """Whether all layers have the same one scale."""
    return all(one.numel() == 1 and bool((one == scales[0]).all()) for one in scales)
