"""Precisions: in which numbers each network stands, and what the device makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.models.catalogue import Component, Precision

Storage = Literal["plain", "fp8", "nf4"]

FP8_CAPABILITY = (8, 9)
"""The first GPUs that compute with FP8 have this capability (Ada)."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How one network is held."""

    compute: Literal["fp32", "bf16", "fp16"]
    storage: Storage = "plain"


def numbers_of(component: Component, wanted: Precision) -> Numbers:
    """Return how a network is held when its model is asked for in a precision.

    T5 stays in bf16 where fp16 is wanted: its activations leave fp16's range.
    """
    precision = component.precision(wanted)
    if precision == "fp8":
        return Numbers("bf16", "fp8")
    if precision == "fp4":
        return Numbers("bf16", "nf4")
    if precision == "fp16" and component.name == "text_encoder_2" and component.parameters > 10**9:
        return Numbers("bf16")
    return Numbers(precision)


def arithmetic(wanted: Precision, capability: tuple[int, int] | None) -> str:
    """Say in words what is computed; `capability` is the GPU's, None is a CPU.

    Casting stores a layer's weights in 8 bits and computes in bf16 everywhere; a device without
    FP8 of its own only imitates the format in software.
    """
    match wanted:
        case "fp8":
            real = capability is not None and capability >= FP8_CAPABILITY
            there = "" if real else " (simulated: the device has no FP8 of its own)"
            return f"weights kept as FP8 e4m3, products in bf16{there}"
        case "fp4":
            return "weights kept as NF4 by bitsandbytes, products in bf16"
        case "fp16" | "bf16" if capability is None:
            return f"{wanted} (simulated: a CPU computes it by way of float32)"
    return wanted


def refuse_missing(wanted: Precision, installed: dict[str, str | None], cuda: bool) -> None:
    """Let a precision pass whose packages are there. Raises SceneUnavailable, naming the missing.

    `installed`: package to version, None where it is missing.
    """
    if wanted != "fp4":
        return
    missing = [package for package in ("bitsandbytes", "accelerate") if not installed.get(package)]
    if missing:
        names = " and ".join(missing)
        raise SceneUnavailable(
            f"precision fp4 of the backend diffusers needs {names}, not installed here: pip "
            f"install {' '.join(missing)}, or choose bf16 or fp8"
        )
    if not cuda:
        raise SceneUnavailable(
            "precision fp4 of the backend diffusers needs a CUDA device: choose bf16 or fp8"
        )


def torch_dtype(numbers: Numbers) -> Any:
    """Return torch's dtype of what is computed in."""
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[numbers.compute]


def place(network: Any, numbers: Numbers, device: Any) -> Any:
    """Move a loaded network to a device in its storage, layer by layer; returns it in eval mode.

    Layer by layer, because on memory that host and GPU share both copies of the whole would be
    there at once otherwise.
    """
    import torch

    if numbers.storage == "fp8":
        network.enable_layerwise_casting(
            storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.bfloat16
        )
    if numbers.storage != "nf4":  # bitsandbytes has put it there already
        for layer in network.modules():
            if next(layer.children(), None) is None:
                layer.to(device)
        network.to(device)
    network.requires_grad_(False)
    return network.eval()
