"""The model that reads: packed clips to the state behind their last token.

In the last layer keys and values are computed for every token, and all else for the last one of
each clip, after which the answer comes: nothing else would be read.

Source: `Qwen2_5_VLTextModel` of transformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Operations, Product
from edgewatch.pipeline.engines.native.attention import attend, attend_last
from edgewatch.pipeline.engines.native.packing import Packed
from edgewatch.pipeline.engines.native.sizes import LanguageSizes

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, eq=False)
class LanguageLayer:
    """One of the model's layers."""

    first_norm: torch.Tensor
    qkv: Product
    """Queries before keys before values."""
    out: Product
    second_norm: torch.Tensor
    gate_up: Product
    down: Product


@dataclass(frozen=True, slots=True, eq=False)
class LanguageWeights:
    """All of the model but its head."""

    embeddings: torch.Tensor
    """(vocabulary, width)."""
    layers: Sequence[LanguageLayer]
    norm: torch.Tensor
    head: Product


@dataclass(frozen=True, slots=True, eq=False)
class KeysValues:
    """Keys and values of tokens that were read: of every layer, turned by their places."""

    keys: torch.Tensor
    """(layers, slots, kv_heads, head)."""
    values: torch.Tensor

    @property
    def slots(self) -> int:
        """Tokens."""
        return int(self.keys.shape[1])

    @property
    def held_bytes(self) -> int:
        """Of both."""
        return int(self.keys.nbytes + self.values.nbytes)

    def part(self, first: int, count: int) -> KeysValues:
        """Return a copy of some tokens'."""
        return KeysValues(
            self.keys[:, first : first + count].clone(),
            self.values[:, first : first + count].clone(),
        )


