"""Verification of a quantised checkpoint: everything that can be told before it is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.engines.checkpoint import INDEX, Tensor, tensors_of, weight_files
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.tools.quantising import blueprint, config_file
from edgewatch.tools.quantising.blueprint import Linear
from edgewatch.tools.quantising.formats import Format, format_of_algorithm
from edgewatch.tools.quantising.side_files import CONFIG, QUANTISATION, side_file_problems
from edgewatch.tools.quantising.values import value_problems

_NAMED = 6
"""Most problems that a refusal spells out."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A checkpoint that was found right."""

    format: Format
    matrices: int
    """Quantised ones."""
    weights_bytes: int
    original_bytes: int | None
    """Of the original's weights; None: it was not held against one."""


def verified(
    checkpoint: Path,
    original: Path | None = None,
    *,
    begin: Callable[[int], None] = lambda _: None,
    advance: Callable[[], None] = lambda: None,
) -> Verified:
    """Verify a checkpoint's files, headers and numbers, all of them.

    `original`: what it was made of; with it, what is not quantised must be unchanged, and what is
    must be near. `begin` is told the number of matrices, `advance` after each. Raises EngineFailed
    with every reason why it is refused.
    """
    declared = _table(checkpoint, QUANTISATION).get("quantization")
    declared = declared if isinstance(declared, dict) else {}
    config = _table(checkpoint, CONFIG)
    try:
        to = format_of_algorithm(declared.get("quant_algo"))
    except ConfigError as error:
        raise refused(checkpoint, [f"{QUANTISATION}: {error}"]) from error
    found = config_file.problems(config)
    found += config_file.quantisation_problems(
        declared, config.get("quantization_config"), to.algorithm, to.group
    )
    found += side_file_problems(checkpoint, original)
    found += _size_problems(checkpoint)
    held = {one.name: one for one in _tensors(checkpoint)}
    known = None if original is None else {one.name: one for one in tensors_of(original)}
    try:
        matrices = blueprint.linears(config, held)
    except EngineFailed as error:
        raise refused(checkpoint, [*found, str(error)]) from error
    found += blueprint.problems(held, matrices, to, known)
    if not found:
        begin(len(matrices))
        found = value_problems(checkpoint, matrices, to, original, advance)
    if found:
        raise refused(checkpoint, found)
    return Verified(
        to,
        len(matrices),
        sum(one.stored_bytes for one in held.values()),
        None if known is None else sum(one.stored_bytes for one in known.values()),
    )


def refused(checkpoint: Path, reasons: list[str]) -> EngineFailed:
    """Return the error that says why a checkpoint is not to be used."""
    named = "; ".join(reasons[:_NAMED])
    more = f"; and {len(reasons) - _NAMED} more" if len(reasons) > _NAMED else ""
    return EngineFailed(
        f"{checkpoint} is refused: {named}{more}", "quantise the original again (docs/quantize.md)"
    )


def matrices_of(original: Path) -> tuple[list[Linear], list[Tensor]]:
    """Return what of an original is to be quantised, and all its tensors. Raises EngineFailed."""
    tensors = list(tensors_of(original))
    return blueprint.linears(_table(original, CONFIG), [one.name for one in tensors]), tensors


def _tensors(checkpoint: Path) -> list[Tensor]:
    """Read the headers. Raises EngineFailed if a file is missing or cut short."""
    try:
        return list(tensors_of(checkpoint))
    except EngineFailed as error:
        raise refused(checkpoint, [error.what]) from error


def _size_problems(checkpoint: Path) -> list[str]:
    """Hold each file's size against what its header and the index say."""
    found = []
    try:
        files = weight_files(checkpoint)
    except EngineFailed as error:
        return [error.what]
    for file in files:
        size_bytes = file.stat().st_size
        with file.open("rb") as stream:
            header_bytes = int.from_bytes(stream.read(8), "little")
            if header_bytes > size_bytes - 8:
                continue  # cut short: told by whoever reads the header
            try:
                entries = json.loads(stream.read(header_bytes))
                ends = [one["data_offsets"][1] for n, one in entries.items() if n[0] != "_"]
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                continue  # told by whoever reads the header
        whole_bytes = 8 + header_bytes + max(ends, default=0)
        if size_bytes > whole_bytes:
            found.append(
                f"{file.name} has {size_bytes} bytes, and its header tells of {whole_bytes}"
            )
    stray = {one.name for one in checkpoint.glob("*.safetensors")} - {one.name for one in files}
    found += [f"{name} is named by no {INDEX}" for name in sorted(stray)]
    return found


def _table(checkpoint: Path, name: str) -> dict[str, Any]:
    file = checkpoint / name
    if not checkpoint.is_dir():
        raise EngineFailed(f"there is no directory {checkpoint}", "name a checkpoint's directory")
    try:
        table = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise refused(checkpoint, [f"{name} is missing"]) from None
    except (OSError, ValueError) as error:
        raise refused(checkpoint, [f"{name} cannot be read ({error})"]) from error
    if not isinstance(table, dict):
        raise refused(checkpoint, [f"{name} holds no JSON object"])
    return table
