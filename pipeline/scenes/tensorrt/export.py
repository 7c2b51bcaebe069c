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

EXPORT_VERSION = 1
"""Raise it whenever a part's graph changes: exports of an older one are then made anew."""
OPSET = 20
TRACING_OPSET = 19
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
    on_part: Callable[[str], None] = lambda _part: None,
) -> list[PartExport]:
    """Export what is missing of a model; `on_part` is told the part that begins.

    Raises SceneUnavailable (libraries, weights or a ready export missing), SceneRefused (a
    precision that can only be fetched ready-made), OSError.
    """
    facts = facts_of_folder(model_dir, text_length)
    for network in networks_of(facts):
        # Before the first is exported: an hour later would be late.
        if _there(folder, network, _mark(model_dir, network, facts)) is None:
            _check_precision(facts, network, precision)
    done = []
    for network in networks_of(facts):
        on_part(network.part)
        begun = time.monotonic()
        mark = _mark(model_dir, network, facts)
        found = _there(folder, network, mark)
        seconds = 0.0
        if found is None:
            _require_libraries()
            found = _export_part(model_dir, folder, network, facts, precision, mark)
            seconds = time.monotonic() - begun
        done.append(PartExport(found, seconds))
    _copy_tokenizers(model_dir, folder)
    folder.write_facts(facts)
    return done


def _mark(model_dir: Path, network: Network, facts: DiffusionFacts) -> str:
    """Return what an export was made of, and how."""
    weights = source_mark(model_dir / network.folder)
    return f"v{EXPORT_VERSION} L{facts.text_length} {weights}"


def _there(folder: ExportFolder, network: Network, mark: str) -> ExportedPart | None:
    """Return a part that need not be exported: ours of these weights, or a ready one."""
    graph = folder.graph_of(network.part)
    if graph is not None and graph.parent != folder.root / network.part:
        return folder.part(network.part) or folder.record(network.part, "fetched")
    found = folder.part(network.part)
    return found if found is not None and found.source == mark else None


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
    target, new = folder.root / network.part, folder.root / f".{network.part}.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        inputs = example_inputs(network, facts, module, dtype)
        with torch.no_grad(), quiet_libraries(), warnings.catch_warnings():
            # Both exporters warn of what our wrappers make sure of.
            warnings.simplefilter("ignore")
            write_graph(network, module, inputs, new / "model.onnx")
        folder.forget(network.part)
        shutil.rmtree(target, ignore_errors=True)
        new.replace(target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return folder.record(network.part, mark)


def write_graph(network: Network, module: Any, inputs: list[Any], path: Path) -> None:
    """Write one wrapped network; weights above protobuf's 2 GB lie beside the graph.

    The tracing exporter knows neither Flux's transformer nor bfloat16.
    """
    import torch

    if network.dynamo or any(one.dtype == torch.bfloat16 for one in module.parameters()):
        _write_by_export(network, module, inputs, path)
    else:
        _write_by_tracing(network, module, inputs, path)


def _write_by_export(network: Network, module: Any, inputs: list[Any], path: Path) -> None:
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
        external_data=_weight_bytes(module) > 10**9,
        dynamic_shapes=shapes,
        verbose=False,
    )


def _write_by_tracing(network: Network, module: Any, inputs: list[Any], path: Path) -> None:
    import onnx
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
    scattered = [one for one in path.parent.iterdir() if one != path]
    if scattered:
        # Above 2 GB the exporter writes a file a weight: hundreds of names without a folder.
        model = onnx.load(str(path))
        for one in scattered:
            one.unlink()
        onnx.save_model(
            model,
            str(path),
            save_as_external_data=True,
            all_tensors_to_one_file=True,
            location="model.onnx.data",
        )


def _weight_bytes(module: Any) -> int:
    return sum(one.numel() * one.element_size() for one in module.parameters())


def _copy_tokenizers(model_dir: Path, folder: ExportFolder) -> None:
    """Copy them, so that the exports can be used without the weights they were made of."""
    for name in ("tokenizer", "tokenizer_2"):
        source, target = model_dir / name, folder.root / name
        if source.is_dir() and not target.is_dir():
            new = folder.root / f".{name}.new"
            shutil.rmtree(new, ignore_errors=True)
            shutil.copytree(source, new)
            new.replace(target)