class Language:
    """The model on its device. One thread only."""

    def __init__(
        self, sizes: LanguageSizes, weights: LanguageWeights, operations: Operations
    ) -> None:
        import torch

        self._sizes = sizes
        self._weights = weights
        self._operations = operations
        device = weights.embeddings.device
        # As the library computes them: float32 all the way.
        exponents = torch.arange(0, sizes.head, 2, dtype=torch.float32) / sizes.head
        self._frequencies = (1.0 / (sizes.theta**exponents)).to(device)
        axis = [index for index, count in enumerate(sizes.sections) for _ in range(count)]
        self._axis = torch.tensor(axis, device=device)
        self._last_queries, self._last_keys_values = weights.layers[-1].qkv.split(
            sizes.heads * sizes.head
        )

    def room(self, slots: int) -> KeysValues:
        """Return room for the keys and values of so many tokens."""
        import torch

        sizes, embeddings = self._sizes, self._weights.embeddings
        shape = (sizes.layers, slots, sizes.kv_heads, sizes.head)
        keys = torch.empty(shape, dtype=embeddings.dtype, device=embeddings.device)
        return KeysValues(keys, torch.empty_like(keys))

    def read(
        self,
        packed: Packed,
        features: torch.Tensor | None,
        *,
        known: Sequence[KeysValues | None] = (),
        keep: KeysValues | None = None,
    ) -> torch.Tensor:
        """Return the normed state at each passage's end, (passages as packed, width).

        `features`: (video tokens, width), passage by passage as packed; None where no passage
        has a video. `known`: for each group of
        `packed`, keys and values of the tokens that its passages begin with; None where it knows
        none. `keep`: room for `packed.slot_count` tokens, to be filled with every layer's keys and
        values; None keeps none.
        """
        import torch

        sizes, operations, weights = self._sizes, self._operations, self._weights
        device = weights.embeddings.device
        total = weights.embeddings[torch.from_numpy(packed.tokens).to(device, non_blocking=True)]
        if features is not None:
            total[torch.from_numpy(packed.video_rows).to(device, non_blocking=True)] = features
        cosines, sines = self._angles(torch.from_numpy(packed.places).to(device))
        slots = torch.from_numpy(packed.slots).to(device, non_blocking=True)
        ends = torch.from_numpy(packed.ends).to(device, non_blocking=True)
        queries = self._queries(packed, total)
        scratch = None if keep is not None else self._scratch(packed.slot_count, total)
        add: torch.Tensor | None = None
        last = len(weights.layers) - 1
        for number, layer in enumerate(weights.layers):
            keys, values = scratch or (keep.keys[number], keep.values[number])  # type: ignore[union-attr]
            _recall(packed, known, number, keys, values)
            if number == last:
                break
            inputs = operations.norm(
                total, layer.first_norm, sizes.eps, add=add, rounding=layer.qkv.rounding
            )
            operations.turn(layer.qkv(inputs), cosines, sines, slots, queries, keys, values)
            seen = attend(packed.groups, queries, keys, values)
            add = layer.out.add_to(total, operations.rounded(seen, layer.out.rounding))
            inputs = operations.norm(
                total, layer.second_norm, sizes.eps, add=add, rounding=layer.gate_up.rounding
            )
            gated = operations.gate(layer.gate_up(inputs), layer.down.rounding)
            add = layer.down.add_to(total, gated)
        layer = weights.layers[last]
        product = self._last_keys_values
        inputs = operations.norm(
            total, layer.first_norm, sizes.eps, add=add, rounding=product.rounding
        )
        operations.turn(product(inputs), cosines, sines, slots, None, keys, values)
        return self._finish(packed, total[ends], cosines[ends], sines[ends], keys, values)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next token, (states, vocabulary), in the network's type."""
        head = self._weights.head
        return head(self._operations.rounded(states, head.rounding))

    def _finish(
        self,
        packed: Packed,
        total: torch.Tensor,
        cosines: torch.Tensor,
        sines: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        """Take the last layer for the last tokens alone; `total`: (passages, width)."""
        import torch

        sizes, operations, weights = self._sizes, self._operations, self._weights
        layer, product = weights.layers[-1], self._last_queries
        inputs = operations.norm(total, layer.first_norm, sizes.eps, rounding=product.rounding)
        asked = product(inputs).view(len(total), -1, sizes.head)
        first, second = asked.float().chunk(2, dim=-1)
        cosines, sines = cosines[:, None], sines[:, None]
        turned = torch.cat(
            [first * cosines - second * sines, second * cosines + first * sines], dim=-1
        ).to(asked.dtype)
        seen = attend_last(packed.groups, turned, keys, values)
        add = layer.out.add_to(total, operations.rounded(seen, layer.out.rounding))
        inputs = operations.norm(
            total, layer.second_norm, sizes.eps, add=add, rounding=layer.gate_up.rounding
        )
        gated = operations.gate(layer.gate_up(inputs), layer.down.rounding)
        add = layer.down.add_to(total, gated)
        return operations.norm(total, weights.norm, sizes.eps, add=add)

    def _angles(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines of places (3, rows): (rows, head / 2) each, float32."""
        angles = places.float()[self._axis].T * self._frequencies
        return angles.cos(), angles.sin()

    def _queries(self, packed: Packed, total: torch.Tensor) -> torch.Tensor:
        """Return room for queries; what stands for known tokens is 0 and never looked at."""
        import torch

        make = torch.zeros if any(group.known for group in packed.groups) else torch.empty
        sizes = self._sizes
        shape = (packed.slot_count, sizes.heads, sizes.head)
        return make(shape, dtype=total.dtype, device=total.device)

    def _scratch(self, slots: int, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return room for one layer's keys and values, to be written over by the next."""
        import torch

        sizes = self._sizes
        keys = torch.empty(
            (slots, sizes.kv_heads, sizes.head), dtype=total.dtype, device=total.device
        )
        return keys, torch.empty_like(keys)


def _recall(
    packed: Packed,
    known: Sequence[KeysValues | None],
    layer: int,
    keys: torch.Tensor,
    values: torch.Tensor,
) -> None:
    """Put what is known in front of what will be read."""
    for group, one in zip(packed.groups, known, strict=bool(known)):
        if one is None:
            continue
        shape = (group.count, group.known + group.length, *keys.shape[1:])
        part = slice(group.first_slot, group.first_slot + group.slots)
        keys[part].view(shape)[:, : group.known] = one.keys[layer, : group.known]
        values[part].view(shape)[:, : group.known] = one.values[layer, : group.known]
