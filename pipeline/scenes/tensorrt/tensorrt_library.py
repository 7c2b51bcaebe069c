"""The TensorRT library: imported when asked for, what it says kept for the error's text.

TensorRT answers None and tells the reason to its logger alone; so every logger here collects.
TensorRT 10 and 11 are known: 11 dropped the flags for types (every network is strongly typed).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from edgewatch.pipeline.errors import SceneUnavailable

LEAST_VERSION = (10, 3)
_KEPT_LINES = 40

_CURE = (
    "install NVIDIA's wheel (pip install tensorrt-cu13 cuda-python) or use NVIDIA's container; "
    "without it there are --runtime onnxruntime and the backend diffusers"
)


def load_tensorrt() -> Any:
    """Return the module. Raises SceneUnavailable where it is missing or too old."""
    try:
        import tensorrt
    except ImportError as error:
        raise SceneUnavailable(f"TensorRT is not installed ({error}): {_CURE}") from error
    numbers = tuple(int(one) for one in str(tensorrt.__version__).split(".")[:2])
    if numbers < LEAST_VERSION:
        wanted = ".".join(str(number) for number in LEAST_VERSION)
        raise SceneUnavailable(
            f"TensorRT {tensorrt.__version__} is too old, {wanted} is the least: {_CURE}"
        )
    return tensorrt


def collecting_logger(tensorrt: Any) -> Any:
    """Return a logger of TensorRT's that keeps warnings and errors; see `said`.

    It must live as long as what was made with it.
    """

    class Collecting(tensorrt.ILogger):  # type: ignore[misc] # the library is not typed
        def __init__(self) -> None:
            # Without it the object is no logger for the C++ side.
            tensorrt.ILogger.__init__(self)
            self.lines: deque[str] = deque(maxlen=_KEPT_LINES)

        def log(self, severity: Any, message: str) -> None:
            serious = (tensorrt.ILogger.INTERNAL_ERROR, tensorrt.ILogger.ERROR)
            if severity in serious:
                self.lines.append(message.strip())

    return Collecting()


def said(logger: Any) -> str:
    """Return the last errors that a logger kept, as one line."""
    return " | ".join(list(logger.lines)[-3:]) or "it gave no reason"


_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
    "INT8": "int8",
    "UINT8": "uint8",
    "FP8": "float8_e4m3fn",
}


def dtype_name(dtype: Any) -> str:
    """Return the name (`tensors.DTYPES`) of a tensorrt.DataType."""
    name = str(dtype).rpartition(".")[2]
    return _DTYPES.get(name, name)
