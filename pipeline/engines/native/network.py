"""The network: both parts on one device, in the steps of one forward."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Operations
from edgewatch.pipeline.engines.native.frames import FrameSizes
from edgewatch.pipeline.engines.native.language import Language, LanguageWeights
from edgewatch.pipeline.engines.native.operations import operations_for
from edgewatch.pipeline.engines.native.replays import Replays
from edgewatch.pipeline.engines.native.sharing.collective import add_up
from edgewatch.pipeline.engines.native.sharing.shards import Shard, Sum, sizes_of, summed
from edgewatch.pipeline.engines.native.sizes import Sizes, read_sizes
from edgewatch.pipeline.engines.native.vision import Vision, VisionWeights
from edgewatch.pipeline.engines.native.weights.assembly import assemble, expected_shapes
from edgewatch.pipeline.engines.native.weights.formats import read_format
from edgewatch.pipeline.engines.native.weights.inventory import refuse_unlike
from edgewatch.pipeline.engines.native.weights.precision import Choice, Wanted, choose_for
from edgewatch.pipeline.engines.native.weights.quantised import source_of
from edgewatch.pipeline.engines.native.weights.stored import StoredWeights
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules

if TYPE_CHECKING:
    import torch

PLAIN = Choice()


class Network:
    """A loaded model. Belongs to one thread; call within `torch.inference_mode`."""

    def __init__(
        self,
        sizes: Sizes,
        vision: VisionWeights,
        language: LanguageWeights,
        rules: PixelRules,
        operations: Operations,
        choice: Choice = PLAIN,
    ) -> None:
        """`choice`: how the weights' products are computed, to be told."""
        self.sizes = sizes
        self.choice = choice
        self.device: torch.device = language.embeddings.device
        self.dtype: torch.dtype = language.embeddings.dtype
        self.operations = operations
        layers = [*vision.layers, *language.layers]
        self.roundings = frozenset(
            product.rounding.kind
            for layer in layers
            for product in (layer.qkv, layer.out, layer.gate_up, layer.down)
        )
        """In which forms its layers want their inputs; {"none"}: nothing is quantised."""
        self.replays = Replays(self.device)
        frame_sizes = FrameSizes(sizes.vision, rules, self.device)
        self.vision = Vision(sizes.vision, vision, operations, frame_sizes, self.replays)
        self.language = Language(sizes.language, language, operations, self.replays)


def load_network(
    directory: Path,
    rules: PixelRules,
    device: torch.device,
    *,
    precision: Wanted = "auto",
    shard: Shard | None = None,
    together: Sum = add_up,
) -> Network:
    """Load a checkpoint onto a device: float32 on a CPU, bfloat16 on a GPU.

    `precision`: what products are computed in. `shard`: which part of the language model; all
    shards read each batch at the same time, and `together` sums what is a part. Raises EngineFailed
    naming tensors that are not this model's, and what cannot be computed here.
    """
    import torch

    sizes = read_sizes(directory)
    expected, tied = expected_shapes(sizes), sizes.language.tied
    found = read_format(directory)
    choice = choose_for(precision, found, device)
    if shard is not None:
        sizes = replace(sizes, language=sizes_of(sizes.language, shard))
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with StoredWeights(directory, device, shard=shard) as stored, torch.inference_mode():
        refuse_unlike(directory, stored.entries, expected, found, tied=tied)
        source = source_of(stored, stored.entries, dtype, found, choice)
        vision, language = assemble(sizes, source)
        stored.refuse_unsound()
    if shard is not None:
        language = summed(language, together)
    network = Network(sizes, vision, language, rules, operations_for(device, dtype), choice)
    if shard is not None:
        network.replays.on = False  # a graph would hold sums over several processes
    return network
