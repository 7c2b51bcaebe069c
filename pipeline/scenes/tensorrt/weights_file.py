"""Weights file: the weights of an ONNX graph in one file beside it, as the format allows.

Above protobuf's 2 GB torch's tracing exporter writes a file a weight: hundreds of names. They are
copied block by block, so that a network of 20 GB is not in memory once more.
Source: ONNX `docs/ExternalData.md`; offsets are those of a memory page.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

DATA_NAME = "model.onnx.data"
_PAGE_BYTES = 4096
_LEAST_BYTES = 1024
"""Smaller ones stay in the graph: shapes are worked out from them."""


def gather_weights(graph: Path) -> None:
    """Move the weights of a graph, within it or in files beside it, into DATA_NAME.

    `graph` lies in a folder of its own; files that are not used any more go.
    """
    import onnx

    model = onnx.load(str(graph), load_external_data=False)
    target, new = graph.with_name(DATA_NAME), graph.with_name(f".{DATA_NAME}")
    used: set[str] = set()
    with new.open("wb") as file:
        for tensor in _tensors(model.graph):
            if location := _location(tensor):
                used.add(location)
                _append(file, tensor, graph.with_name(location))
            elif tensor.HasField("raw_data") and len(tensor.raw_data) >= _LEAST_BYTES:
                _append(file, tensor, None)
        file.flush()
        os.fsync(file.fileno())
    for name in used:
        graph.with_name(name).unlink()
    new.replace(target)
    graph.write_bytes(model.SerializeToString())


def _append(file: BinaryIO, tensor: Any, source: Path | None) -> None:
    """Write one weight at the next page, from a file or from the tensor, and refer to it."""
    from onnx.external_data_helper import set_external_data

    offset = -(-file.tell() // _PAGE_BYTES) * _PAGE_BYTES
    file.seek(offset)
    if source is None:
        file.write(tensor.raw_data)
    else:
        with source.open("rb") as there:
            shutil.copyfileobj(there, file, 4 * 1024 * 1024)
        tensor.raw_data = b""  # what `set_external_data` asks for; it is cleared below
    set_external_data(tensor, DATA_NAME, offset=offset, length=file.tell() - offset)
    tensor.ClearField("raw_data")


def _location(tensor: Any) -> str:
    """Return the name of the file in which a weight lies alone; "": it lies in the graph."""
    import onnx

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return ""
    return next((str(one.value) for one in tensor.external_data if one.key == "location"), "")


def _tensors(graph: Any) -> Iterator[Any]:
    """Go through all weights and constants of a graph and of those within it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from _tensors(attribute.g)
