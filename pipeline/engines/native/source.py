"""Weights in the types that the network computes in: plain, or quantised at load or before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from edgewatch.pipeline.engines.native.arithmetic import Product
from edgewatch.pipeline.engines.native.products import PlainProduct, fp8_by_rows
from edgewatch.pipeline.engines.native.stored import StoredWeights

if TYPE_CHECKING:
    import torch

Precision = Literal["plain", "fp8"]
"""What products are computed in: the network's own type, or E4M3."""
NEVER_ROUNDED = ("visual.patch_embed", "lm_head", "model.embed_tokens")
"""Layers that stay in the network's own type: few, and what they lose shows at once."""


class PlainSource:
    """A checkpoint whose weights are plain; `Source`."""

    def __init__(
        self, stored: StoredWeights, dtype: torch.dtype, precision: Precision = "plain"
    ) -> None:
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
        import torch

        weight = torch.cat([self._weight(name, outputs, inputs) for name in layers])
        biases = [widened(self.plain(f"{name}.bias"), outputs) for name in layers] if bias else []
        joined = torch.cat(biases) if biases else None
        if self._precision == "fp8" and not layers[0].startswith(NEVER_ROUNDED):
            return fp8_by_rows(weight, joined, self._dtype)
        return PlainProduct(weight, joined)

    def _weight(self, name: str, outputs: int, inputs: int) -> torch.Tensor:
        return widened(self.plain(f"{name}.weight").flatten(1), outputs, inputs)


def widened(weight: torch.Tensor, outputs: int, inputs: int = 0) -> torch.Tensor:
    """Add zeros at the end of the outputs and inputs; 0: none."""
    from torch.nn.functional import pad

    below = max(0, outputs - weight.shape[0])
    if weight.ndim == 1:
        return pad(weight, (0, below)) if below else weight
    right = max(0, inputs - weight.shape[1])
    return pad(weight, (0, right, 0, below)) if below or right else weight
