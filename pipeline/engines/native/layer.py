"""A layer's weights: the tower's and the language model's are made alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Product

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """Attention and an MLP, each behind a norm and added to what came before."""

    first_norm: torch.Tensor
    qkv: Product
    """Queries before keys before values."""
    out: Product
    second_norm: torch.Tensor
    gate_up: Product
    """The gate before what it gates."""
    down: Product
