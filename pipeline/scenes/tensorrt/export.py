"""Export: a model's parts, from diffusers' layout, to ONNX files with the names of the plans.

Part after part, so that one is in memory at a time; a part is there whole or not at all, and an
export that was cut goes on with the next one that is missing.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.diffusers.libraries import quiet_libraries
from edgewatch.pipeline.scenes.diffusion.facts import DiffusionFacts
from edgewatch.pipeline.scenes.models.catalogue import Precision
from edgewatch.pipeline.scenes.models.claims import Claims
from edgewatch.pipeline.scenes.tensorrt.export_folder import (
    ExportedPart,
    ExportFolder,
    facts_of_folder,
    source_mark,
)
from edgewatch.pipeline.scenes.tensorrt.networks import (
    MOST_PICTURES,
    MOST_TOKENS,
    Network,
    example_inputs,
    load_network,
    networks_of,
    part_precision,
)
from edgewatch.pipeline.scenes.tensorrt.resize_patch import PATCHED_NAME
from edgewatch.pipeline.scenes.tensorrt.weights_file import DATA_NAME, gather_weights

EXPORT_VERSION = 2
"""Raise it whenever a part's graph changes: exports of an older one are then made anew."""
OPSET = 20
TRACING_OPSET = 19
INLINE_BYTES = 10**9
"""Weights of a part that lie in its graph; protobuf ends at 2 GB."""
_FILES = ("model.onnx", DATA_NAME, PATCHED_NAME)
"""All that a part's own folder holds of ours."""
_TORCH_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class PartExport:
    """What became of one part."""

    exported: ExportedPart
    seconds: float
    """0: it was there already."""


def export_model(
    model_dir: Path,
    folder: ExportFolder,
    precision: Precision,
    *,
    text_length: int,
    claims: Claims,
    inline_bytes: int = INLINE_BYTES,
    on_part: Callable[[str], None] = lambda _part: None,
) -> list[PartExport]:
    """Export what is missing of a model; `on_part` is told the part that begins.

    `claims` lists what is written; weights above `inline_bytes` lie beside their graph. Where all
    parts were fetched ready-made, `model_dir` need not be there.

    Raises SceneUnavailable (libraries, weights or a ready export missing), SceneRefused (a
    precision that can only be fetched ready-made), OSError.
    """
    facts = facts_of_folder(folder.described(model_dir), text_length)
    networks = networks_of(facts)
    marks = {one.part: _mark(model_dir, one, facts) for one in networks}
    for network in networks:
        # Before the first is exported: an hour later would be late.
        if not _is_ready(folder, network.part) and not _ours(folder, network, marks[network.part]):
            _check_precision(facts, network, precision)
    done = []
    for network in networks:
        part, mark = network.part, marks[network.part]
        on_part(part)
        begun = time.monotonic()
        with claims.writing("onnx", _places(folder, part)):
            found = _ours(folder, network, mark)
            if _is_ready(folder, part):
                found = folder.part(part) or folder.record(part, "fetched")
            seconds = 0.0
            if found is None:
                _require_libraries()
                found = _export_part(
                    model_dir, folder, network, facts, precision, mark, inline_bytes
                )
                seconds = time.monotonic() - begun
        done.append(PartExport(found, seconds))
    _copy_tokenizers(model_dir, folder, claims)
    with claims.writing("onnx", [folder.facts_file]):
        folder.write_facts(facts)
    return done


def _mark(model_dir: Path, network: Network, facts: DiffusionFacts) -> str:
    """Return what an export was made of, and how."""
    weights = source_mark(model_dir / network.folder)
    return f"v{EXPORT_VERSION} L{facts.text_length} {weights}"


def _is_ready(folder: ExportFolder, part: str) -> bool:
    """Tell whether a part was fetched ready-made."""
    graph = folder.graph_of(part)
    return graph is not None and graph.parent != folder.root / part


def _ours(folder: ExportFolder, network: Network, mark: str) -> ExportedPart | None:
    """Return our own export of these weights."""
    found = folder.part(network.part)
    return found if found is not None and found.source == mark else None


def _places(folder: ExportFolder, part: str) -> list[Path]:
    """Return the files that an export of a part writes, whether it ends or is cut."""
    if _is_ready(folder, part):
        return [folder.record_file(part)]
    folders = (folder.root / part, _new_folder(folder, part))
    files = [place / name for place in folders for name in _FILES]
    return [*files, folder.record_file(part)]


def _new_folder(folder: ExportFolder, part: str) -> Path:
    return folder.root / f".{part}.new"


