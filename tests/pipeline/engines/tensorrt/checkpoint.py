"""A checkpoint's directory as TensorRT-LLM wants it, with next to no weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG: dict[str, Any] = {
    "model_type": "qwen2_5_vl",
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "num_hidden_layers": 28,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vision_config": {
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "tokens_per_second": 2,
    },
}
NVFP4: dict[str, Any] = {
    "producer": {"name": "modelopt"},
    "quantization": {
        "quant_algo": "NVFP4",
        "kv_cache_quant_algo": None,
        "group_size": 16,
        "exclude_modules": ["lm_head", "visual*"],
    },
}


def write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value), "utf-8")


def write_weights(file: Path, *, dtype: str = "U8", size_bytes: int = 64, cut: int = 0) -> None:
    """Write a safetensors file of one tensor; `cut`: so many bytes are missing at its end."""
    tensor = {"dtype": dtype, "shape": [size_bytes], "data_offsets": [0, size_bytes]}
    header = json.dumps({"model.layers.0.mlp.up_proj.weight": tensor}).encode()
    body = bytes(range(size_bytes))[: size_bytes - cut]
    file.write_bytes(len(header).to_bytes(8, "little") + header + body)


def write_checkpoint(folder: Path) -> Path:
    """Write an NVFP4 checkpoint into a new folder and return it."""
    folder.mkdir()
    write_json(folder / "config.json", CONFIG)
    write_json(folder / "hf_quant_config.json", NVFP4)
    write_json(folder / "preprocessor_config.json", {"min_pixels": 3136, "max_pixels": 12_845_056})
    write_json(folder / "tokenizer_config.json", {})
    write_json(folder / "tokenizer.json", {})
    write_weights(folder / "model.safetensors")
    return folder
