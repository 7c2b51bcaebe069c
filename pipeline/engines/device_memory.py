"""A device's memory: whether an error says that it is full, what is free, and giving it back."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: torch's own error on a GPU, its allocator's on a CPU."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "can't allocate memory" in str(error)
    )


def free_unused(device: torch.device) -> None:
    """Give memory back that nothing refers to any more."""
    import torch

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def free_sentence(device: torch.device) -> str:
    """Say what a device is, and on a GPU what is free of it and what the model holds."""
    import torch

    if device.type != "cuda":
        return f"this machine ({device})"
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    held_bytes = torch.cuda.memory_allocated(device)
    return (
        f"{torch.cuda.get_device_name(device)}: {free_bytes / 1e9:.1f} of "
        f"{total_bytes / 1e9:.1f} GB are free, the model holds {held_bytes / 1e9:.1f} GB"
    )
