"""Values of a quantised checkpoint: scales that can be right, and weights that are the original's.

Reads every tensor once. Unpacking is that of the engine which runs such checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgewatch.pipeline.engines.checkpoint import weight_files
from edgewatch.pipeline.engines.modelopt.codes import unpack
from edgewatch.pipeline.engines.modelopt.scheme import read_scheme
from edgewatch.tools.quantising.blueprint import Linear, is_head, is_vision
from edgewatch.tools.quantising.formats import Format

if TYPE_CHECKING:
    import torch

COMPARED_ROWS = 64
"""Rows of each matrix that are held against the original's: evenly chosen, an even number."""
_SCALES = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale")
_NORMS = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "input_layernorm"),
    **dict.fromkeys(("gate_proj", "up_proj"), "post_attention_layernorm"),
}
"""Which norm a matrix reads its input from, and so may hold its scales."""
Advance = Callable[[], None]


class Tensors:
    """A checkpoint's tensors by name, read when asked for. A context; one thread only."""

    def __init__(self, checkpoint: Path) -> None:
        """Raises EngineFailed if a file is missing."""
        self._files = weight_files(checkpoint)
        self._stack = ExitStack()
        self._holders: dict[str, Any] = {}

    def __enter__(self) -> Tensors:
        from safetensors import safe_open

        for file in self._files:
            holder = self._stack.enter_context(safe_open(file, framework="pt"))
            self._holders.update(dict.fromkeys(holder.keys(), holder))
        return self

    def __exit__(self, *_: object) -> None:
        self._holders.clear()
        self._stack.close()

    @property
    def names(self) -> frozenset[str]:
        """Of all tensors."""
        return frozenset(self._holders)

    def __getitem__(self, name: str) -> torch.Tensor:
        tensor: torch.Tensor = self._holders[name].get_tensor(name)
        return tensor


def value_problems(
    checkpoint: Path,
    matrices: Sequence[Linear],
    to: Format,
    original: Path | None,
    advance: Advance = lambda: None,
) -> list[str]:
    """Return what is wrong with a checkpoint's numbers, a sentence each.

    Its headers must have been found right. `original`: what it was made of; None: its weights are
    held against nothing. `advance` is called after each matrix. Raises EngineFailed.
    """
    with ExitStack() as stack:
        made = stack.enter_context(Tensors(checkpoint))
        source = None if original is None else stack.enter_context(Tensors(original))
        found: list[str] = []
        for linear in matrices:
            wrong = list(_scale_problems(linear, made))
            if not wrong and source is not None:
                wrong = list(_weight_problems(linear, to, checkpoint, made, source))
            found += wrong
            advance()
        quantised = {f"{one.name}.{part}" for one in matrices for part in ("weight", *_SCALES)}
        for name in sorted(made.names - quantised):
            found += _plain_problems(name, to, made, source)
        return found


def _scale_problems(linear: Linear, made: Tensors) -> Iterator[str]:
    import torch

    for part in _SCALES:
        name = f"{linear.name}.{part}"
        if name not in made.names:
            continue
        scale = made[name].float()
        if not bool(torch.isfinite(scale).all()):
            yield f"{name} holds NaN or infinity"
        elif bool((scale < 0).any()):
            yield f"{name} holds a negative scale"
        elif not bool(scale.all()):
            count = int((scale == 0).sum())
            yield f"{name} holds {count} zeros among {scale.numel()}: what they scale is lost"


def _weight_problems(
    linear: Linear, to: Format, checkpoint: Path, made: Tensors, source: Tensors
) -> Iterator[str]:
    import torch

    name = f"{linear.name}.weight"
    if name not in source.names:
        yield f"{name} is no part of the original"
        return
    parts = {
        part: made[f"{linear.name}.{part}"]
        for part in ("weight", *_SCALES)
        if f"{linear.name}.{part}" in made.names
    }
    rows = _rows(linear.out)
    # A byte of INT4 holds two rows, so an even row goes with the odd one after it.
    stored = rows[::2] // 2 if to.name == "int4-awq" else rows
    parts["weight"] = parts["weight"][stored]
    if parts["weight_scale"].ndim:
        parts["weight_scale"] = (
            parts["weight_scale"].view(torch.uint8)[rows].view(torch.float8_e4m3fn)
            if to.name == "nvfp4"
            else parts["weight_scale"][rows]
        )
    weight = unpack(read_scheme(checkpoint), parts, torch.float32).weight()
    factor = _column_factor(linear, to, parts, made, source)
    wanted = source[name][rows].float()
    error = float((weight * factor - wanted).norm() / wanted.norm().clamp_min(1e-12))
    if not error <= to.loosest:
        yield (
            f"{name} is not the original's: off by {error:.0%}, and rounding to {to.name} "
            f"explains at most {to.loosest:.0%}"
        )


def _column_factor(
    linear: Linear,
    to: Format,
    parts: Mapping[str, torch.Tensor],
    made: Tensors,
    source: Tensors,
) -> torch.Tensor | float:
    """Return what each column is to be multiplied by to be the original's again."""
    if "pre_quant_scale" in parts:
        return parts["pre_quant_scale"].float()
    block, _, kind = linear.name.rpartition(".")
    norm = f"{block.rpartition('.')[0]}.{_NORMS.get(kind, '')}.weight"
    if not to.folds_norms or norm not in made.names or norm not in source.names:
        return 1.0
    return made[norm].float() / source[norm].float()


def _plain_problems(name: str, to: Format, made: Tensors, source: Tensors | None) -> list[str]:
    import torch

    tensor = made[name]
    if not bool(torch.isfinite(tensor).all()):
        return [f"{name} holds NaN or infinity"]
    if source is None or (to.folds_norms and "layernorm" in name):
        return []
    if name not in source.names or torch.equal(source[name].to(tensor.dtype), tensor):
        return []
    what = "the vision tower" if is_vision(name) else "lm_head" if is_head(name) else "what"
    return [f"{name} was changed: {what} is not quantised and must be the original's"]


def _rows(count: int) -> torch.Tensor:
    """Return evenly chosen rows, each even one with the odd one after it."""
    import torch

    pairs = min(COMPARED_ROWS // 2, count // 2)
    if not pairs:
        return torch.arange(count)
    firsts = 2 * (torch.arange(pairs) * (count // 2) // pairs)
    return torch.stack((firsts, firsts + 1), dim=1).flatten()
