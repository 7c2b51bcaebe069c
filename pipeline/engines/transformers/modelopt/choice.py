"""Which ways of computing a device has for a checkpoint: looked into before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic, ways
from edgewatch.pipeline.engines.modelopt.layers import quantised_layers
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.pipeline.engines.qwen.quantisation import (
    FP8_CAPABILITY,
    Place,
    Quantisation,
)
from edgewatch.pipeline.engines.transformers.modelopt.products import fp8_products_work

if TYPE_CHECKING:
    import torch


def possible_ways(
    directory: Path, found: Quantisation | None, device: torch.device, place: Place
) -> tuple[Arithmetic | None, ...]:
    """Return the ways, the fastest first; (None,) where the checkpoint is not ModelOpt's.

    Raises EngineFailed with the cure if the format is not known or a layer is not whole.
    """
    if found is None or found.method != "modelopt":
        return (None,)
    scheme = read_scheme(directory)
    quantised_layers(directory, scheme)
    fast = place.capability is not None and place.capability >= FP8_CAPABILITY
    dtype = "float32" if device.type == "cpu" else "bfloat16"
    fp8_products = fast and scheme.format.algorithm == "FP8" and fp8_products_work(device)
    return tuple(Arithmetic(scheme, way, dtype) for way in ways(scheme, fp8_products=fp8_products))
