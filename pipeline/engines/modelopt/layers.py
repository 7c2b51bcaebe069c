"""The quantised layers of a checkpoint, by its files' headers: are they whole and of one kind?

No weight is read. A layer is quantised if its weight is stored so; what hf_quant_config.json
excludes must not be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from edgewatch.pipeline.engines.checkpoint import Tensor, tensors_of
from edgewatch.pipeline.engines.modelopt.arithmetic import Arithmetic
from edgewatch.pipeline.engines.modelopt.scheme import REQUANTISE, Scheme
from edgewatch.pipeline.errors import EngineFailed

PARTS = ("weight", "weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale", "bias")
"""What a layer's tensors are called."""
_SCALES = ("_scale", "_scale_2")
_PLAIN = frozenset({"BF16", "F16", "F32"})
_NAMED = 3
"""Most layers that an error names."""


@dataclass(frozen=True, slots=True)
class QuantisedLayer:
    """A linear layer in fewer bits."""

    name: str
    """As it is stored: "model.layers.0.mlp.up_proj"."""
    rows: int
    """Outputs."""
    columns: int
    """Inputs."""
    parts: frozenset[str]
    """Which of `PARTS` there are."""


def quantised_layers(directory: Path, scheme: Scheme) -> dict[str, QuantisedLayer]:
    """Return a checkpoint's quantised layers by their stored names.

    Raises EngineFailed if there are none, if a scale is missing, of a wrong shape or type, or if
    an excluded layer is quantised.
    """
    found = layers_among(tensors_of(directory), scheme, str(directory))
    if not found:
        raise EngineFailed(
            f"{directory} says {scheme.format.title}, but no layer's weights are stored so",
            REQUANTISE,
        )
    return found


def layers_among(
    tensors: Iterable[Tensor], scheme: Scheme, checkpoint: str
) -> dict[str, QuantisedLayer]:
    """Return the quantised layers among a checkpoint's tensors; see `quantised_layers`."""
    parts: dict[str, dict[str, Tensor]] = {}
    for tensor in tensors:
        layer, _, part = tensor.name.rpartition(".")
        if part in PARTS:
            parts.setdefault(layer, {})[part] = tensor
    wrong: list[tuple[str, str]] = []
    layers = {}
    for name, held in parts.items():
        weight = held.get("weight")
        if weight is None or weight.dtype in _PLAIN:
            continue
        obstacle = _obstacle(name, held, scheme)
        if obstacle:
            wrong.append((name, obstacle))
        else:
            rows, columns = _size(weight, scheme)
            layers[name] = QuantisedLayer(name, rows, columns, frozenset(held))
    if wrong:
        named = "; ".join(f"{name} {what}" for name, what in wrong[:_NAMED])
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise EngineFailed(
            f"{checkpoint} is no whole {scheme.format.title} checkpoint: {named}{more}", REQUANTISE
        )
    return layers


def held_bytes(arithmetic: Arithmetic, *, plain_bytes: int) -> Callable[[Tensor], int]:
    """Return what tells a tensor's size in memory. `plain_bytes`: of a weight of full size."""
    unpacked = arithmetic.way == "unpacked"

    def held(tensor: Tensor) -> int:
        if tensor.dtype in _PLAIN and not tensor.name.endswith(_SCALES):
            return tensor.elements * plain_bytes
        is_weight = tensor.name.endswith(".weight") and len(tensor.shape) == 2
        if not unpacked or not is_weight:
            return tensor.stored_bytes
        rows, columns = _size(tensor, arithmetic.scheme)
        return rows * columns * plain_bytes

    return held


def _size(weight: Tensor, scheme: Scheme) -> tuple[int, int]:
    rows, columns = weight.shape
    match scheme.format.packed:
        case "columns":
            return rows, 2 * columns
        case "rows":
            return 2 * rows, columns
        case _:
            return rows, columns


def _obstacle(name: str, held: dict[str, Tensor], scheme: Scheme) -> str:
    """Why a layer cannot be read; empty if it can."""
    weight, wanted = held["weight"], scheme.format.weight_dtype
    if weight.dtype != wanted or len(weight.shape) != 2:
        return f"is stored as {weight.dtype} of shape {weight.shape}, not as a matrix of {wanted}"
    if scheme.excludes(name):
        return "is quantised, though hf_quant_config.json excludes it"
    rows, columns = _size(weight, scheme)
    if scheme.group and columns % scheme.group:
        return f"has {columns} inputs, no multiple of its groups of {scheme.group}"
    needed = _needed(scheme, rows, columns)
    for part, shape in needed.items():
        if part not in held:
            return f"lacks its {part}"
        obstacle = _unlike(part, held[part], shape, scheme)
        if obstacle:
            return obstacle
    smoothing = held.get("pre_quant_scale")
    if smoothing is not None and smoothing.shape != (columns,):
        return f"has a pre_quant_scale of shape {smoothing.shape}, not ({columns},)"
    return ""


def _needed(scheme: Scheme, rows: int, columns: int) -> dict[str, tuple[int, ...]]:
    """Return the scales that a layer must have, and their shapes."""
    match scheme.format.algorithm:
        case "NVFP4":
            groups = (rows, columns // scheme.group)
            return {"weight_scale": groups, "weight_scale_2": (), "input_scale": ()}
        case "FP8":
            return {"weight_scale": (), "input_scale": ()}
        case "W4A16_AWQ":
            return {"weight_scale": (rows, columns // scheme.group)}
        case _:
            return {"weight_scale": (rows,)}  # inputs without a scale are scaled token by token


def _unlike(part: str, scale: Tensor, shape: tuple[int, ...], scheme: Scheme) -> str:
    # A scalar may be stored as a list of one.
    if scale.shape != shape and not (shape == () and scale.elements == 1):
        return f"has a {part} of shape {scale.shape}, not {shape}"
    blocks = part == "weight_scale" and scheme.format.algorithm == "NVFP4"
    allowed = frozenset({"F8_E4M3"}) if blocks else _PLAIN
    if scale.dtype not in allowed:
        return f"has a {part} of {scale.dtype}, not of {' or '.join(sorted(allowed))}"
    return ""
