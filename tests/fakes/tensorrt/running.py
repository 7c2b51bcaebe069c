"""Runtime, engine and context: from a plan to numbers."""

from __future__ import annotations

from enum import Enum
from typing import Any

import ml_dtypes
import numpy as np

from tests.fakes.tensorrt.contract import ContractBroken
from tests.fakes.tensorrt.cuda_runtime import FakeCuda
from tests.fakes.tensorrt.logs import Held, ILogger, held_logger
from tests.fakes.tensorrt.plan import WORKING_BYTES, Graph, parsed


class DataType(Enum):
    """Types of tensors; `str` gives "DataType.BF16", as pybind's does."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    BF16 = 7
    INT64 = 8


class TensorIOMode(Enum):
    """Which way."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class ExecutionContextAllocationStrategy(Enum):
    """Who sees to the working memory."""

    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


_TYPES = {
    np.dtype(np.float32): DataType.FLOAT,
    np.dtype(np.float16): DataType.HALF,
    np.dtype(ml_dtypes.bfloat16): DataType.BF16,
    np.dtype(np.int32): DataType.INT32,
    np.dtype(np.int64): DataType.INT64,
    np.dtype(np.bool_): DataType.BOOL,
}


class Runtime:
    """Loads plans of its own version and GPU."""

    def __init__(self, logger: Any, machine: dict[str, Any], cuda: FakeCuda) -> None:
        self._logger = held_logger(logger)
        self._machine = machine
        self._cuda = cuda

    def deserialize_cuda_engine(self, serialized_engine: Any) -> Engine | None:
        """Return an engine; None for a plan that is none, or of another machine."""
        found = parsed(bytes(serialized_engine))
        if found is None:
            self._fail("Magic tag does not match: the plan file is corrupt")
            return None
        header, body = found
        if header["version"] != self._machine["version"]:
            self._fail(f"The plan was built by TensorRT {header['version']}: version tag mismatch")
            return None
        if header["compute"] != self._machine["compute"]:
            self._fail("The engine plan file is generated on an incompatible device")
            return None
        return Engine(self, self._logger, Graph(body), header["profile"], self._cuda)

    def _fail(self, text: str) -> None:
        self._logger.get().log(ILogger.ERROR, text)


class Engine:
    """A loaded plan."""

    def __init__(
        self, runtime: Runtime, logger: Held, graph: Graph, profile: Any, cuda: FakeCuda
    ) -> None:
        self._runtime = Held(runtime, "runtime")
        self.logger = logger
        self.graph = graph
        self.profile = {name: tuple(map(tuple, one)) for name, one in profile.items()}
        self.cuda = cuda

    def check(self) -> None:
        """Check that what it needs still lives."""
        self._runtime.get()
        self.logger.get()

    @property
    def num_io_tensors(self) -> int:
        return len(self.graph.inputs) + len(self.graph.outputs)

    @property
    def device_memory_size_v2(self) -> int:
        return WORKING_BYTES

    def get_tensor_name(self, index: int) -> str:
        return str([*self.graph.inputs, *self.graph.outputs][index].name)

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        names = {one.name for one in self.graph.inputs}
        return TensorIOMode.INPUT if name in names else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return _TYPES[self.graph.dtype(name)]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.graph.shape(name)

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Any:
        if profile_index != 0 or self.get_tensor_mode(name) is not TensorIOMode.INPUT:
            raise ContractBroken("a profile of an output, or one that is not there")
        return self.profile.get(name, (self.graph.shape(name),) * 3)

    def create_execution_context(
        self,
        strategy: ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy.STATIC,
    ) -> Context:
        self.check()
        return Context(self, strategy)


class Context:
    """One run at a time."""

    def __init__(self, engine: Engine, strategy: ExecutionContextAllocationStrategy) -> None:
        self._engine = engine
        self._managed = strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        self._memory: int | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._inferred = False
        for value in engine.graph.inputs:
            declared = engine.graph.shape(value.name)
            if -1 not in declared:
                self._shapes[value.name] = declared

    def set_device_memory(self, memory: int, size: int) -> None:
        self._engine.check()
        if not self._managed:
            raise ContractBroken("memory for a context that sees to its own")
        if memory % 256 or size < WORKING_BYTES:
            raise ContractBroken("working memory that is too small, or not aligned to 256 bytes")
        if self._engine.cuda.buffer(memory).size < size:
            raise ContractBroken("less working memory than is said")
        self._memory = memory

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self._engine.check()
        if self._engine.get_tensor_mode(name) is not TensorIOMode.INPUT:
            raise ContractBroken(f"{name} is no input")
        given = tuple(int(length) for length in shape)
        least, _, most = self._engine.get_tensor_profile_shape(name, 0)
        fits = len(given) == len(least) and all(
            low <= length <= high for low, length, high in zip(least, given, most, strict=True)
        )
        if not fits:
            text = f"{name}: {given} is outside of the profile {least} to {most}"
            self._engine.logger.get().log(ILogger.ERROR, text)
            return False
        self._shapes[name] = given
        self._inferred = False
        return True

    def infer_shapes(self) -> list[str]:
        self._engine.check()
        missing = [one.name for one in self._engine.graph.inputs if one.name not in self._shapes]
        self._inferred = not missing
        return missing

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        if not self._inferred:
            return self._engine.get_tensor_shape(name)
        return self._engine.graph.output_shapes(self._shapes)[name]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._engine.check()
        if name not in {
            self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)
        }:
            raise ContractBroken(f"there is no tensor {name}")
        self._engine.cuda.buffer(memory)
        self._addresses[name] = memory
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        self._engine.check()
        stream = self._engine.cuda.stream(stream_handle)
        if not self._inferred:
            raise ContractBroken("run although the shapes are not known")
        if self._managed and self._memory is None:
            raise ContractBroken("run without working memory")
        if self._managed and self._memory is not None:
            self._engine.cuda.buffer(self._memory)
        graph = self._engine.graph
        shapes = self._shapes | graph.output_shapes(self._shapes)
        for name, shape in shapes.items():
            self._check_buffer(name, shape)

        def work() -> None:
            feeds = {one.name: self._read(one.name).copy() for one in graph.inputs}
            for name, values in graph.compute(feeds).items():
                self._read(name)[...] = values.astype(graph.dtype(name))

        stream.waiting.append(work)
        return True

    def _check_buffer(self, name: str, shape: tuple[int, ...]) -> None:
        if name not in self._addresses:
            raise ContractBroken(f"{name} has no address")
        buffer = self._engine.cuda.buffer(self._addresses[name])
        size = int(np.prod(shape)) * self._engine.graph.dtype(name).itemsize
        if buffer.size < size:
            raise ContractBroken(f"{name} takes {size} bytes, its buffer has {buffer.size}")
        is_input = self._engine.get_tensor_mode(name) is TensorIOMode.INPUT
        if is_input and buffer.uploaded != size:
            raise ContractBroken(
                f"{name} takes {size} bytes, and {buffer.uploaded} were copied: another type"
            )

    def _read(self, name: str) -> np.ndarray:
        shape, dtype = self.get_tensor_shape(name), self._engine.graph.dtype(name)
        size = int(np.prod(shape)) * dtype.itemsize
        buffer = self._engine.cuda.buffer(self._addresses[name])
        return buffer.view(size).view(dtype).reshape(shape)
