"""Blueprint: every tensor that a quantised checkpoint must hold, by the model's config. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising.formats import Format, Part

PLAIN = ("BF16",)
"""What is not quantised stays in bfloat16."""
_LAYER = re.compile(r"^(?P<prefix>.*?)layers\.(?P<layer>\d+)\.(?P<block>self_attn|mlp)\.\w+\.\w+$")
_QUANTISED = frozenset({"U8", "I8", "F8_E4M3", "F8_E5M2"})
_SCALES = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale", "output_scale")
_CACHE_SCALES = ("k_scale", "v_scale", "k_proj.output_scale", "v_proj.output_scale")


@dataclass(frozen=True, slots=True)
class Linear:
    """A matrix of the language model's layers."""

    name: str
    """Without ".weight"."""
    out: int
    width: int
    """Of its input."""


def is_vision(name: str) -> bool:
    """Whether a tensor belongs to the vision tower."""
    return name.startswith("visual.") or ".visual." in name


def is_head(name: str) -> bool:
    """Whether a tensor belongs to the head that turns states into words."""
    return name.startswith("lm_head.") or ".lm_head." in name


def linears(config: Mapping[str, Any], names: Iterable[str]) -> list[Linear]:
    """Return the matrices that are quantised: shapes by config.json, the prefix by `names`.

    Raises EngineFailed if config.json lacks a size or no name is of a language layer.
    """
    prefix = _prefix(names)
    text = config.get("text_config") or config
    try:
        hidden, mlp = int(text["hidden_size"]), int(text["intermediate_size"])
        heads, kv_heads = int(text["num_attention_heads"]), int(text["num_key_value_heads"])
        head = int(text.get("head_dim") or hidden // heads)
        layers = int(text["num_hidden_layers"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise EngineFailed(
            f"config.json lacks a size of the language model ({error})",
            "take the one of the original checkpoint",
        ) from error
    shapes = {
        "self_attn.q_proj": (heads * head, hidden),
        "self_attn.k_proj": (kv_heads * head, hidden),
        "self_attn.v_proj": (kv_heads * head, hidden),
        "self_attn.o_proj": (hidden, heads * head),
        "mlp.gate_proj": (mlp, hidden),
        "mlp.up_proj": (mlp, hidden),
        "mlp.down_proj": (hidden, mlp),
    }
    return [
        Linear(f"{prefix}layers.{layer}.{name}", *shape)
        for layer in range(layers)
        for name, shape in shapes.items()
    ]


def refuse_widths(matrices: Iterable[Linear], to: Format) -> None:
    """Let a model pass whose matrices divide into groups. Raises EngineFailed."""
    for one in matrices:
        odd = to.name == "int4-awq" and one.out % 2
        if one.width % to.width_step or odd:
            raise EngineFailed(
                f"{one.name} is {one.out} x {one.width}, and {to.name} needs inputs whose width is "
                f"a multiple of {to.width_step}",
                "quantise this model to fp8 or int8-sq",
            )


def problems(
    held: Mapping[str, Tensor],
    matrices: Iterable[Linear],
    to: Format,
    original: Mapping[str, Tensor] | None,
) -> list[str]:
    """Hold a checkpoint's tensors against what must be there; one sentence for each that is wrong.

    `original`: the headers of what it was made of; without them, what is not quantised is only
    held against its dtype.
    """
    found: list[str] = []
    known: set[str] = set()
    for linear in matrices:
        for ending, part in to.parts(linear.out, linear.width).items():
            name = f"{linear.name}.{ending}"
            known.add(name)
            if name in held:
                found += _differences(held[name], part, to)
            elif part.required:
                found.append(f"{name} is missing")
    for name in sorted(held.keys() - known):
        found += _plain_problems(held[name], original)
    if original is not None:
        weights = {f"{one.name}.weight" for one in matrices}
        gone = sorted(original.keys() - held.keys() - weights)
        found += [f"{name} is missing" for name in gone]
    return found


def expected_bytes(
    matrices: Iterable[Linear], to: Format, original: Iterable[Tensor], *, plain_bytes: int = 2
) -> int:
    """Return what the tensors of a quantised checkpoint take, made of an original's headers.

    `plain_bytes`: of a number that is not quantised.
    """
    table = {one.name: one for one in matrices}
    total = 0
    for tensor in original:
        linear = table.get(tensor.name.removesuffix(".weight"))
        if linear is None or not tensor.name.endswith(".weight"):
            total += tensor.elements * plain_bytes
            continue
        total += sum(_bytes_of(part) for part in to.parts(linear.out, linear.width).values())
    return total


def _bytes_of(part: Part) -> int:
    size = {"U8": 1, "I8": 1, "F8_E4M3": 1, "BF16": 2, "F32": 4}[part.dtypes[0]]
    for side in part.shape:
        size *= side
    return size


def _prefix(names: Iterable[str]) -> str:
    for name in names:
        match = None if is_vision(name) else _LAYER.match(name)
        if match:
            return match["prefix"]
    raise EngineFailed(
        "no tensor of a language layer is in the checkpoint's files",
        "`edgewatch quantize` takes the Qwen2.5-VL family, as Cosmos-Reason1-7B",
    )


def _differences(tensor: Tensor, part: Part, to: Format) -> list[str]:
    if tensor.dtype not in part.dtypes:
        return [f"{tensor.name} is {tensor.dtype}, and {to.name} keeps it as {part.dtypes[0]}"]
    shape = (1,) if tensor.shape == (1,) and not part.shape else part.shape
    if tensor.shape == shape:
        return []
    if to.group and tensor.name.endswith(".weight_scale") and len(tensor.shape) == 2:
        rows, groups = tensor.shape
        if rows == part.shape[0] and groups and (part.shape[1] * to.group) % groups == 0:
            group = part.shape[1] * to.group // groups
            return [f"{tensor.name} has a scale for groups of {group} weights, not of {to.group}"]
    return [f"{tensor.name} has the shape {list(tensor.shape)}, not {list(part.shape)}"]


def _plain_problems(tensor: Tensor, original: Mapping[str, Tensor] | None) -> list[str]:
    name = tensor.name
    if any(name.endswith(f".{ending}") for ending in _CACHE_SCALES):
        return [f"{name} quantises the cache of keys and values, which moves scores"]
    is_scale = any(name.endswith(f".{ending}") for ending in _SCALES)
    if tensor.dtype in _QUANTISED or is_scale:
        if is_vision(name):
            return [f"the vision tower is quantised ({name}); it must stay in bfloat16"]
        if is_head(name):
            return [f"lm_head is quantised ({name}); it must stay in bfloat16"]
        return [f"{name} ({tensor.dtype}) is no part of this format"]
    if tensor.dtype not in PLAIN:
        return [f"{name} is {tensor.dtype}, and what is not quantised must be bfloat16"]
    if original is None:
        return []
    if name not in original:
        return [f"{name} is no part of the original"]
    if original[name].shape != tensor.shape:
        was, has = list(original[name].shape), list(tensor.shape)
        return [f"{name} has the shape {has}, and the original's {was}"]
    return []
