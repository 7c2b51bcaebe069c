"""Weights in fewer bits: what a checkpoint holds, and whether it can be loaded here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import EngineFailed

MODELOPT_FILE = "hf_quant_config.json"
FP8_CAPABILITY = (8, 9)
"""First compute capability of CUDA with FP8 products (Ada); Hopper is 9.0, the Spark 12.1."""


_NONE = 'set quantize = "none"'


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How a checkpoint's weights were made smaller."""

    method: str
    """Who wrote it: "modelopt", "compressed-tensors", "fp8", "bitsandbytes", ..."""
    algorithm: str
    """As it is called there: "NVFP4", "FP8", "nvfp4-pack-quantized", ..."""

    def __str__(self) -> str:
        return f"{self.algorithm} by {self.method}" if self.algorithm else self.method


@dataclass(frozen=True, slots=True)
class Place:
    """What weights are to be loaded onto, and with what."""

    device: str
    """ "cpu" or "cuda:0"."""
    capability: tuple[int, int] | None
    """Compute capability of the GPU; None on a CPU."""
    packages: frozenset[str]
    """Names of those installed packages that matter here."""


def quantisation_of(directory: Path, config: Mapping[str, Any]) -> Quantisation | None:
    """Return what a checkpoint says of its quantisation; None: its weights are plain.

    Raises EngineFailed if it says so in a file that cannot be read.
    """
    file = directory / MODELOPT_FILE
    if file.is_file():
        try:
            table = json.loads(file.read_bytes())["quantization"]
            return Quantisation("modelopt", str(table["quant_algo"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineFailed(f"{file} cannot be read ({error!r})", "download it again") from error
    table = config.get("quantization_config")
    if not table:
        return None
    bits = "8 bits" if table.get("load_in_8bit") else "4 bits" if table.get("load_in_4bit") else ""
    algorithm = table.get("quant_algo") or table.get("format") or table.get("fmt") or bits
    return Quantisation(str(table.get("quant_method", "unknown")), str(algorithm))


def refuse_unloadable(directory: Path, found: Quantisation | None, place: Place) -> None:
    """Let a checkpoint pass that can be loaded here. Raises EngineFailed with what could run it."""
    if found is None:
        return
    reason, cure = _obstacle(found, place)
    if reason:
        raise EngineFailed(f"{directory} is quantised ({found}), and {reason}", cure)


def refuse_int8(found: Quantisation | None, place: Place) -> None:
    """Let `quantize = "int8"` pass where it works. Raises EngineFailed with the cure."""
    setting = '[engine] quantize = "int8"'
    if found is not None:
        raise EngineFailed(f"{setting}, but the checkpoint is {found} already", _NONE)
    if place.capability is None:
        raise EngineFailed(f"{setting} needs a CUDA GPU, not {place.device}", _NONE)
    if "bitsandbytes" not in place.packages:
        raise EngineFailed(f"{setting} needs a package", "pip install bitsandbytes accelerate")


def _obstacle(found: Quantisation, place: Place) -> tuple[str, str]:
    """Why it cannot be loaded, and the cure; both empty if it can."""
    plain = "or load the same model in bf16 with this one"
    match found.method:
        case "modelopt":
            pass  # modelopt.choice looks closer: at the format, the layers and their scales
        case "compressed-tensors":
            if "compressed-tensors" not in place.packages:
                return "a package is missing", f"pip install compressed-tensors, {plain}"
        case "fp8":
            if place.capability is None or place.capability < FP8_CAPABILITY:
                return (
                    f"{place.device} has no FP8 products (a CUDA GPU from capability 8.9 has)",
                    f"use such a GPU, {plain}",
                )
        case "bitsandbytes":
            if place.capability is None:
                return f"it needs a CUDA GPU, not {place.device}", f"use one, {plain}"
            if "bitsandbytes" not in place.packages:
                return "a package is missing", f"pip install bitsandbytes, {plain}"
        case _:
            return (
                "edgewatch does not know that method",
                f'serve it with vLLM and set [engine] kind = "remote", {plain}',
            )
    return "", ""
