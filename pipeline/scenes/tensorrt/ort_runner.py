"""The onnxruntime runner: exports as they are, on the CPU, for small models and for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.run import Array
from edgewatch.pipeline.scenes.tensorrt.tensors import Tensor, fit_inputs, fit_output

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
}


class OrtRunner:
    """Runs the parts of one model; `graphs`: the ONNX file of each part."""

    def __init__(self, graphs: Mapping[str, Path], *, threads: int = 0) -> None:
        """Load nothing yet. `threads`: 0 for as many as the machine has cores."""
        self._graphs = dict(graphs)
        self._threads = threads
        self._sessions: dict[str, Any] = {}

    def load(self, part: str) -> None:
        """Load a part, unless it is. Raises SceneUnavailable, with onnxruntime's own reason."""
        if part in self._sessions:
            return
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 4  # what it has to say comes as an exception, too
        try:
            self._sessions[part] = onnxruntime.InferenceSession(
                str(self._graphs[part]), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common class of their own
            raise SceneUnavailable(
                f"onnxruntime cannot run {part} ({_first_line(error)}): exports in bf16, fp8 and "
                "fp4 need TensorRT; take --precision fp32 for onnxruntime"
            ) from error

    def unload(self, part: str) -> None:
        """Give a part's memory back; idempotent."""
        self._sessions.pop(part, None)

    def inputs(self, part: str) -> tuple[Tensor, ...]:
        """Return what a loaded part takes."""
        return tuple(_tensor(one) for one in self._session(part).get_inputs())

    def run(self, part: str, /, **arrays: Array) -> Mapping[str, Array]:
        """Run a loaded part once. Raises SceneRefused, SceneInvalid, SceneUnavailable."""
        session = self._session(part)
        fitted = fit_inputs(part, self.inputs(part), arrays)
        names = [one.name for one in session.get_outputs()]
        try:
            found = session.run(names, fitted)
        except Exception as error:  # its errors have no common class of their own
            raise SceneUnavailable(
                f"onnxruntime failed in {part} ({_first_line(error)}): export it again"
            ) from error
        return {
            name: fit_output(part, name, values) for name, values in zip(names, found, strict=True)
        }

    def close(self) -> None:
        """Unload everything; idempotent."""
        self._sessions.clear()

    def _session(self, part: str) -> Any:
        if part not in self._sessions:
            self.load(part)
        return self._sessions[part]


def _tensor(value: Any) -> Tensor:
    shape = tuple(one if isinstance(one, int) else None for one in value.shape)
    return Tensor(value.name, _DTYPES.get(value.type, value.type), shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
