"""The tower that sees: pairs of frames to tokens.

A pair's tokens rest on its two frames alone: windows and full attention end with the pair, and
places know rows and columns only. So pairs of any clips, cameras and sizes share a batch, and what
was computed for one may be used in every clip that holds it.

Source: `Qwen2_5_VisionTransformerPretrainedModel` of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Codes, Inputs, Operations, Product
from edgewatch.pipeline.engines.native.frames import FrameSizes, PairTables
from edgewatch.pipeline.engines.native.layer import Layer
from edgewatch.pipeline.engines.native.replays import Replays
from edgewatch.pipeline.engines.native.sizes import VisionSizes

if TYPE_CHECKING:
    import torch

SMALL_PAIRS = 10
"""So many pairs of one size are seen by a graph: more hide the launching of kernels by
themselves."""
EPS = 1e-6
"""Of the tower's norms. Source: `Qwen2_5_VLVisionBlock`."""


@dataclass(frozen=True, slots=True, eq=False)
class VisionWeights:
    """All of the tower."""

    patches: Product
    layers: Sequence[Layer]
    norm: torch.Tensor
    merge_in: Product
    merge_out: Product


class Vision:
    """The tower on its device. One thread only."""

    def __init__(
        self,
        sizes: VisionSizes,
        weights: VisionWeights,
        operations: Operations,
        frame_sizes: FrameSizes,
        replays: Replays,
    ) -> None:
        self._replays = replays
        self._sizes = sizes
        self._weights = weights
        self._operations = operations
        self._frame_sizes = frame_sizes

    def see(self, pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the tokens of pairs, (pairs, tokens, width of the language model) for each entry.

        `pixels`: one entry a size, uint8 (pairs, 2, height, width, 3) on the device. All go through
        the tower's products together. The tokens are good until the next call.
        """
        if len(pixels) > 1 or len(pixels[0]) > SMALL_PAIRS:
            return self._see(pixels)
        key = "see", tuple(pixels[0].shape)
        holds = (self._tables(pixels[0]),)
        return list(self._replays.run(key, pixels, self._see, holds=holds))

    def _tables(self, pixels: torch.Tensor) -> PairTables:
        side = self._sizes.patch * self._sizes.merge
        return self._frame_sizes.of(pixels.shape[2] // side, pixels.shape[3] // side)

    def _see(self, pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        sizes, operations, weights = self._sizes, self._operations, self._weights
        parts = [(self._tables(one), len(one)) for one in pixels]
        total = weights.patches(
            _joined(
                [
                    operations.patches(one, tables)
                    for one, (tables, _) in zip(pixels, parts, strict=True)
                ]
            )
        )
        add: torch.Tensor | None = None
        for number, layer in enumerate(weights.layers):
            inputs = operations.norm(
                total, layer.first_norm, EPS, add=add, rounding=layer.qkv.rounding
            )
            seen = self._attend(layer.qkv(inputs), parts, layer, full=number in sizes.full_layers)
            add = layer.out.add_to(total, seen)
            inputs = operations.norm(
                total, layer.second_norm, EPS, add=add, rounding=layer.gate_up.rounding
            )
            # Not held by a name, which would keep it until the next layer's is made.
            add = layer.down.add_to(
                total, operations.gated(layer.gate_up, inputs, layer.down.rounding)
            )
        return self._merged(total, add, parts)

    def _attend(
        self,
        qkv: torch.Tensor,
        parts: Sequence[tuple[PairTables, int]],
        layer: Layer,
        *,
        full: bool,
    ) -> Inputs:
        attend = self._operations.attend_pairs if full else self._operations.attend_windows
        if len(parts) == 1:
            return attend(qkv, parts[0][0], layer.out.rounding)
        rows = [tables.plan.patches * count for tables, count in parts]
        seen = [
            attend(one, tables) for one, (tables, _) in zip(qkv.split(rows), parts, strict=True)
        ]
        return self._operations.rounded(_joined(seen), layer.out.rounding)

    def _merged(
        self,
        total: torch.Tensor,
        add: torch.Tensor | None,
        parts: Sequence[tuple[PairTables, int]],
    ) -> list[torch.Tensor]:
        from torch.nn.functional import gelu

        operations, weights = self._operations, self._weights
        normed = operations.norm(total, weights.norm, EPS, add=add)
        assert not isinstance(normed, Codes)
        tokens = normed.view(len(total) // self._sizes.merged, -1)
        hidden = gelu(weights.merge_in(operations.rounded(tokens, weights.merge_in.rounding)))
        out = weights.merge_out(operations.rounded(hidden, weights.merge_out.rounding))
        found = []
        for one, (tables, count) in zip(
            out.split([tables.plan.tokens * count for tables, count in parts]), parts, strict=True
        ):
            found.append(one.view(count, tables.plan.tokens, -1)[:, tables.restore])
        return found


def _joined(parts: Sequence[Inputs]) -> torch.Tensor:
    import torch

    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
