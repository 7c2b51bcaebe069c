"""The network: both parts on one device, in the steps of one forward."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.native.arithmetic import Operations
from edgewatch.pipeline.engines.native.assembly import assemble
from edgewatch.pipeline.engines.native.frames import FrameSizes
from edgewatch.pipeline.engines.native.language import Language, LanguageWeights
from edgewatch.pipeline.engines.native.plain import PlainOperations
from edgewatch.pipeline.engines.native.sizes import Sizes, read_sizes
from edgewatch.pipeline.engines.native.source import PlainSource, Precision
from edgewatch.pipeline.engines.native.stored import StoredWeights
from edgewatch.pipeline.engines.native.vision import Vision, VisionWeights
from edgewatch.pipeline.engines.qwen.checkpoint import PixelRules

if TYPE_CHECKING:
    import torch


class Network:
    """A loaded model. Belongs to one thread; call within `torch.inference_mode`."""

    def __init__(
        self,
        sizes: Sizes,
        vision: VisionWeights,
        language: LanguageWeights,
        rules: PixelRules,
        operations: Operations,
    ) -> None:
        self.sizes = sizes
        self.device: torch.device = language.embeddings.device
        self.dtype: torch.dtype = language.embeddings.dtype
        self.operations = operations
        self.vision = Vision(
            sizes.vision, vision, operations, FrameSizes(sizes.vision, rules, self.device)
        )
        self.language = Language(sizes.language, language, operations)


def load_network(
    directory: Path, rules: PixelRules, device: torch.device, *, precision: Precision = "plain"
) -> Network:
    """Load a checkpoint onto a device: float32 on a CPU, bfloat16 on a GPU. Raises EngineFailed."""
    import torch

    sizes = read_sizes(directory)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with StoredWeights(directory, device) as stored, torch.inference_mode():
        vision, language = assemble(sizes, PlainSource(stored, dtype, precision))
    return Network(sizes, vision, language, rules, operations_for(device, dtype))


def operations_for(device: torch.device, dtype: torch.dtype) -> Operations:
    """Return kernels of our own where there are any for a device, else plain PyTorch."""
    del device
    return PlainOperations(dtype)
