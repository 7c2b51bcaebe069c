"""Resize patch: TensorRT has no Resize in BF16, so it is done in FP32, with a cast on both sides.

Source: NVIDIA TensorRT demo/Diffusion, `diffusion_pipeline.py` `_fix_bf16_resize_nodes`. It
befalls Flux's VAE. The patched graph lies beside the original one, whose data it goes on using.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneUnavailable

PATCH_VERSION = 1
"""Stands in the key of every plan: raise it whenever the patched graph changes."""
PATCHED_NAME = f"model.resize-v{PATCH_VERSION}.onnx"


def patched_graph(graph: Path) -> Path:
    """Return the graph that TensorRT is to read: the same, or a patched one beside it.

    Raises SceneUnavailable where onnx is missing or the graph cannot be read.
    """
    try:
        import onnx
    except ImportError as error:
        raise SceneUnavailable(
            "onnx is not installed, which reads exports: pip install 'edgewatch[scenes]'"
        ) from error
    try:
        model = onnx.load(str(graph), load_external_data=False)
    except Exception as error:  # protobuf's own errors have no common class
        raise SceneUnavailable(f"{graph} is no ONNX file ({error}): export it again") from error
    if not patch_resizes(model):
        return graph
    target, new = patched_places(graph)
    with new.open("wb") as file:
        file.write(model.SerializeToString())
        file.flush()
        os.fsync(file.fileno())
    new.replace(target)
    return target


def patched_places(graph: Path) -> tuple[Path, Path]:
    """Return where a patched graph lies, and where it does until it is complete."""
    return graph.with_name(PATCHED_NAME), graph.with_name(f".{PATCHED_NAME}")


def patch_resizes(model: Any) -> int:
    """Put casts around every BF16 Resize of an ONNX model, in place; return how many."""
    import onnx

    wide, narrow = onnx.TensorProto.FLOAT, onnx.TensorProto.BFLOAT16
    kinds = _kinds_of_values(model)
    nodes, patched = [], 0
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type != "Resize" or kinds.get(node.input[0]) != narrow:
            continue
        before, after = f"{node.output[0]}_resize_in", f"{node.output[0]}_resize_out"
        nodes.insert(-1, onnx.helper.make_node("Cast", [node.input[0]], [before], to=wide))
        nodes.append(onnx.helper.make_node("Cast", [after], [node.output[0]], to=narrow))
        node.input[0], node.output[0] = before, after
        patched += 1
    if patched:
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    return patched


def _kinds_of_values(model: Any) -> dict[str, int]:
    """Return the element type of every value that has one known, worked out if need be."""
    import onnx

    known = model
    if any(node.op_type == "Resize" for node in model.graph.node):
        # The weights' names are enough for it: their data need not be there.
        known = onnx.shape_inference.infer_shapes(model, strict_mode=False, data_prop=False)
    graph = known.graph
    values = [*graph.input, *graph.output, *graph.value_info]
    kinds = {value.name: int(value.type.tensor_type.elem_type) for value in values}
    kinds |= {one.name: int(one.data_type) for one in graph.initializer}
    return _through_casts(graph, kinds)


def _through_casts(graph: Any, kinds: dict[str, int]) -> dict[str, int]:
    """Add values that inference gave up on, but which keep the type of their first input."""
    for node in graph.node:
        name = node.output[0] if node.output else ""
        if not name or kinds.get(name):
            continue
        if node.op_type == "Cast":
            kinds[name] = next(one.i for one in node.attribute if one.name == "to")
        elif node.op_type not in ("Shape", "Size", "Equal", "Less", "Greater", "Not"):
            kinds[name] = next((kinds[one] for one in node.input if kinds.get(one)), 0)
    return kinds
