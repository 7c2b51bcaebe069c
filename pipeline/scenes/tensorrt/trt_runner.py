"""The TensorRT runner: plans of this machine, loaded one at a time, fed by name.

The plan is mapped from disk, and the map is closed once it is loaded: NVIDIA's demo keeps a copy,
which on unified memory holds the weights twice. All parts share one piece of working memory. Types
are read from the plan; what is fed is cast once and checked, never bent in silence.
Source: TensorRT 11.1 `python/src/infer/pyCore.cpp`.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.run import Array
from edgewatch.pipeline.scenes.tensorrt.device import Device
from edgewatch.pipeline.scenes.tensorrt.tensorrt_library import (
    collecting_logger,
    dtype_name,
    load_tensorrt,
    said,
)
from edgewatch.pipeline.scenes.tensorrt.tensors import (
    Tensor,
    fit_inputs,
    fit_output,
    numpy_dtype,
)

FindPlan = Callable[[str], Path]
"""The verified plan of a part; raises SceneUnavailable."""


@dataclass(slots=True, eq=False)
class _Loaded:
    """A plan that is ready."""

    engine: Any
    context: Any
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    working_bytes: int
    addresses: dict[str, tuple[int, int]]
    """Buffer and its size, of each tensor."""


class TrtRunner:
    """Runs the parts of one model on one GPU. Used by one thread."""

    def __init__(self, find_plan: FindPlan, device: Device) -> None:
        """Open the runtime; nothing is loaded. The device is closed by whoever opened it.

        Raises SceneUnavailable where TensorRT is missing.
        """
        self._tensorrt = load_tensorrt()
        self._find_plan = find_plan
        self._device = device
        # Both must outlive every engine: the C++ side holds bare pointers.
        self._logger = collecting_logger(self._tensorrt)
        self._runtime = self._tensorrt.Runtime(self._logger)
        self._loaded: dict[str, _Loaded] = {}
        self._working = (0, 0)

    def load(self, part: str) -> None:
        """Load a part, unless it is. Raises SceneUnavailable, with what TensorRT said."""
        if part in self._loaded:
            return
        engine = self._engine(part)
        strategy = self._tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = engine.create_execution_context(strategy)
        if context is None:
            raise SceneUnavailable(f"TensorRT made no context of {part}: {said(self._logger)}")
        tensors = [
            self._tensor(engine, engine.get_tensor_name(index))
            for index in range(engine.num_io_tensors)
        ]
        mode = self._tensorrt.TensorIOMode.INPUT
        inputs = tuple(one for one in tensors if engine.get_tensor_mode(one.name) == mode)
        outputs = tuple(one for one in tensors if engine.get_tensor_mode(one.name) != mode)
        needed = int(engine.device_memory_size_v2)
        self._loaded[part] = _Loaded(engine, context, inputs, outputs, needed, {})
        self._share_working_memory()

    def unload(self, part: str) -> None:
        """Give a part's memory back; idempotent."""
        loaded = self._loaded.pop(part, None)
        if loaded is None:
            return
        self._device.wait()
        for address, _ in loaded.addresses.values():
            self._device.give_back(address)
        loaded.addresses.clear()
        # The context goes before its engine, both before the runtime.
        loaded.context = None
        loaded.engine = None
        self._share_working_memory()

    def inputs(self, part: str) -> tuple[Tensor, ...]:
        """Return what a part takes."""
        self.load(part)
        return self._loaded[part].inputs

    def run(self, part: str, /, **arrays: Array) -> Mapping[str, Array]:
        """Run a part once. Raises SceneRefused, SceneInvalid, SceneUnavailable."""
        self.load(part)
        loaded = self._loaded[part]
        fitted = fit_inputs(part, loaded.inputs, arrays)
        self._feed(part, loaded, fitted)
        outputs = {tensor.name: self._room(part, loaded, tensor) for tensor in loaded.outputs}
        if not loaded.context.execute_async_v3(self._device.stream):
            raise SceneUnavailable(f"TensorRT did not run {part}: {said(self._logger)}")
        for name, values in outputs.items():
            self._device.download(loaded.addresses[name][0], values)
        self._device.wait()
        return {name: fit_output(part, name, values) for name, values in outputs.items()}

    def close(self) -> None:
        """Unload everything; idempotent. The device stays open."""
        for part in list(self._loaded):
            self.unload(part)
        self._runtime = None

    def _engine(self, part: str) -> Any:
        path = self._find_plan(part)
        with path.open("rb") as file:
            plan = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(plan)
        try:
            engine = self._runtime.deserialize_cuda_engine(view)
        finally:
            view.release()
            plan.close()
        if engine is None:
            raise SceneUnavailable(
                f"TensorRT does not load the plan of {part}: {said(self._logger)}. Build it again "
                "on this machine: edgewatch scenes build"
            )
        return engine

    def _tensor(self, engine: Any, name: str) -> Tensor:
        declared = tuple(engine.get_tensor_shape(name))
        shape = tuple(None if length < 0 else int(length) for length in declared)
        dtype = dtype_name(engine.get_tensor_dtype(name))
        is_input = engine.get_tensor_mode(name) == self._tensorrt.TensorIOMode.INPUT
        if not is_input or None not in shape:
            return Tensor(name, dtype, shape)
        least, _, most = engine.get_tensor_profile_shape(name, 0)
        return Tensor(name, dtype, shape, tuple(map(int, least)), tuple(map(int, most)))

    def _feed(self, part: str, loaded: _Loaded, fitted: Mapping[str, Array]) -> None:
        for name, values in fitted.items():
            if not loaded.context.set_input_shape(name, values.shape):
                raise SceneUnavailable(
                    f"TensorRT takes no {name} of {values.shape} in {part}: {said(self._logger)}"
                )
            self._device.upload(values, self._buffer(loaded, name, values.nbytes))
            self._address(loaded, name)
        if missing := loaded.context.infer_shapes():
            raise SceneUnavailable(f"TensorRT lacks the shapes of {', '.join(missing)} in {part}")
        # What was fed lives in `fitted` until the stream has been waited for.

    def _room(self, part: str, loaded: _Loaded, tensor: Tensor) -> Array:
        """Return an array for an output, and see to it that the device has a buffer for it."""
        shape = tuple(int(length) for length in loaded.context.get_tensor_shape(tensor.name))
        if any(length < 0 for length in shape):
            raise SceneUnavailable(f"TensorRT does not know the shape of {part}'s {tensor.name}")
        values = np.empty(shape, numpy_dtype(tensor.dtype))
        self._buffer(loaded, tensor.name, values.nbytes)
        self._address(loaded, tensor.name)
        return values

    def _buffer(self, loaded: _Loaded, name: str, size_bytes: int) -> int:
        """Return a tensor's buffer, taken anew where it has become too small."""
        address, held = loaded.addresses.get(name, (0, -1))
        if held < size_bytes:
            if held >= 0:
                self._device.give_back(address)
            address = self._device.take(size_bytes)
            loaded.addresses[name] = (address, size_bytes)
        return address

    def _address(self, loaded: _Loaded, name: str) -> None:
        if not loaded.context.set_tensor_address(name, loaded.addresses[name][0]):
            raise SceneUnavailable(f"TensorRT takes no buffer for {name}: {said(self._logger)}")

    def _share_working_memory(self) -> None:
        """Give all contexts the same memory: they run one after the other."""
        needed = max((one.working_bytes for one in self._loaded.values()), default=0)
        address, held = self._working
        if needed > held or (not needed and held):
            if held:
                self._device.give_back(address)
            address = self._device.take(needed) if needed else 0
            self._working = (address, needed)
        for one in self._loaded.values():
            one.context.set_device_memory(self._working[0], max(one.working_bytes, 0))
