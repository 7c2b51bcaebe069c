"""One language model cut over several devices, so that each holds and multiplies a part of it.

Megatron's cut: queries, keys, values and both halves of an MLP's first product are cut by outputs
(whole heads, whole columns), what reads them by inputs. Each device's second product is then a
part of a sum, and one sum over all devices after attention and one after the MLP make it whole;
everything between is the same on every device. Embeddings, norms, the head and the tower that
sees are not cut.

Source: Shoeybi et al., "Megatron-LM", arXiv 1909.08053, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Inputs, Product, Rounding
from edgewatch.pipeline.engines.native.language import LanguageWeights
from edgewatch.pipeline.engines.native.sizes import LanguageSizes
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_LAYER = re.compile(
    r"model\.layers\.\d+\.(?:self_attn\.(?P<attention>[qkvo])_proj|mlp\.(?P<mlp>gate|up|down)_proj)"
    r"\.(?P<kind>\w+)"
)
_CUT_KINDS = frozenset({"weight", "bias", "weight_packed", "weight_scale", "weight_scale_inv"})
"""What grows with a layer. Others (scales of inputs, of whole weights) hold for every part."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Which part of the model: the one of number `rank` among `count`."""

    rank: int
    count: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a stored tensor: from `first` to before `end` along `axis`."""

    axis: int
    first: int
    end: int


def cut_of(name: str, shape: tuple[int, ...], shard: Shard) -> Cut | None:
    """Return which part of a stored tensor a shard holds; None: all of it.

    `name`: canonical. Scales and packed codes are cut as their weight is, by share, as all of them
    lie along its outputs and inputs. Raises EngineFailed if the parts would not be equal.
    """
    found = _LAYER.fullmatch(name)
    if found is None or found["kind"] not in _CUT_KINDS:
        return None
    axis = 1 if "o" in (found["attention"] or "") or found["mlp"] == "down" else 0
    if len(shape) <= axis or shape[axis] == 1:
        return None
    if shape[axis] % shard.count:
        raise EngineFailed(
            f"{name}: {shape[axis]} along axis {axis} cannot be shared evenly by "
            f"tensor_parallel = {shard.count}",
            "set [engine] tensor_parallel to 1 or 2, or take a checkpoint with smaller groups",
        )
    part = shape[axis] // shard.count
    return Cut(axis, shard.rank * part, (shard.rank + 1) * part)


def sizes_of(sizes: LanguageSizes, shard: Shard) -> LanguageSizes:
    """Return the sizes of a shard. Raises EngineFailed if heads or columns do not divide."""
    count = shard.count
    shared = {
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "intermediate_size": sizes.mlp,
    }
    uneven = [f"{key} {value}" for key, value in shared.items() if value % count]
    if uneven:
        fitting = [
            each
            for each in range(1, sizes.kv_heads + 1)
            if not any(value % each for value in shared.values())
        ]
        raise EngineFailed(
            f"[engine] tensor_parallel = {count} does not divide this model: {', '.join(uneven)}",
            f"set tensor_parallel to one of {', '.join(map(str, fitting))}",
        )
    return replace(
        sizes,
        heads=sizes.heads // count,
        kv_heads=sizes.kv_heads // count,
        mlp=sizes.mlp // count,
    )


Sum = Callable[["torch.Tensor"], None]
"""Replaces a tensor by the sum of all shards'; all of them call it, in the same order."""


class SummedProduct:
    """A product whose inputs are cut: what it gives is summed over all shards; `Product`."""

    def __init__(self, part: Product, together: Sum) -> None:
        self._part = part
        self._together = together

    @property
    def rounding(self) -> Rounding:
        """The part's."""
        return self._part.rounding

    def __call__(self, inputs: Inputs) -> torch.Tensor:
        """Return the whole product on every shard."""
        product = self._part(inputs)
        self._together(product)
        return product

    def add_to(self, total: torch.Tensor, inputs: Inputs) -> torch.Tensor | None:
        """Return the product: only its sum may be added, and only once."""
        del total
        return self(inputs)

    def split(self, outputs: int) -> tuple[Product, Product]:
        """Return two products of the same weights: of the first outputs, and of the others."""
        first, second = self._part.split(outputs)
        return SummedProduct(first, self._together), SummedProduct(second, self._together)

    @property
    def held_bytes(self) -> int:
        """Of the part."""
        return self._part.held_bytes


def summed(weights: LanguageWeights, together: Sum) -> LanguageWeights:
    """Return a shard's weights with what makes its products whole."""
    layers = [
        replace(
            layer,
            out=SummedProduct(layer.out, together),
            down=SummedProduct(layer.down, together),
        )
        for layer in weights.layers
    ]
    return replace(weights, layers=layers)
