"""Whether a model of any family fits, told before it is loaded: an estimate, and said to be one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.checkpoint import Tensor, tensors_of
from edgewatch.pipeline.engines.memory_plan import (
    GB,
    RESERVE_BYTES,
    UNIFIED_RESERVE_BYTES,
    Memory,
    memory_of,
)
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

CLIP_SHARE = 0.2
"""A clip's keys, values and activations as a part of the weights. A Qwen2.5-VL-7B takes 2 % for its
clips and one that is shown 8 pictures of 896 x 896 some 12 % (Gemma 3 4B): there is room."""
LEAST_CLIP_BYTES = 64 * 2**20
_MEMINFO = Path("/proc/meminfo")


def needed_bytes(tensors: Iterable[Tensor], *, quantize: str, weight_bytes: int | None) -> int:
    """Return what the weights take as they are held.

    `weight_bytes`: size of a weight where the engine converts them (4 for float32 on a CPU); None:
    as they are stored. `quantize`: "int8" keeps the matrices of layers in one byte each.
    """
    return sum(_held_bytes(one, quantize, weight_bytes) for one in tensors)


def clip_bytes(weights_bytes: int) -> int:
    """Return an estimate of what one clip takes on its way through a model of that size."""
    return max(LEAST_CLIP_BYTES, int(CLIP_SHARE * weights_bytes))


def admit(directory: Path, device: torch.device, quantize: str) -> None:
    """Let a checkpoint pass that should fit. Raises EngineFailed with all figures and the cure.

    What a clip takes is not known of most families, whose sizes have many names: it is estimated
    from the weights.
    """
    weight_bytes = 4 if device.type == "cpu" else None
    weights = needed_bytes(tensors_of(directory), quantize=quantize, weight_bytes=weight_bytes)
    memory, unified = _memory_on(device)
    refuse_too_large(directory, weights, memory, unified=unified)


def refuse_too_large(directory: Path, weights: int, memory: Memory, *, unified: bool) -> None:
    """Let a model of so many bytes of weights pass that should fit. Raises EngineFailed."""
    clip = clip_bytes(weights)
    reserve = UNIFIED_RESERVE_BYTES if unified else RESERVE_BYTES
    needed = weights + clip + reserve
    if needed <= memory.free_bytes:
        return
    cache = f", and {memory.cache_bytes / GB:.1f} GB more are page cache"
    raise EngineFailed(
        f"not enough memory, {directory} needs about {needed / GB:.1f} GB (weights "
        f"{weights / GB:.1f} GB, one clip {clip / GB:.1f} GB by estimate, reserve "
        f"{reserve / GB:.1f} GB); {memory.free_bytes / GB:.1f} GB are free"
        + (cache if memory.cache_bytes else ""),
        "take a smaller or quantised checkpoint, or end other programs that hold memory",
    )


def _memory_on(device: torch.device) -> tuple[Memory, bool]:
    """Return what is free on a device, and whether it is the host's memory as well."""
    import torch

    free_bytes, unified = None, False
    if device.type == "cuda":
        free_bytes = torch.cuda.mem_get_info(device)[0]
        unified = bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))
    text = _MEMINFO.read_text("utf-8")
    return memory_of(text, gpu_free_bytes=free_bytes, unified=unified), unified


def _held_bytes(tensor: Tensor, quantize: str, weight_bytes: int | None) -> int:
    if quantize == "int8" and tensor.is_linear_of_a_layer:
        return tensor.elements
    if weight_bytes is not None and tensor.dtype in ("BF16", "F16", "F32"):
        return tensor.elements * weight_bytes
    return tensor.stored_bytes
