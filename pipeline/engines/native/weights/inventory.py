"""What a checkpoint's headers say held against the model that its config.json describes. Pure.

No weight is read: what is missing, of another name, shape or type is refused before that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from edgewatch.pipeline.engines.checkpoint import Tensor
from edgewatch.pipeline.engines.native.weights.formats import PLAIN_TYPES, Shape, StoredFormat
from edgewatch.pipeline.errors import EngineFailed

_CURE = (
    "take config.json and the weights from one checkpoint, or download it again (docs/engines.md)"
)
_NAMED = 5
"""Most tensors that an error names."""
_EMBEDDED = ("model.embed_tokens.weight", "visual.patch_embed.proj.weight")
"""Weights that are no linear layer's: always plain."""
_NEEDLESS = re.compile(
    # Rotary frequencies, which the network computes itself; scales for keys and values in FP8,
    # which it keeps in its own type; scales for inputs in FP4, which it does not round.
    r".*rotary\w*\.inv_freq|.*\.[kv]_scale|.*\.[kv]_proj\.output_scale"
)

Stored = Mapping[str, tuple[Path, Tensor]]
"""By canonical name."""


def refuse_unlike(
    directory: Path,
    stored: Stored,
    expected: Mapping[str, Shape],
    found: StoredFormat | None,
    *,
    tied: bool,
) -> None:
    """Let a checkpoint pass that holds this model's weights, all of them and no others.

    `expected`: shapes of plain weights. `tied`: whether the head is the table of embeddings; a
    head that is stored all the same is left. Raises EngineFailed naming up to five tensors.
    """
    wrong: list[str] = []
    known = set(expected) | ({"lm_head.weight"} if tied else set())
    for name, shape in expected.items():
        if name not in stored:
            wrong.append(f"{name} is missing")
            continue
        file, tensor = stored[name]
        if _is_quantised(name, tensor, found):
            assert found is not None
            wrong += _wrong_layer(name, shape, stored, found)
            layer = name.removesuffix("weight")
            known |= {layer + scale for scale in (*found.scale_shapes(shape), "input_scale")}
        elif said := _unlike(tensor, shape, PLAIN_TYPES):
            wrong.append(f"{name} in {file.name} {said}")
    for name, (file, _) in stored.items():
        if name not in known and not _NEEDLESS.fullmatch(name):
            wrong.append(f"{name} in {file.name} belongs to no weight of this model")
    if wrong:
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise EngineFailed(
            f"{directory} does not hold the model that its config.json describes: "
            f"{'; '.join(wrong[:_NAMED])}{more}",
            _CURE,
        )


def is_quantised(stored: Stored, layer: str, found: StoredFormat | None) -> bool:
    """Whether a layer's weight is stored in the checkpoint's format, and not plain."""
    name = f"{layer}.weight"
    return _is_quantised(name, stored[name][1], found)


def _is_quantised(name: str, tensor: Tensor, found: StoredFormat | None) -> bool:
    return (
        found is not None
        and tensor.dtype == found.weight_type
        and name.endswith(".weight")
        and name not in _EMBEDDED
    )


def _wrong_layer(name: str, shape: Shape, stored: Stored, found: StoredFormat) -> list[str]:
    """Return what is wrong with a quantised layer's weight and scales."""
    file, tensor = stored[name]
    said = _unlike(tensor, found.weight_shape(shape), {found.weight_type})
    wrong = [f"{name} in {file.name} {said}"] if said else []
    layer = name.removesuffix("weight")
    for part, wanted in found.scale_shapes(shape).items():
        if layer + part not in stored:
            wrong.append(f"{layer}{part} is missing")
            continue
        file, scale = stored[layer + part]
        if said := _unlike(scale, wanted, found.scale_types(part)):
            wrong.append(f"{layer}{part} in {file.name} {said}")
    return wrong


def _unlike(tensor: Tensor, shape: Shape, types: frozenset[str] | set[str]) -> str:
    """Say in what a tensor is not as it should be; empty if it is.

    Dimensions of 1 do not count; patches are weights of a convolution in time, row and column, or
    of a matrix.
    """
    if tensor.dtype not in types:
        return f"is stored as {tensor.dtype}, not as {' or '.join(sorted(types))}"
    flat = (shape[0], math.prod(shape[1:])) if len(shape) == 5 else shape
    if _tight(tensor.shape) not in (_tight(shape), _tight(flat)):
        return f"has the shape {tensor.shape}, not {shape}"
    return ""


def _tight(shape: Shape) -> Shape:
    return tuple(size for size in shape if size != 1)
