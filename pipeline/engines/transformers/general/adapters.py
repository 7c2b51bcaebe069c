"""Sight as an adapter beside the weights: read from its folder and added to them.

Phi-4-multimodal comes as a language model with a LoRA for pictures in "vision-lora"; without it the
model answers, and sees badly. Source of the format and of the sum: huggingface/peft, LoRA
(`adapter_config.json`, W + scaling * B A, scaling = lora_alpha / r, or / sqrt(r) for rslora).
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.transformers.general.files import broken, calmly, read_object
from edgewatch.pipeline.errors import EngineFailed

if TYPE_CHECKING:
    import torch

FOLDER = "vision-lora"
_PART = "adapter"
_NAME = re.compile(
    r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(\.[^.]+)?\.weight$"
)
_NOT_KNOWN = ("alpha_pattern", "rank_pattern", "modules_to_save", "use_dora")
"""What would make the sum another one, if it is set."""


def add_sight(model: Any, directory: Path) -> int:
    """Add a checkpoint's adapter for pictures to its weights, if there is one.

    Returns how many weights were changed. Raises EngineFailed if the adapter does not fit.
    """
    folder = directory / FOLDER
    if not folder.is_dir():
        return 0
    config = read_object(folder / "adapter_config.json")
    strange = [key for key in _NOT_KNOWN if config.get(key)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or strange:
        raise broken(folder, _PART, f"it is no plain LoRA ({', '.join(strange) or 'bias or type'})")
    with calmly(folder, _PART):
        alpha = float(config["lora_alpha"])
        pairs = _pairs(folder / "adapter_model.safetensors")
        for module, (inner, outer) in pairs.items():
            rank = inner.shape[0]
            scaling = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
            _add(model.get_submodule(module), scaling * (outer.float() @ inner.float()))
    return len(pairs)


def _pairs(file: Path) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return (A of shape (rank, in), B of shape (out, rank)) of each module."""
    from safetensors.torch import load_file

    sides: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(str(file)).items():
        found = _NAME.match(name)
        if found is None:
            raise EngineFailed(f"{file} holds {name}, which is no part of a LoRA")
        sides.setdefault(found["module"], {})[found["side"]] = tensor
    return {module: (both["A"], both["B"]) for module, both in sides.items()}


def _add(layer: Any, change: torch.Tensor) -> None:
    import torch

    weight = layer.weight
    if not weight.is_floating_point() or weight.shape != change.shape:
        raise EngineFailed(
            f"an adapter for {tuple(change.shape)} weights meets {tuple(weight.shape)} of type "
            f"{weight.dtype}",
            'leave [engine] quantize = "none" for this model',
        )
    with torch.no_grad():
        weight.copy_((weight.float() + change.to(weight.device)).to(weight.dtype))
