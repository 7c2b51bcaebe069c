"""What this engine takes of a device's memory: weights to the byte, and a batch at its fullest.

Weights are counted by making them on torch's "meta" device, which has no memory, by the very code
that loads them. A batch is fullest inside an MLP: in the tower, or in the model that reads, as one
is through before the other begins. Those tensors are counted that the forward holds there, as it
is written (`vision`, `language`), with the kernels of a GPU; tests hold both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.device_memory import is_unified
from edgewatch.pipeline.engines.memory_plan import (
    RESERVE_BYTES,
    TEXT_TOKENS,
    UNIFIED_RESERVE_BYTES,
    WORDS_TOKENS,
    Memory,
    MemoryPlan,
    memory_of,
)
from edgewatch.pipeline.engines.native.sharing.shards import Shard, cut_of, sizes_of
from edgewatch.pipeline.engines.native.sizes import LanguageSizes, Sizes, VisionSizes, read_sizes
from edgewatch.pipeline.engines.native.weights.assembly import ROW_OF, assemble
from edgewatch.pipeline.engines.native.weights.formats import read_format
from edgewatch.pipeline.engines.native.weights.precision import choose_for
from edgewatch.pipeline.engines.native.weights.quantised import source_of
from edgewatch.pipeline.engines.native.weights.source import Reader
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights
from edgewatch.pipeline.engines.native.words.recent import MOST_BYTES
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip

if TYPE_CHECKING:
    import torch

    from edgewatch.pipeline.engines.native.arithmetic import Product
    from edgewatch.pipeline.engines.native.language import LanguageWeights
    from edgewatch.pipeline.engines.native.vision import VisionWeights
    from edgewatch.pipeline.engines.native.weights.inventory import Stored

MULTIPLYING_BYTES = 64 * 2**20
"""Room that cuBLAS and cuBLASLt take from torch for products; 32 MiB each on Hopper and later.

Source: torch/aten/src/ATen/cuda/CublasHandlePool.cpp, `parseChosenWorkspaceSize`."""
_MEMINFO = Path("/proc/meminfo")
_BATCHES_HELD = 2
"""Batches whose keys and values are held for words at once: one is launched while the other is at
work."""
_DTYPES: Mapping[str, str] = {
    "BF16": "bfloat16",
    "F16": "float16",
    "F32": "float32",
    "F8_E4M3": "float8_e4m3fn",
}
"""safetensors' names to torch's; what else there is takes a byte."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes on the device for batches of one kind of clip."""

    weights_bytes: int
    seeing_bytes: int
    """Of one clip while the tower sees it."""
    reading_bytes: int
    """Of one clip while it is read."""
    held_bytes: int
    """One clip's keys and values, where they are held for words; else 0."""
    kept_bytes: int
    """What stays whatever the batch: sights, recent readings, a text under way, room of cuBLAS."""

    @property
    def clip_bytes(self) -> int:
        """Each clip's at the fullest: the batch before is still held while this one is seen."""
        return max(
            self.seeing_bytes + (_BATCHES_HELD - 1) * self.held_bytes,
            self.reading_bytes + _BATCHES_HELD * self.held_bytes,
        )

    def peak_bytes(self, batch: int) -> int:
        """Return the most that is held at once with batches of so many clips."""
        return self.weights_bytes + self.kept_bytes + batch * self.clip_bytes


def plan_native(setup: EngineSetup, device: torch.device, shard: Shard | None = None) -> MemoryPlan:
    """Plan the memory of a checkpoint and its batches on a device, before anything is loaded.

    Raises EngineFailed if the checkpoint cannot be computed there.
    """
    assert setup.model is not None
    free = _memory(device)  # first: looking takes room, too
    used = usage_of(setup, device, shard=shard)
    return plan_of(setup.model, used, setup.max_batch, free, unified=is_unified(device))


