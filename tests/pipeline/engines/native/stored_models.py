"""Variants of the tiny checkpoint: the same weights stored otherwise, or spoilt."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.modelopt.packing import (
    SHARING,
    fp8_input_scale,
    largest,
    pack_fp8,
    pack_nvfp4,
)
from edgewatch.pipeline.engines.native.network import Network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader

if TYPE_CHECKING:
    import torch

Tensors = dict[str, "torch.Tensor"]
WEIGHTS = "model.safetensors"
INPUT_AMAX = 24.0
"""Larger than any input of the tiny model's layers: a calibrated scale that cuts nothing off."""


def tensors_of(directory: Path) -> Tensors:
    """Return all that a checkpoint's files hold, by stored names."""
    from safetensors.torch import load_file

    return {
        k: v for file in sorted(directory.glob("*.safetensors")) for k, v in load_file(file).items()
    }


def write(source: Path, directory: Path, tensors: Tensors, *, config: Mapping[str, Any]) -> Path:
    """Write a checkpoint of one file: `source`'s with other weights and changes to config.json."""
    from safetensors.torch import save_file

    directory.mkdir()
    for name in ("tokenizer.json", "preprocessor_config.json", "generation_config.json"):
        shutil.copy(source / name, directory / name)
    table = json.loads((source / "config.json").read_text("utf-8")) | dict(config)
    (directory / "config.json").write_text(json.dumps(table), "utf-8")
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})
    return directory


def is_layer(name: str) -> bool:
    """Whether a stored name is a linear layer's weight of the language model."""
    return ".layers." in name and name.endswith("_proj.weight")


def modelopt(tiny: Path, directory: Path, algorithm: str, *, alike: bool = False) -> Path:
    """Write the tiny model as ModelOpt exports it: "FP8" or "NVFP4".

    The packer is held against ModelOpt's own bytes elsewhere. `alike`: layers that are multiplied
    together have one scale, in FP8.
    """
    plain = tensors_of(tiny)
    parts: dict[str, torch.Tensor] = {}
    for name, weight in plain.items():
        if not is_layer(name):
            parts[name] = weight
            continue
        layer = name.removesuffix(".weight")
        packed = _packed(plain, layer, algorithm, alike=alike)
        parts |= {f"{layer}.{part}": one for part, one in packed.items()}
    table = {"quant_method": "modelopt", "quant_algo": algorithm, "ignore": ["lm_head", "visual*"]}
    return write(tiny, directory, parts, config={"quantization_config": table})


def _packed(plain: Tensors, layer: str, algorithm: str, *, alike: bool) -> Tensors:
    import torch

    weight = plain[f"{layer}.weight"]
    parent, _, leaf = layer.rpartition(".")
    together = next((group for group in SHARING if leaf in group), (leaf,))
    amax = largest(plain[f"{parent}.{one}.weight"] for one in together)
    if algorithm == "NVFP4":
        return pack_nvfp4(weight, amax) | {"input_scale": torch.tensor(1.0)}
    found = pack_fp8(weight, amax if alike else largest([weight]))
    return found | {"input_scale": fp8_input_scale(torch.tensor(INPUT_AMAX))}


def compressed(tiny: Path, directory: Path, *, fixed: bool = False, **table: Any) -> Path:
    """Write the tiny model as compressed-tensors 0.20 does, in "float-quantized".

    A scale a channel and inputs by tokens, or one a tensor and inputs `fixed`. `table`: changes to
    what config.json says of it.
    """
    import torch

    parts: dict[str, torch.Tensor] = {}
    for name, weight in tensors_of(tiny).items():
        if not is_layer(name):
            parts[name] = weight
            continue
        size = weight.abs().amax() if fixed else weight.abs().amax(dim=1, keepdim=True)
        scale = (size / 448).reshape(-1, 1).bfloat16()
        codes = (weight / scale.float()).clamp(-448, 448).to(torch.float8_e4m3fn)
        layer = name.removesuffix("weight")
        parts |= {name: codes, f"{layer}weight_scale": scale[0] if fixed else scale}
        if fixed:
            parts[f"{layer}input_scale"] = torch.tensor([INPUT_AMAX / 448]).bfloat16()
    eight = {"num_bits": 8, "type": "float", "symmetric": True}
    group = {
        "targets": ["Linear"],
        "weights": eight | {"strategy": "tensor" if fixed else "channel", "dynamic": False},
        "input_activations": eight
        | {"strategy": "tensor" if fixed else "token", "dynamic": not fixed},
    }
    said = {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "config_groups": {"group_0": group},
        "ignore": ["re:visual.*", "lm_head"],
    }
    return write(tiny, directory, parts, config={"quantization_config": said | table})


def change(directory: Path, what: Callable[[Tensors], None]) -> None:
    """Change the tensors of a checkpoint of one file."""
    from safetensors.torch import save_file

    tensors = tensors_of(directory)
    what(tensors)
    save_file(tensors, directory / WEIGHTS, metadata={"format": "pt"})


def scorer_of(network: Network, directory: Path) -> Scorer:
    """Return what asks a network of a checkpoint."""
    checkpoint = read_checkpoint(directory)
    scripts = ScriptReader(directory, checkpoint.video_token)
    form = Form()
    return Scorer(network, checkpoint, scripts, answer_tokens(scripts.encode, form), form)
