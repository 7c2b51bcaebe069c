"""Whether TensorRT-LLM 1.2 will load a checkpoint, and see with it what it was trained to see.

Much of what is refused here it would load without a word: a quantised checkpoint without
hf_quant_config.json as if its packed weights were numbers, a configuration that lost a key with
a default that moves the model's sense of time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.engines.checkpoint import tensors_of
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.weight_signs import weight_signs
from edgewatch.pipeline.errors import EngineFailed

QUANTISATION = "hf_quant_config.json"
_KNOWN_ALGORITHMS = frozenset(
    {"NVFP4", "FP8", "FP8_PB_WO", "FP8_BLOCK_SCALES", "FP8_PER_CHANNEL_PER_TOKEN"}
    | {"W4A16_AWQ", "W4A8_AWQ", "W8A16", "W4A16", "MIXED_PRECISION"}
)
"""For which the PyTorch backend has linear layers."""
_PACKED = frozenset({"U8", "I8", "F8_E4M3", "F8_E5M2"})
_COPY = "copy the file from the original model's directory"
_EXPORT = "export the checkpoint again (docs/engines.md)"
_NEEDED = ("tokenizer_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Checked:
    """A checkpoint that will do."""

    quantisation: str
    """"bf16" if there is none."""
    weights_bytes: int
    warnings: tuple[str, ...]


def checked(checkpoint: Path, largest: LargestClip) -> Checked:
    """Check a checkpoint's directory. Raises EngineFailed naming the file, and the cure."""
    if not checkpoint.is_dir():
        raise EngineFailed(
            f"there is no directory {checkpoint}",
            "set [engine] model to the directory of a checkpoint; see docs/engines.md",
        )
    for name in _NEEDED:
        if not (checkpoint / name).is_file():
            raise EngineFailed(f"{checkpoint} lacks {name}", _COPY)
    if not any((checkpoint / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise EngineFailed(f"{checkpoint} lacks tokenizer.json (or vocab.json)", _COPY)
    config = _read(checkpoint / "config.json")
    _check_model(checkpoint / "config.json", config)
    _check_sizes(checkpoint, largest)
    tensors = list(tensors_of(checkpoint))
    packed = any(one.dtype in _PACKED for one in tensors)
    quantisation, warnings = _quantisation(checkpoint, config, packed=packed)
    return Checked(quantisation, sum(one.stored_bytes for one in tensors), tuple(warnings))


def weights_hash(checkpoint: Path) -> str:
    """Return 8 hexadecimal digits that stand for a checkpoint: its configurations and weights."""
    digest = hashlib.sha256()
    for name in ("config.json", QUANTISATION):
        if (checkpoint / name).is_file():
            digest.update((checkpoint / name).read_bytes())
    for sign in weight_signs(checkpoint):
        digest.update(sign)
    return digest.hexdigest()[:8]


def _check_model(file: Path, config: dict[str, Any]) -> None:
    if config.get("model_type") != "qwen2_5_vl":
        raise EngineFailed(
            f"{file} is of a model of type {config.get('model_type')!r}",
            "set [engine] model to a checkpoint of the Qwen2.5-VL family, as Cosmos-Reason1-7B, or "
            'serve this one with trtllm-serve and set kind = "remote" (docs/families.md)',
        )
    text = config.get("text_config")
    scaling = config.get("rope_scaling") or (text or {}).get("rope_scaling")
    if not isinstance(scaling, dict) or sum(scaling.get("mrope_section") or ()) <= 0:
        raise EngineFailed(
            f"{file} lacks rope_scaling with mrope_section, which places a video in time",
            'restore "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}',
        )
    vision = config.get("vision_config")
    seconds = vision.get("tokens_per_second") if isinstance(vision, dict) else None
    if not isinstance(seconds, int | float) or seconds <= 0:
        raise EngineFailed(
            f"{file} lacks vision_config.tokens_per_second: the default is another model's, and "
            "time would run at another speed",
            'restore "tokens_per_second": 2 under "vision_config"',
        )
    wanted = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2}
    for key, value in wanted.items():
        if isinstance(vision, dict) and vision.get(key, value) != value:
            raise EngineFailed(
                f"{file} has vision_config.{key} = {vision[key]}, not {value}",
                "set [engine] model to a checkpoint of the Qwen2.5-VL family",
            )


def _check_sizes(checkpoint: Path, largest: LargestClip) -> None:
    """Hold the clips against the bounds beyond which the processor resizes frames once more."""
    file = checkpoint / "video_preprocessor_config.json"
    if not file.is_file():
        file = checkpoint / "preprocessor_config.json"
    config = _read(file)
    size = config.get("size")
    size = size if isinstance(size, dict) else {}
    least = config.get("min_pixels") or size.get("shortest_edge")
    most = config.get("max_pixels") or size.get("longest_edge")
    if not isinstance(least, int) or not isinstance(most, int):
        raise EngineFailed(
            f"{file} lacks min_pixels and max_pixels: with the defaults small frames are enlarged",
            f'{_COPY}; it says "min_pixels": 3136 and "max_pixels": 12845056',
        )
    if not least <= largest.pixels <= most:
        raise EngineFailed(
            f"{file} allows frames of {least} to {most} pixels, and a clip's have {largest.pixels}",
            f'{_COPY} ("min_pixels": 3136, "max_pixels": 12845056), or set [clips] pixels',
        )


def _quantisation(
    checkpoint: Path, config: dict[str, Any], *, packed: bool
) -> tuple[str, list[str]]:
    file = checkpoint / QUANTISATION
    if file.is_file():
        return _of_model_optimizer(file)
    embedded = config.get("quantization_config")
    if not isinstance(embedded, dict):
        if packed:
            raise EngineFailed(
                f"{checkpoint} lacks {QUANTISATION}, though its weights are quantised: they would "
                "be read as if they were not",
                _EXPORT,
            )
        return "bf16", []
    method = str(embedded.get("quant_method"))
    if method == "fp8":
        return "fp8 block", []
    if method == "compressed-tensors":
        bits = {
            (group.get("weights") or {}).get("num_bits")
            for group in (embedded.get("config_groups") or {}).values()
        }
        if bits == {8}:
            return "compressed-tensors 8 bits", []
        raise EngineFailed(
            f"{checkpoint / 'config.json'} says compressed-tensors of {sorted(map(str, bits))} "
            "bits, and TensorRT-LLM 1.2 loads 8 only",
            "quantise with ModelOpt instead (docs/engines.md)",
        )
    raise EngineFailed(
        f"{checkpoint / 'config.json'} says quant_method {method!r} and there is no {QUANTISATION}",
        f"TensorRT-LLM loads what ModelOpt exports: {_EXPORT}"
        + ('; or use [engine] kind = "transformers"' if method == "bitsandbytes" else ""),
    )


def _of_model_optimizer(file: Path) -> tuple[str, list[str]]:
    quantisation = _read(file).get("quantization")
    if not isinstance(quantisation, dict):
        raise EngineFailed(f'{file} has no "quantization"', _EXPORT)
    algorithm = quantisation.get("quant_algo")
    if algorithm is None:
        return "bf16", []
    if str(algorithm).upper() not in _KNOWN_ALGORITHMS:
        raise EngineFailed(
            f"{file} says {algorithm}, for which TensorRT-LLM's PyTorch backend has no layers",
            "quantise to NVFP4 or FP8 (docs/engines.md)",
        )
    warnings = []
    if algorithm == "NVFP4":
        if quantisation.get("group_size") not in (None, 16):
            raise EngineFailed(
                f"{file} has groups of {quantisation['group_size']}, not 16", _EXPORT
            )
        excluded = " ".join(map(str, quantisation.get("exclude_modules") or ()))
        for module in ("lm_head", "visual"):
            if module not in excluded:
                raise EngineFailed(
                    f"{file} does not exclude {module}, and TensorRT-LLM loads it as bf16 only",
                    f"disable *{module}* when quantising (docs/engines.md)",
                )
    if quantisation.get("kv_cache_quant_algo"):
        warnings.append(
            f"{file} turns on a quantised KV cache, which moves scores: export with "
            "--kv_cache_qformat none"
        )
    return str(algorithm), warnings


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", _COPY) from error
    if not isinstance(value, dict):
        raise EngineFailed(f"{file} holds no JSON object", _COPY)
    return value
