"""How a checkpoint stores the weights of its linear layers: plain, in E4M3, or in FP4 with scales.

Sources: `modelopt.torch.export` 0.47 (see `engines.modelopt.scheme`); `compressed_tensors` 0.20,
`FloatQuantizationCompressor` and `initialize_qparams`, for the format "float-quantized".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgewatch.pipeline.engines.modelopt.scheme import REQUANTISE, read_scheme
from edgewatch.pipeline.engines.qwen.quantisation import Quantisation, quantisation_of
from edgewatch.pipeline.errors import EngineFailed

Shape = tuple[int, ...]
PLAIN_TYPES = frozenset({"BF16", "F16", "F32"})
"""As safetensors writes them."""
_KINDS: Mapping[str, Literal["fp8", "nvfp4"]] = {"FP8": "fp8", "NVFP4": "nvfp4"}
_GROUP = 16
"""Inputs that share a scale in NVFP4, by its definition."""


@dataclass(frozen=True, slots=True)
class StoredFormat:
    """What layers are stored in, where they are not plain."""

    kind: Literal["fp8", "nvfp4"]
    """ "fp8": E4M3. "nvfp4": two E2M1 a byte under E4M3 scales of 16 inputs, and one for all."""
    title: str
    """For people: "FP8 by ModelOpt"."""
    weight_scales: Literal["one", "outputs"] = "one"
    """ "one": one for the whole weight. "outputs": one for each output."""
    inputs: Literal["fixed", "rows"] = "rows"
    """ "fixed": under a scale found by calibration. "rows": under each row's own."""

    @property
    def weight_type(self) -> str:
        """As safetensors writes it."""
        return "F8_E4M3" if self.kind == "fp8" else "U8"

    def weight_shape(self, shape: Shape) -> Shape:
        """Return the stored shape of a weight (outputs, inputs)."""
        return shape if self.kind == "fp8" else (shape[0], shape[1] // 2)

    def scale_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return what stands beside a weight (outputs, inputs): last names and shapes.

        Whole shapes without the dimensions of 1: those are written one way or another.
        """
        if self.kind == "nvfp4":
            return {"weight_scale": (shape[0], shape[1] // _GROUP), "weight_scale_2": ()}
        weight: dict[str, Shape] = {
            "weight_scale": (shape[0],) if self.weight_scales == "outputs" else ()
        }
        return weight | ({"input_scale": ()} if self.inputs == "fixed" else {})

    def scale_types(self, name: str) -> frozenset[str]:
        """Return the types that a scale may be stored in."""
        blocks = self.kind == "nvfp4" and name == "weight_scale"
        return frozenset({"F8_E4M3"}) if blocks else PLAIN_TYPES


def read_format(directory: Path) -> StoredFormat | None:
    """Read what a checkpoint says of its weights; None: they are plain.

    Raises EngineFailed with the cure if it is none that this engine reads.
    """
    config = _config(directory)
    found = quantisation_of(directory, config)
    if found is None:
        return None
    if found.method == "modelopt":
        return _of_modelopt(directory, found)
    if found.method == "compressed-tensors":
        return _of_compressed(directory, found, config["quantization_config"])
    raise _unread(directory, found)


def _of_modelopt(directory: Path, found: Quantisation) -> StoredFormat:
    scheme = read_scheme(directory)
    kind = _KINDS.get(scheme.format.algorithm)
    if kind is None:
        raise _unread(directory, found)
    return StoredFormat(
        kind, f"{scheme.format.title} by ModelOpt", inputs="fixed" if kind == "fp8" else "rows"
    )


def _of_compressed(directory: Path, found: Quantisation, table: Mapping[str, Any]) -> StoredFormat:
    """Read config_groups: there must be one, of E4M3 weights and E4M3 inputs."""
    groups = list((table.get("config_groups") or {}).values())
    if table.get("format") != "float-quantized" or len(groups) != 1:
        raise _unread(directory, found)
    weights, inputs = (groups[0].get(part) or {} for part in ("weights", "input_activations"))
    eight_bits = all(
        (part.get("num_bits"), part.get("type")) == (8, "float") and part.get("symmetric", True)
        for part in (weights, inputs)
    )
    scales: Mapping[Any, Literal["one", "outputs"]] = {"tensor": "one", "channel": "outputs"}
    dynamic = inputs.get("dynamic") is True and inputs.get("strategy") in ("token", "tensor")
    fixed = inputs.get("dynamic") in (False, None) and inputs.get("strategy") == "tensor"
    if not eight_bits or weights.get("strategy") not in scales or not (dynamic or fixed):
        raise _unread(directory, found)
    return StoredFormat(
        "fp8",
        "FP8 by compressed-tensors",
        weight_scales=scales[weights["strategy"]],
        inputs="fixed" if fixed else "rows",
    )


def _unread(directory: Path, found: Quantisation) -> EngineFailed:
    return EngineFailed(
        f'{directory} is quantised ({found}), which kind = "native" does not read: it reads FP8 '
        "and NVFP4 by ModelOpt, and FP8 by compressed-tensors (float-quantized, a scale a tensor "
        "or a channel, inputs in FP8 too)",
        f'set [engine] kind = "transformers", which may run it, or {REQUANTISE}',
    )


def _config(directory: Path) -> dict[str, Any]:
    file = directory / "config.json"
    try:
        table = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise EngineFailed(f"{file} cannot be read ({error})", "download it again") from error
    return table if isinstance(table, dict) else {}
