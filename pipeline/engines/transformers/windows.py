"""Attention of the vision tower, windows of one size at a time instead of one by one.

The library goes through a clip's windows in a loop, in each of its layers: 90 small steps for ten
pairs of 252 x 252 frames, and the GPU waits for Python most of the time. Windows of equal size do
not look at each other, so they are computed as one batch: the same numbers within rounding.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PLANS_KEPT = 64


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    """Windows of one size."""

    length: int
    """Patches of a window."""
    places: torch.Tensor | None
    """Where their patches stand, shape (windows x length,); None: these are all patches there are,
    in order."""


class Windows:
    """Makes a vision tower attend by groups of windows. One thread only."""

    def __init__(self, visual: Any) -> None:
        """`visual`: a Qwen2_5_VisionTransformerPretrainedModel; its layers are changed."""
        self._layers = [block.attn for block in visual.blocks]
        self._plans: dict[tuple[int, ...], list[_Group]] = {}
        self._planned: tuple[Any, list[_Group]] | None = None
        self.group()

    def group(self) -> None:
        """Attend by groups."""
        for layer in self._layers:
            layer.forward = _Attention(layer, self)

    @contextmanager
    def ungrouped(self) -> Iterator[None]:
        """Let the library attend in its own way meanwhile: to be compared with."""
        for layer in self._layers:
            del layer.forward
        try:
            yield
        finally:
            self.group()

    def plan(self, bounds: torch.Tensor) -> list[_Group]:
        """Return the groups of windows between `bounds`, patch numbers that grow from 0.

        The layers of one forward share two tensors of bounds; reading one waits for the GPU, so
        each is read once.
        """
        if self._planned is not None and self._planned[0] is bounds:
            return self._planned[1]
        key = tuple(bounds.tolist())
        if key not in self._plans:
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            self._plans[key] = _groups(key, bounds.device)
        self._planned = bounds, self._plans[key]
        return self._plans[key]


class _Attention:
    """Stands for `Qwen2_5_VLVisionAttention.forward`, with the same parameters."""

    def __init__(self, layer: Any, windows: Windows) -> None:
        self._layer = layer
        self._windows = windows
        self._turned = sys.modules[type(layer).__module__].apply_rotary_pos_emb_vision

    def __call__(
        self,
        hidden_states: torch.Tensor,
        cu_seqlens: torch.Tensor,
        *_: Any,
        position_embeddings: Any = None,
        **__: Any,
    ) -> torch.Tensor:
        """Return what the patches see of their windows, (patches, width)."""
        import torch

        layer = self._layer
        count = hidden_states.shape[0]
        queries, keys, values = (
            layer.qkv(hidden_states).view(count, 3, layer.num_heads, -1).unbind(1)
        )
        queries, keys = self._turned(queries, keys, *position_embeddings)
        groups = self._windows.plan(cu_seqlens)
        if groups[0].places is None:
            seen = _attend(groups[0], queries, keys, values)
        else:
            seen = torch.empty_like(values)
            for group in groups:
                chosen = (each[group.places] for each in (queries, keys, values))
                seen[group.places] = _attend(group, *chosen)
        out: torch.Tensor = layer.proj(seen.reshape(count, -1))
        return out


def _attend(
    group: _Group, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Attend within each window; all (patches of the group, heads, width of a head)."""
    from torch.nn.functional import scaled_dot_product_attention

    apart = (
        each.view(-1, group.length, *each.shape[1:]).transpose(1, 2)
        for each in (queries, keys, values)
    )
    return scaled_dot_product_attention(*apart).transpose(1, 2).reshape(values.shape)


def _groups(bounds: tuple[int, ...], device: torch.device) -> list[_Group]:
    import torch

    spans = [(a, b) for a, b in itertools.pairwise(bounds) if b > a]
    lengths = sorted({b - a for a, b in spans})
    if len(lengths) == 1:
        return [_Group(lengths[0], None)]
    return [
        _Group(
            length,
            torch.tensor(
                [at for a, b in spans if b - a == length for at in range(a, b)], device=device
            ),
        )
        for length in lengths
    ]
