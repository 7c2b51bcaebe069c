"""The module `tensorrt`, made anew for a version and a GPU."""

from __future__ import annotations

import enum
import platform
from types import ModuleType
from typing import Any

from tests.fakes.tensorrt import building, running
from tests.fakes.tensorrt.cuda_runtime import FakeCuda
from tests.fakes.tensorrt.logs import ILogger


def make_tensorrt(version: str, cuda: FakeCuda) -> ModuleType:
    """Return a module that plays a version on a GPU."""
    eleven = int(version.split(".")[0]) >= 11
    module = ModuleType("tensorrt")
    machine = {
        "version": version,
        "compute": list(cuda.gpu.compute),
        "platform": platform.machine(),
    }
    state = building.State(version=version, eleven=eleven, machine=machine)
    names: dict[str, Any] = {
        "__version__": version,
        "ILogger": ILogger,
        "IProgressMonitor": building.IProgressMonitor,
        "NetworkDefinitionCreationFlag": building.NetworkDefinitionCreationFlag,
        "OnnxParserFlag": building.OnnxParserFlag,
        "MemoryPoolType": building.MemoryPoolType,
        "BuilderFlag": _flags(eleven=eleven),
        "DataType": running.DataType,
        "TensorIOMode": running.TensorIOMode,
        "ExecutionContextAllocationStrategy": running.ExecutionContextAllocationStrategy,
        "OnnxParser": building.OnnxParser,
        "Builder": _bound(building.Builder11 if eleven else building.Builder10, state),
        "Runtime": _bound(running.Runtime, machine, cuda),
    }
    if eleven:
        names["IStreamWriter"] = building.IStreamWriter
    for name, value in names.items():
        setattr(module, name, value)
    return module


def _flags(*, eleven: bool) -> Any:
    kept = ["TF32", "WEIGHT_STREAMING", "VERSION_COMPATIBLE", "STRIP_PLAN", "STRICT_NANS"]
    gone = ["FP16", "BF16", "FP8", "INT8", "FP4", "PREFER_PRECISION_CONSTRAINTS"]
    return enum.IntEnum("BuilderFlag", kept if eleven else [*kept, *gone])


def _bound(kind: type, *more: Any) -> type:
    """Return the class with some of its arguments given, to be called as the library's is."""

    class Bound(kind):  # type: ignore[misc] # a class that is not known before
        def __init__(self, logger: Any) -> None:
            super().__init__(logger, *more)

    Bound.__name__ = kind.__name__
    return Bound