def plan_of(
    checkpoint: Path, used: Usage, max_batch: int, free: Memory, *, unified: bool
) -> MemoryPlan:
    """Return the largest batch that fits into what is free; `unified`: the host lives there too."""
    reserve_bytes = used.kept_bytes + (UNIFIED_RESERVE_BYTES if unified else RESERVE_BYTES)
    left_bytes = free.free_bytes - used.weights_bytes - reserve_bytes
    return MemoryPlan(
        checkpoint=checkpoint,
        weights_bytes=used.weights_bytes,
        clip_bytes=used.clip_bytes,
        reserve_bytes=reserve_bytes,
        free_bytes=free.free_bytes,
        cache_bytes=free.cache_bytes,
        max_batch=max_batch,
        batch=min(max_batch, max(0, left_bytes // used.clip_bytes)),
        unified=unified,
    )


def usage_of(setup: EngineSetup, device: torch.device, *, shard: Shard | None = None) -> Usage:
    """Return what a set-up takes on a device. Raises EngineFailed."""
    import torch

    assert setup.model is not None
    sizes, found = read_sizes(setup.model), read_format(setup.model)
    choice = choose_for(setup.precision, found, device)
    if shard is not None:
        sizes = replace(sizes, language=sizes_of(sizes.language, shard))
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with StoredWeights(setup.model, torch.device("cpu")) as stored:
        empty = EmptyWeights(stored.entries, shard, stored)
        weights = assemble(sizes, source_of(empty, stored.entries, dtype, found, choice))
    used = usage_of_weights(
        sizes,
        *weights,
        setup.largest_clip,
        words_tokens=WORDS_TOKENS if setup.form.words_tokens else 0,
        sight_bytes=setup.vision_cache_bytes if setup.incremental else 0,
    )
    if device.type != "cuda":
        return used
    # Graphs of single clips share one pool, which keeps what the largest of them takes.
    graphs_bytes = max(used.seeing_bytes, used.reading_bytes) + used.held_bytes
    return replace(used, kept_bytes=used.kept_bytes + graphs_bytes)


def usage_of_weights(
    sizes: Sizes,
    vision: VisionWeights,
    language: LanguageWeights,
    largest: LargestClip,
    *,
    text_tokens: int = TEXT_TOKENS,
    words_tokens: int = 0,
    sight_bytes: int = 0,
) -> Usage:
    """Return what a network and its batches take; the weights may be on the "meta" device.

    `text_tokens`: beside a clip's video. `words_tokens`: most tokens of a description; 0: none.
    `sight_bytes`: of what is kept of pairs of frames.
    """
    own = language.embeddings.dtype.itemsize
    side = sizes.vision.patch * sizes.vision.merge
    pairs = -(-largest.frames // sizes.vision.temporal_patch)
    # A frame may be 5 % larger than was wanted (`pipeline.frames.target_size`).
    video = pairs * -(-round(1.05 * largest.pixels) // side**2)
    tokens = video + text_tokens
    token = 2 * sizes.language.layers * sizes.language.kv_heads * sizes.language.head * own
    words_bytes = (tokens + words_tokens) * token + MOST_BYTES if words_tokens else 0
    patch = patch_bytes(sizes.vision, vision, own)
    row = row_bytes(sizes.language, language, own)
    logits_bytes = sizes.language.vocabulary * (own + 4 + 4)
    return Usage(
        weights_bytes=held_by(vision, language),
        seeing_bytes=video * sizes.vision.merged * patch,
        reading_bytes=max(tokens * row + video * sizes.language.width * own, logits_bytes),
        held_bytes=tokens * token if words_tokens else 0,
        kept_bytes=MULTIPLYING_BYTES + words_bytes + sight_bytes,
    )


def patch_bytes(sizes: VisionSizes, weights: VisionWeights, own: int) -> int:
    """Return what a patch takes at the fullest; `own`: bytes of a number in the network's type."""
    layer = weights.layers[0]
    width, mlp = sizes.width, -(-sizes.mlp // ROW_OF) * ROW_OF
    before, behind = _code_bytes(layer.qkv, own), _code_bytes(layer.out, own)
    # Its pixels; then the residual, what attention read and saw, and the product still to be added.
    always = sizes.patch_values + width * (own + before + behind + own)
    attending = width * 3 * own
    gating = mlp * (2 * own + _code_bytes(layer.down, own))
    inside = width * (_code_bytes(layer.gate_up, own) - before) + gating
    return always + max(attending, inside)


def row_bytes(sizes: LanguageSizes, weights: LanguageWeights, own: int) -> int:
    """Return what a token that is read takes at the fullest."""
    layer = weights.layers[0]
    queries, keys = sizes.heads * sizes.head, 2 * sizes.kv_heads * sizes.head
    turning = 2 * sizes.head // 2 * 4  # cosines and sines, float32
    before, inside = _code_bytes(layer.qkv, own), _code_bytes(layer.gate_up, own)
    # The residual, what both products of the layer read, queries, keys, values, and what was seen.
    always = sizes.width * (own + before + inside) + (queries + keys) * own + turning
    always += queries * _code_bytes(layer.out, own)
    # Products in FP8 cannot be added where they are made: the last two are held.
    added = sizes.width * own * sum(_is_rounded(each) for each in (layer.out, layer.down))
    return always + added + sizes.mlp * (2 * own + _code_bytes(layer.down, own))


def held_by(vision: VisionWeights, language: LanguageWeights) -> int:
    """Return the bytes of all weights as they are held."""
    plain = [vision.norm, language.embeddings, language.norm]
    products: list[Product] = [vision.patches, vision.merge_in, vision.merge_out, language.head]
    layers = [*vision.layers, *language.layers]
    for layer in layers:
        plain += [layer.first_norm, layer.second_norm]
        products += [layer.qkv, layer.out, layer.gate_up, layer.down]
    return int(sum(one.nbytes for one in plain) + sum(one.held_bytes for one in products))


class EmptyWeights:
    """Weights without a number in them, by their headers; stands where `StoredWeights` does."""

    def __init__(
        self, stored: Stored, shard: Shard | None = None, reader: Reader | None = None
    ) -> None:
        """`reader`: of single numbers, scales among them, which are read: layers are joined in
        another way where they differ. None: there are none."""
        self._stored = stored
        self._shard = shard
        self._reader = reader

    def read(self, name: str) -> torch.Tensor:
        """Return a weight of its type and shape on the "meta" device; lone numbers as they are."""
        import torch

        tensor = self._stored[name][1]
        shape = list(tensor.shape)
        cut = cut_of(name, tensor.shape, self._shard) if self._shard else None
        if cut is not None:
            shape[cut.axis] = cut.end - cut.first
        dtype: torch.dtype = getattr(torch, _DTYPES.get(tensor.dtype, "uint8"))
        if tensor.elements == 1 and self._reader is not None:
            return self._reader.read(name)
        return torch.empty(shape, dtype=dtype, device="meta")


def _is_rounded(product: Product) -> bool:
    return product.rounding.kind != "none"


def _code_bytes(product: Product, own: int) -> int:
    return 1 if _is_rounded(product) else own


def _memory(device: torch.device) -> Memory:
    """Return what is free on a device."""
    import torch

    gpu = device.type == "cuda"
    return memory_of(
        _MEMINFO.read_text("utf-8"),
        gpu_free_bytes=torch.cuda.mem_get_info(device)[0] if gpu else None,
        unified=is_unified(device),
    )
