"""Checkpoints of a model in memory: as it is, or quantised as ModelOpt would, without ModelOpt.

NVFP4 and FP8 by `max` calibration, vision tower and head left as they are; the bytes are those of
ModelOpt's export (tests/pipeline/engines/transformers/modelopt holds both together).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.modelopt.packing import (
    SHARING,
    Parts,
    fp8_input_scale,
    largest,
    nvfp4_input_scale,
    pack_fp8,
    pack_nvfp4,
)

SHARD_BYTES = 4_000_000_000
EXCLUDED = ["lm_head", "model.embed_tokens", "visual*"]
LANGUAGE = "model.language_model."
_COPIED = ("tokenizer.json", "preprocessor_config.json", "generation_config.json")


def measured_inputs(model: Any, run: Callable[[], Any]) -> dict[str, Any]:
    """Return the largest size that `run` feeds each linear layer of the language model.

    By the layer's name in the model; tensors on its device, float32.
    """
    import torch

    found: dict[str, Any] = {}

    def keep(name: str) -> Callable[[Any, Any], None]:
        def hook(_: Any, inputs: Any) -> None:
            size = inputs[0].abs().max().float()
            found[name] = torch.maximum(found[name], size) if name in found else size

        return hook

    hooks = [one.register_forward_pre_hook(keep(name)) for name, one in _linears(model)]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return found


def write_plain(model: Any, source: Path, directory: Path) -> Path:
    """Write a model as it is, with the files beside the weights from `source`."""
    _write_files(source, directory, None)
    _write_shards(directory, _plain(model, skipped=frozenset()))
    return directory


def write_quantised(
    model: Any, source: Path, directory: Path, algorithm: str, inputs: Mapping[str, Any]
) -> Path:
    """Write a model quantised to "NVFP4" or "FP8". `inputs`: see `measured_inputs`."""
    layers = dict(_linears(model))
    quantisation = {
        "quant_algo": algorithm,
        "kv_cache_quant_algo": None,
        **({"group_size": 16} if algorithm == "NVFP4" else {}),
        "exclude_modules": EXCLUDED,
    }
    _write_files(source, directory, quantisation)

    def tensors() -> Iterator[tuple[str, Any]]:
        yield from _plain(model, skipped=frozenset(f"{name}.weight" for name in layers))
        for name in layers:
            for part, tensor in packed_layer(layers, name, algorithm, inputs[name]).items():
                yield f"{stored_name(name)}.{part}", tensor

    _write_shards(directory, tensors())
    return directory


def packed_layer(layers: Mapping[str, Any], name: str, algorithm: str, input_amax: Any) -> Parts:
    """Return one layer's tensors. `layers`: all of the language model, by name in the model."""
    weight = layers[name].weight.detach()
    if algorithm == "FP8":
        scale = fp8_input_scale(input_amax)
        return pack_fp8(weight, largest([weight])) | {"input_scale": scale}
    parent, _, leaf = name.rpartition(".")
    together = next((group for group in SHARING if leaf in group), (leaf,))
    amax = largest(layers[f"{parent}.{one}"].weight.detach() for one in together)
    return pack_nvfp4(weight, amax) | {"input_scale": nvfp4_input_scale(input_amax)}


def stored_name(name: str) -> str:
    """Return the name in a file of one in the model: as published checkpoints have it."""
    if name.startswith(LANGUAGE):
        return "model." + name.removeprefix(LANGUAGE)
    return name.removeprefix("model.") if name.startswith("model.visual.") else name


def _linears(model: Any) -> Iterator[tuple[str, Any]]:
    """The language model's layers, without the head: what is quantised."""
    import torch

    for name, module in model.named_modules():
        if name.startswith(f"{LANGUAGE}layers.") and isinstance(module, torch.nn.Linear):
            yield name, module


def _plain(model: Any, *, skipped: frozenset[str]) -> Iterator[tuple[str, Any]]:
    for name, weight in model.named_parameters():  # tied ones come once
        if name not in skipped:
            yield stored_name(name), weight.detach()


def _write_files(source: Path, directory: Path, quantisation: dict[str, Any] | None) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        if (source / name).is_file():
            shutil.copy(source / name, directory / name)
    config = json.loads((source / "config.json").read_text("utf-8"))
    if quantisation is not None:
        _write_json(
            directory / "hf_quant_config.json",
            {"producer": {"name": "modelopt"}, "quantization": quantisation},
        )
        config["quantization_config"] = {
            "quant_method": "modelopt",
            "quant_algo": quantisation["quant_algo"],
            "ignore": EXCLUDED,
        }
    _write_json(directory / "config.json", config)


def _write_shards(directory: Path, tensors: Iterator[tuple[str, Any]]) -> None:
    """Write tensors as they come; no more than a shard is held beside the model."""
    from safetensors.torch import save_file

    shard: dict[str, Any] = {}
    where: dict[str, str] = {}
    size_bytes = total_bytes = 0

    def write() -> None:
        nonlocal shard, size_bytes
        name = f"model-{len(set(where.values())) + 1:05d}.safetensors"
        save_file(shard, directory / name, metadata={"format": "pt"})
        where.update(dict.fromkeys(shard, name))
        shard, size_bytes = {}, 0

    for name, tensor in tensors:
        shard[name] = tensor.contiguous().cpu()
        size_bytes += shard[name].nbytes
        total_bytes += shard[name].nbytes
        if size_bytes >= SHARD_BYTES:
            write()
    if shard:
        write()
    _write_json(
        directory / "model.safetensors.index.json",
        {"metadata": {"total_size": total_bytes}, "weight_map": where},
    )


def _write_json(file: Path, table: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(table, indent=2), "utf-8")
