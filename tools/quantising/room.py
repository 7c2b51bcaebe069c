"""Room: the memory and the disk that quantising takes, told before anything is begun."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.engines.memory_plan import GB, MemoryPlan, memory_of, plan
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising.blueprint import Linear, expected_bytes
from edgewatch.tools.quantising.formats import Format

if TYPE_CHECKING:
    import torch

_MEMINFO = Path("/proc/meminfo")
_SPARE_BYTES = int(0.5 * GB)


def memory_plan(
    original: Path, device: torch.device, largest: LargestClip, batch: int
) -> MemoryPlan:
    """Return what the original and batches of clips take there: bfloat16, on a CPU float32."""
    import torch

    gpu_free_bytes, unified = None, False
    if device.type == "cuda":
        gpu_free_bytes = torch.cuda.mem_get_info(device)[0]
        unified = bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
    memory = memory_of(_MEMINFO.read_text("utf-8"), gpu_free_bytes=gpu_free_bytes, unified=unified)
    return plan(
        original,
        largest,
        batch,
        free_bytes=memory.free_bytes,
        cache_bytes=memory.cache_bytes,
        unified=unified,
        weight_bytes=4 if device.type == "cpu" else 2,
    )


def require_memory(found: MemoryPlan, device: torch.device) -> int:
    """Return the largest batch that fits. Raises EngineFailed if not even one clip does."""
    if not found.batch:
        raise EngineFailed(
            f"quantising takes more memory than {device} has free: {found.sentence}",
            "end other programs that hold memory, name another --device, or do it on a machine "
            "with a larger GPU: a checkpoint may be used elsewhere than it was made",
        )
    return found.batch


def disk_bytes(
    matrices: list[Linear], to: Format, tensors: list[Tensor], clips: int, largest: LargestClip
) -> int:
    """Return what the new checkpoint and the clips kept meanwhile take on disk."""
    # Twice as many clips as wanted are kept at most, and a frame may be 5 % larger than wanted.
    clip_bytes = 3 * largest.frames * int(1.05 * largest.pixels)
    return expected_bytes(matrices, to, tensors) + 2 * clips * clip_bytes


def require_disk(needed_bytes: int, destination: Path) -> str:
    """Return a sentence of what is needed and free. Raises EngineFailed if it does not fit."""
    folder = destination.absolute().parent
    while not folder.exists():
        folder = folder.parent
    free_bytes = shutil.disk_usage(folder).free
    sentence = f"{needed_bytes / GB:.1f} GB on disk ({free_bytes / GB:.1f} GB are free)"
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise EngineFailed(
            f"{destination} needs {sentence}", "free space, or name --out on another disk"
        )
    return sentence
