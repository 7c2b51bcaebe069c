"""A strict stand-in for TensorRT and cuda-python: a wrong call fails here as it would on a GPU.

Two flavours: 10.13 (with the precision flags and `platform_has_fast_*`, without the stream
writer) and 11.1 (the other way round). Plans hold the ONNX file and are computed by onnxruntime;
device memory is memory of this process. What the real library takes silently although it is wrong
(the default stream, a freed buffer, a tensor of another type, a runtime that is gone, all of the
device as workspace) raises ContractBroken.

    with installed("11.1.0.15", Gpu()) as fake:
        ...  # `import tensorrt` and `from cuda.bindings import runtime` find the stand-in
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType

from tests.fakes.tensorrt.contract import ContractBroken, Gpu
from tests.fakes.tensorrt.cuda_runtime import FakeCuda
from tests.fakes.tensorrt.module import make_tensorrt

__all__ = ["ELEVEN", "TEN", "ContractBroken", "FakeTensorRT", "Gpu", "installed"]

TEN, ELEVEN = "10.13.3.9", "11.1.0.15"
_NAMES = ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime")


@dataclass(frozen=True, slots=True)
class FakeTensorRT:
    """What is installed, to be asked about afterwards."""

    tensorrt: ModuleType
    cuda: FakeCuda


@contextmanager
def installed(version: str, gpu: Gpu | None = None) -> Iterator[FakeTensorRT]:
    """Put the stand-in where imports find it; afterwards nothing of it is left there.

    Raises ContractBroken at the end if memory or a stream was not given back.
    """
    before = {name: sys.modules.get(name) for name in _NAMES}
    cuda = FakeCuda(gpu or Gpu())
    module = make_tensorrt(version, cuda)
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = cuda  # type: ignore[attr-defined] # a module is an object like another
    package = ModuleType("cuda")
    package.bindings = bindings  # type: ignore[attr-defined]
    sys.modules.update({"tensorrt": module, "cuda": package, "cuda.bindings": bindings})
    sys.modules["cuda.bindings.runtime"] = cuda  # type: ignore[assignment]
    try:
        yield FakeTensorRT(module, cuda)
    finally:
        for name, old in before.items():
            sys.modules.pop(name, None)
            if old is not None:
                sys.modules[name] = old
    cuda.check_all_given_back()
