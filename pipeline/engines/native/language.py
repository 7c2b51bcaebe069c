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
from edgewatch.pipeline.engines.native.attention import attend, attend_last, attend_one
from edgewatch.pipeline.engines.native.layer import Layer
from edgewatch.pipeline.engines.native.packing import Packed
from edgewatch.pipeline.engines.native.replays import Replays
from edgewatch.pipeline.engines.native.sizes import LanguageSizes
from edgewatch.pipeline.engines.native.tables import tables_in, upload

if TYPE_CHECKING:
    import torch


SMALL_PASSAGES = 1
"""So many passages are read by a graph: more hide the launching of kernels by themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class LanguageWeights:
    """All of the model but its head."""

    embeddings: torch.Tensor
    """(vocabulary, width)."""
    layers: Sequence[Layer]
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

    @property
    def token_bytes(self) -> int:
        """Of one token's, in all layers."""
        return self.held_bytes // self.slots

    def part(self, first: int, count: int) -> KeysValues:
        """Return a copy of some tokens'."""
        return KeysValues(
            self.keys[:, first : first + count].clone(),
            self.values[:, first : first + count].clone(),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Next:
    """One token to be read behind others; all of it on the device."""

    id: torch.Tensor
    """int64, (1,)."""
    place: torch.Tensor
    """int64, (3, 1): time, row, column."""
    slot: torch.Tensor
    """int64, (1,): behind all that are read."""
    queries: torch.Tensor
    """(slots, heads, head): where its query stands for a moment, at its slot."""
    mask: torch.Tensor
    """(slots looked at,), in the network's type: 0 up to its own slot, minus infinity behind."""


class Language:
    """The model on its device. One thread only."""

    def __init__(
        self,
        sizes: LanguageSizes,
        weights: LanguageWeights,
        operations: Operations,
        replays: Replays,
    ) -> None:
        import torch

        self._replays = replays
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

    def query_room(self, slots: int) -> torch.Tensor:
        """Return room for one layer's queries of so many tokens, (slots, heads, head)."""
        import torch

        sizes, embeddings = self._sizes, self._weights.embeddings
        shape = (slots, sizes.heads, sizes.head)
        return torch.empty(shape, dtype=embeddings.dtype, device=embeddings.device)

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
        has a video. `known`: for each group of `packed`, keys and values of the tokens that its
        passages begin with; None where it knows none. `keep`: room for `packed.slot_count` tokens,
        to be filled with every layer's keys and values; None keeps none. The states are good until
        the next call.
        """
        numbers = upload(packed, self._weights.embeddings.device)
        if features is None or packed.groups[-1].first + packed.groups[-1].count > SMALL_PASSAGES:
            return self._read(packed, numbers, features, known, keep)

        def forward(inputs: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
            kept = self.room(packed.slot_count) if keep is not None else None
            states = self._read(packed, inputs[0], inputs[1], known, kept)
            return (states,) if kept is None else (states, kept.keys, kept.values)

        key = "read", packed.groups, len(packed.tokens), len(packed.video_rows), keep is not None
        holds = tuple(one for one in known if one is not None)
        states, *kept = self._replays.run(key, (numbers, features), forward, holds=holds)
        if keep is not None:
            keep.keys.copy_(kept[0])
            keep.values.copy_(kept[1])
        return states

    def _read(
        self,
        packed: Packed,
        numbers: torch.Tensor,
        features: torch.Tensor | None,
        known: Sequence[KeysValues | None],
        keep: KeysValues | None,
    ) -> torch.Tensor:
        """See `read`; `numbers`: `packed` on the device."""
        sizes, operations, weights = self._sizes, self._operations, self._weights
        tables = tables_in(numbers, packed)
        total = weights.embeddings[tables.tokens]
        if features is not None:
            total[tables.video_rows] = features
        cosines, sines = self._angles(tables.places)
        slots, ends = tables.slots, tables.ends
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
            add = self._behind_attention(layer, total, attend(packed.groups, queries, keys, values))
        layer = weights.layers[last]
        product = self._last_keys_values
        inputs = operations.norm(
            total, layer.first_norm, sizes.eps, add=add, rounding=product.rounding
        )
        operations.turn(product(inputs), cosines, sines, slots, None, keys, values)
        return self._finish(packed, total[ends], cosines[ends], sines[ends], keys, values)

    def step(self, token: Next, room: KeysValues) -> torch.Tensor:
        """Read one token behind those in `room`, which takes its key and value there too.

        Returns the normed state behind it, (1, width). Everything is on the device and of one
        shape, so that a CUDA graph can hold the step.
        """
        sizes, operations, weights = self._sizes, self._operations, self._weights
        total = weights.embeddings[token.id]
        cosines, sines = self._angles(token.place)
        add: torch.Tensor | None = None
        for number, layer in enumerate(weights.layers):
            keys, values = room.keys[number], room.values[number]
            inputs = operations.norm(
                total, layer.first_norm, sizes.eps, add=add, rounding=layer.qkv.rounding
            )
            operations.turn(
                layer.qkv(inputs), cosines, sines, token.slot, token.queries, keys, values
            )
            seen = attend_one(token.queries[token.slot], keys, values, token.mask)
            add = self._behind_attention(layer, total, seen)
        return operations.norm(total, weights.norm, sizes.eps, add=add)

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
        add = self._behind_attention(layer, total, attend_last(packed.groups, turned, keys, values))
        return operations.norm(total, weights.norm, sizes.eps, add=add)

    def _behind_attention(
        self, layer: Layer, total: torch.Tensor, seen: torch.Tensor
    ) -> torch.Tensor | None:
        """Take a layer from what its attention saw to its end; what it returns is still to be
        added to `total`."""
        operations = self._operations
        given = operations.rounded(seen, layer.out.rounding)
        del seen
        add = layer.out.add_to(total, given)
        inputs = operations.norm(
            total, layer.second_norm, self._sizes.eps, add=add, rounding=layer.gate_up.rounding
        )
        gated = operations.gated(layer.gate_up, inputs, layer.down.rounding)
        return layer.down.add_to(total, gated)

    def _angles(self, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return cosines and sines of places (3, rows): (rows, head / 2) each, float32."""
        angles = places.float()[self._axis].T.contiguous() * self._frequencies
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
