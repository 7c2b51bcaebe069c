"""A whole network by kernels answers as it does in plain PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.packing import Passage, pack
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import Script

if TYPE_CHECKING:
    import torch

SIZES = ((2, 1, 5), (1, 2, 2))
"""Pairs, rows and columns of tokens of two clips: windows of unequal sizes."""
BEFORE, AFTER = (7, 8, 9, 10), (11, 12)


def logits(network: Network) -> torch.Tensor:
    """Read two clips behind known tokens."""
    import torch

    random = torch.Generator().manual_seed(0)
    pixels = [
        torch.randint(
            0, 256, (pairs, 2, rows * 28, columns * 28, 3), dtype=torch.uint8, generator=random
        )
        for pairs, rows, columns in SIZES
    ]
    script, known = Script(BEFORE, AFTER), len(BEFORE) - 1
    front = network.language.room(known)
    network.language.read(
        pack([Passage(Script(BEFORE[:known], ()), Grid(0, 0, 0), 1.0)], tokens_per_second=2.0),
        None,
        keep=front,
    )
    packed = pack(
        [Passage(script, Grid(*size), 0.5, known=known) for size in SIZES], tokens_per_second=2.0
    )
    features = [one.flatten(0, 1) for one in network.vision.see(pixels)]
    states = network.language.read(
        packed,
        torch.cat([features[index] for index in packed.order]),
        known=[front] * len(packed.groups),
    )
    return network.language.logits(states)


def test_kernels_answer_as_plain_torch(tiny: Path, kernel_operations: Any) -> None:
    import torch

    network = load_network(tiny, read_checkpoint(tiny).pixels, torch.device("cpu"))
    with torch.inference_mode():
        theirs = logits(network)
        operations = kernel_operations(torch.float32)
        network.operations = network.vision._operations = operations
        network.language._operations = operations
        ours = logits(network)
    assert float((ours - theirs).norm() / theirs.norm()) < 1e-5
