"""A plan of the stand-in: one line of JSON, then the ONNX file; and who computes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import ml_dtypes
import numpy as np
import onnx

MAGIC = b"fake plan\n"
WORKING_BYTES = 4096
"""What a context takes beside its tensors."""

NUMPY: dict[int, np.dtype[Any]] = {
    onnx.TensorProto.FLOAT: np.dtype(np.float32),
    onnx.TensorProto.FLOAT16: np.dtype(np.float16),
    onnx.TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
    onnx.TensorProto.INT32: np.dtype(np.int32),
    onnx.TensorProto.INT64: np.dtype(np.int64),
    onnx.TensorProto.BOOL: np.dtype(np.bool_),
}


def written(model: Any, **header: Any) -> bytes:
    """Return a plan."""
    body: bytes = model.SerializeToString()
    return MAGIC + json.dumps(header).encode() + b"\n" + body


def parsed(plan: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Return header and ONNX of a plan; None: it is none."""
    if not plan.startswith(MAGIC):
        return None
    head, _, body = plan[len(MAGIC) :].partition(b"\n")
    try:
        return json.loads(head), body
    except ValueError:
        return None


class Graph:
    """The network in a plan."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.model = onnx.load_model_from_string(body)
        weights = {one.name for one in self.model.graph.initializer}
        self.inputs = [one for one in self.model.graph.input if one.name not in weights]
        self.outputs = list(self.model.graph.output)
        self._shapes: dict[tuple[Any, ...], dict[str, tuple[int, ...]]] = {}

    def value(self, name: str) -> Any:
        """Return the description of an input or output."""
        return next(one for one in [*self.inputs, *self.outputs] if one.name == name)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return the type that stands in the graph."""
        kind: int = self.value(name).type.tensor_type.elem_type
        return NUMPY[kind]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the declared shape, -1 for what may move."""
        dims = self.value(name).type.tensor_type.shape.dim
        return tuple(one.dim_value if one.HasField("dim_value") else -1 for one in dims)

    def compute(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run it."""
        names = [one.name for one in self.outputs]
        found = self._run(names, dict(feeds))
        return {name: np.asarray(value) for name, value in zip(names, found, strict=True)}

    def output_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Return the outputs' shapes, found by running it once on zeros."""
        key = tuple(sorted(shapes.items()))
        if key not in self._shapes:
            feeds = {name: np.zeros(shape, self.dtype(name)) for name, shape in shapes.items()}
            self._shapes[key] = {name: one.shape for name, one in self.compute(feeds).items()}
        return self._shapes[key]

    @cached_property
    def _run(self) -> Any:
        if any(self.dtype(one.name) == ml_dtypes.bfloat16 for one in self.inputs):
            from onnx.reference import ReferenceEvaluator

            return ReferenceEvaluator(self.model).run
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(self._body, options).run
