"""What a ModelOpt checkpoint says of itself: its format, and what was left out. Pure but for JSON.

Source: `modelopt.torch.export` 0.47, `process_layer_quant_config` and `convert_hf_config`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgewatch.pipeline.errors import EngineFailed

MODELOPT_FILE = "hf_quant_config.json"
REQUANTISE = "quantise the model anew (edgewatch quantize), or load the same model in bf16"


@dataclass(frozen=True, slots=True)
class Format:
    """How a linear layer's weights and inputs are stored and multiplied."""

    algorithm: str
    """As ModelOpt calls it."""
    title: str
    """As people call it."""
    weight_dtype: str
    """As safetensors writes it."""
    group: int = 0
    """Weights along the inputs that share a scale; 0: a whole row or matrix does."""
    packed: str = ""
    """The dimension along which a byte holds two weights: "columns", "rows", or "" for none."""


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        one.algorithm: one
        for one in (
            Format("NVFP4", "NVFP4", "U8", group=16, packed="columns"),
            Format("FP8", "FP8", "F8_E4M3"),
            Format("W8A8_SQ_PER_CHANNEL", "INT8 SmoothQuant", "I8"),
            Format("W4A16_AWQ", "INT4 AWQ", "U8", group=128, packed="rows"),
        )
    }
)
"""By ModelOpt's name for the algorithm."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One checkpoint's format."""

    format: Format
    group: int
    """As `Format.group`, by this checkpoint."""
    excluded: tuple[str, ...] = ()
    """Patterns of the layers that stayed as they were."""
    cache: str = ""
    """Format of keys and values that it asks for ("FP8"); empty: none."""

    def excludes(self, layer: str) -> bool:
        """Whether a layer's stored name is one of those left out."""
        return any(fnmatchcase(layer, pattern) for pattern in self.excluded)


def read_scheme(directory: Path) -> Scheme:
    """Read what a ModelOpt checkpoint says: hf_quant_config.json, else config.json.

    Raises EngineFailed with the cure if the format is none of `FORMATS`, or is not said.
    """
    file = directory / MODELOPT_FILE
    if file.is_file():
        table = _json(file).get("quantization")
    else:
        file = directory / "config.json"
        table = _of_config(_json(file).get("quantization_config"))
    if not isinstance(table, Mapping) or "quant_algo" not in table:
        raise EngineFailed(f"{file} does not say how ModelOpt quantised the weights", REQUANTISE)
    found = _format(file, table["quant_algo"])
    return Scheme(
        format=found,
        group=_group(file, found, table.get("group_size")),
        excluded=tuple(map(str, table.get("exclude_modules") or ())),
        cache=str(table.get("kv_cache_quant_algo") or ""),
    )


def _format(file: Path, algorithm: Any) -> Format:
    if algorithm == "MIXED_PRECISION":
        raise EngineFailed(
            f"{file} says MIXED_PRECISION: its layers have different formats, and this engine "
            "reads one a checkpoint",
            f'set [engine] kind = "tensorrt", which may run it, or {REQUANTISE}',
        )
    if algorithm not in FORMATS:
        known = ", ".join(f"{one.algorithm} ({one.title})" for one in FORMATS.values())
        raise EngineFailed(
            f"{file} says quant_algo {algorithm!r}, and this engine reads {known}",
            f'set [engine] kind = "tensorrt", which may run it, or {REQUANTISE}',
        )
    return FORMATS[algorithm]


def _group(file: Path, found: Format, said: Any) -> int:
    """Return the group size: NVFP4's is 16 by its definition, INT4 AWQ's may be another."""
    if not found.group or said is None:
        return found.group
    free = found.algorithm == "W4A16_AWQ"
    if not isinstance(said, int) or said < 1 or (said != found.group and not free):
        wanted = "a size of groups" if free else f"groups of {found.group}"
        raise EngineFailed(f"{file} says group_size {said!r}, not {wanted}", REQUANTISE)
    return said


def _of_config(table: Any) -> dict[str, Any] | None:
    """Return config.json's "quantization_config" in the words of the other file."""
    if not isinstance(table, Mapping):
        return None
    groups = table.get("config_groups")
    first: Mapping[str, Any] = next(iter(groups.values()), {}) if groups else {}
    cache = table.get("kv_cache_scheme")
    return {
        **({"quant_algo": table["quant_algo"]} if "quant_algo" in table else {}),
        "group_size": (first.get("weights") or {}).get("group_size"),
        "exclude_modules": table.get("ignore"),
        "kv_cache_quant_algo": f"{cache.get('num_bits')} bits" if cache else None,
    }


def _json(file: Path) -> dict[str, Any]:
    try:
        table = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
    if not isinstance(table, dict):
        raise EngineFailed(f"{file} holds no JSON object", "download it again")
    return table
