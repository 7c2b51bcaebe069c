"""A device's memory: whether an error says that it is full, what is free, and giving it back."""

from __future__ import annotations

import ctypes
import gc
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

_SIGNS = ("can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


SLACK_BYTES = 500_000_000
"""So much more than is in use may a CPU's allocator hold on to."""


class HostMemory:
    """Gives back what a CPU's allocator keeps between tensors of ever other sizes.

    The C library's own limit moves with the largest tensor that was freed: with clips of any size
    a process of 0.3 GB held 3 GB after half an hour. To give back after each batch costs twice the
    time, so it is done when much has come together. One thread only.
    """

    def __init__(self, slack_bytes: int = SLACK_BYTES) -> None:
        self._slack_bytes = slack_bytes
        self._settled_bytes = 0

    def settle(self) -> bool:
        """Give free memory back if much has come together; returns whether it did."""
        if resident_bytes() < self._settled_bytes + self._slack_bytes:
            return False
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
        if trim is not None:
            trim(0)
        self._settled_bytes = resident_bytes()
        return True


def resident_bytes() -> int:
    """Return what this process holds of the host's memory. Source: proc_pid_statm(5)."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: torch's own error on a GPU, its allocator's on a CPU, or what
    CUDA says where torch's allocator was not asked (pinned memory, events, cuBLAS)."""
    import torch

    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(
        sign in str(error) for sign in _SIGNS
    )


def is_unified(device: torch.device) -> bool:
    """Whether a GPU shares the host's memory, as a DGX Spark's does."""
    import torch

    if device.type != "cuda":
        return False
    return bool(getattr(torch.cuda.get_device_properties(device), "is_integrated", False))


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


def clip_too_large(shape: tuple[int, ...], tokens: int, device: torch.device) -> EngineFailed:
    """Return the error for a clip (frames, height, width, 3) that does not fit even alone."""
    frames, height, width, _ = shape
    return EngineFailed(
        f"one clip of {frames} frames of {width}x{height} ({tokens} tokens) does not fit "
        f"into the memory of {free_sentence(device)}",
        "set fewer [clips] pixels or seconds, end other programs that hold memory, or take a "
        "quantised checkpoint",
    )