def _check_precision(facts: DiffusionFacts, network: Network, precision: Precision) -> None:
    if part_precision(facts.family, network.part, precision) in _TORCH_DTYPES:
        return
    raise SceneRefused(
        f"{network.part} cannot be exported in {precision} here: such networks are calibrated by "
        "their makers. Fetch the ready export (edgewatch scenes fetch --onnx), or take bf16"
    )


def _require_libraries() -> None:
    try:
        import diffusers  # noqa: F401 # only asked whether it is there
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise SceneUnavailable(
            f"{error.name} is not installed, which exports need: pip install 'edgewatch[scenes]'"
        ) from error


def _export_part(
    model_dir: Path,
    folder: ExportFolder,
    network: Network,
    facts: DiffusionFacts,
    precision: Precision,
    mark: str,
    inline_bytes: int,
) -> ExportedPart:
    import torch

    dtype = getattr(torch, _TORCH_DTYPES[part_precision(facts.family, network.part, precision)])
    try:
        with quiet_libraries():
            module = load_network(network, model_dir, dtype)
    except (OSError, ValueError) as error:
        raise SceneUnavailable(
            f"the weights in {model_dir / network.folder} cannot be read ({error}): fetch the "
            "model again"
        ) from error
    target, new = folder.root / network.part, _new_folder(folder, network.part)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        inputs = example_inputs(network, facts, module, dtype)
        with torch.no_grad(), quiet_libraries(), warnings.catch_warnings():
            # Both exporters warn of what our wrappers make sure of.
            warnings.simplefilter("ignore")
            write_graph(network, module, inputs, new / "model.onnx", inline_bytes)
        # Without its record a part is not there. What else lies in its folder stays: a fetched
        # configuration, or somebody's own.
        folder.forget(network.part)
        target.mkdir(exist_ok=True)
        for name in _FILES:
            (target / name).unlink(missing_ok=True)
        for path in new.iterdir():
            path.replace(target / path.name)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder.record(network.part, mark)


def write_graph(
    network: Network,
    module: Any,
    inputs: list[Any],
    path: Path,
    inline_bytes: int = INLINE_BYTES,
) -> None:
    """Write one wrapped network, in a folder of its own; large weights lie beside the graph.

    The tracing exporter knows no bfloat16, and of Flux's attention it makes a wrong graph, or dies:
    it loses the number of axes.
    """
    import torch

    if network.dynamo or any(one.dtype == torch.bfloat16 for one in module.parameters()):
        _write_by_export(network, module, inputs, path, inline_bytes)
    else:
        _write_by_tracing(network, module, inputs, path)
        if _weight_bytes(module) > inline_bytes or len(list(path.parent.iterdir())) > 1:
            gather_weights(path)


def _write_by_export(
    network: Network, module: Any, inputs: list[Any], path: Path, inline_bytes: int
) -> None:
    import torch

    bounds = {"B": (1, MOST_PICTURES), "2B": (1, 2 * MOST_PICTURES), "tokens": (16, MOST_TOKENS)}
    axes = {
        name: torch.export.Dim(f"many_{name}", min=low, max=high)
        for name, (low, high) in bounds.items()
    }
    free = torch.export.Dim.DYNAMIC
    shapes = tuple(
        {axis: axes.get(name, free) for axis, name in network.moving.get(one, {}).items()} or None
        for one in network.inputs
    )
    torch.onnx.export(
        module,
        tuple(inputs),
        str(path),
        input_names=list(network.inputs),
        output_names=list(network.outputs),
        dynamo=True,
        opset_version=OPSET,
        external_data=_weight_bytes(module) > inline_bytes,
        dynamic_shapes=shapes,
        verbose=False,
    )


def _write_by_tracing(network: Network, module: Any, inputs: list[Any], path: Path) -> None:
    import torch

    torch.onnx.export(
        module,
        tuple(inputs),
        str(path),
        input_names=list(network.inputs),
        output_names=list(network.outputs),
        dynamo=False,
        opset_version=TRACING_OPSET,
        dynamic_axes={name: dict(axes) for name, axes in network.moving.items() if axes},
    )


def _weight_bytes(module: Any) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters())


def _copy_tokenizers(model_dir: Path, folder: ExportFolder, claims: Claims) -> None:
    """Copy them, so that the exports can be used without the weights they were made of."""
    for name in ("tokenizer", "tokenizer_2"):
        source, target = model_dir / name, folder.root / name
        if not source.is_dir() or target.is_dir():
            continue
        new = folder.root / f".{name}.new"
        files = [path.relative_to(source) for path in source.rglob("*") if path.is_file()]
        with claims.writing("onnx", [place / file for place in (target, new) for file in files]):
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(source, new)
            new.replace(target)
