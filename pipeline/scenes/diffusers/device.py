"""The device that torch computes on: which one, what it can, how much of it is free."""

from __future__ import annotations

import gc
from typing import Any

from edgewatch.pipeline.errors import SceneRefused
from edgewatch.pipeline.scenes.memory import DeviceMemory


def choose_device(wanted: str) -> Any:
    """Return torch's device for "auto", "cpu", "cuda" or "cuda:1". Raises SceneRefused."""
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "auto":
        return torch.device("cuda:0" if there else "cpu")
    try:
        device = torch.device("cuda:0" if wanted == "cuda" else wanted)
    except RuntimeError as error:
        raise SceneRefused(
            f'[scenes] device = "{wanted}" is none: say cpu, cuda or auto'
        ) from error
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and device.index >= there):
        raise SceneRefused(
            f'[scenes] device = "{wanted}": torch {torch.__version__} sees {there} GPUs; check '
            'nvidia-smi and the build of torch, or set device = "cpu"'
        )
    return device


def capability_of(device: Any) -> tuple[int, int] | None:
    """Return the GPU's compute capability, (12, 1) of a GB10; None for a CPU."""
    import torch

    return torch.cuda.get_device_capability(device) if device.type == "cuda" else None


def device_name(device: Any) -> str:
    """Return what a person calls it: "NVIDIA GB10, SM 12.1", "cpu"."""
    import torch

    if device.type != "cuda":
        return str(device)
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, SM {major}.{minor}"


def memory_of(device: Any) -> DeviceMemory | None:
    """Return the GPU's memory; None for a CPU, whose memory is the host's."""
    import torch

    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    properties = torch.cuda.get_device_properties(device)
    return DeviceMemory(int(free), int(total), bool(getattr(properties, "is_integrated", False)))


def give_back(device: Any) -> None:
    """Return what nobody refers to any more to the system: the collector's and the allocator's."""
    gc.collect()
    empty_cache(device)


def empty_cache(device: Any) -> None:
    """Return the allocator's free pieces to the system."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()


def wait_for(device: Any) -> None:
    """Wait until all that was asked of the device is done."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
