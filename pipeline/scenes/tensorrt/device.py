"""Device: a CUDA GPU by NVIDIA's cuda-python, without torch: buffers, copies, one stream."""

from __future__ import annotations

import platform
from typing import Any

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.diffusion.run import Array
from edgewatch.pipeline.scenes.memory import DeviceMemory
from edgewatch.pipeline.scenes.tensorrt.plan_key import PlanMachine


class Device:
    """One GPU, its stream and the buffers taken on it. Used by one thread; close it."""

    def __init__(self, index: int = 0) -> None:
        """Open a GPU. Raises SceneUnavailable where there is none, or no cuda-python."""
        try:
            from cuda.bindings import runtime
        except ImportError as error:
            raise SceneUnavailable(
                f"cuda-python is not installed ({error}): pip install cuda-python"
            ) from error
        self._cuda: Any = runtime
        self._index = index
        self._call("opening the GPU", runtime.cudaSetDevice(index))
        # The default stream would wait for every other one, and TensorRT warns of it.
        self._stream = self._call(
            "making a stream", runtime.cudaStreamCreateWithFlags(runtime.cudaStreamNonBlocking)
        )
        self._buffers: set[int] = set()
        self._closed = False

    @property
    def stream(self) -> int:
        """The handle of the stream."""
        return int(self._stream)

    def machine(self, tensorrt_version: str) -> PlanMachine:
        """Tell what a plan of this GPU depends on."""
        cuda = self._cuda
        facts = self._call("asking the GPU", cuda.cudaGetDeviceProperties(self._index))
        runtime = self._call("asking CUDA", cuda.cudaRuntimeGetVersion())
        driver = self._call("asking the driver", cuda.cudaDriverGetVersion())
        name = facts.name.decode() if isinstance(facts.name, bytes) else str(facts.name)
        return PlanMachine(
            tensorrt=tensorrt_version,
            cuda=f"{runtime // 1000}.{runtime % 1000 // 10}",
            driver_major=driver // 1000,
            compute=f"{facts.major}.{facts.minor}",
            gpu=name.rstrip("\0"),
            platform=platform.machine(),
        )

    def memory(self) -> DeviceMemory:
        """Tell how much memory is free, and whether it is the host's own."""
        cuda = self._cuda
        facts = self._call("asking the GPU", cuda.cudaGetDeviceProperties(self._index))
        free, total = self._pair("asking for memory", cuda.cudaMemGetInfo())
        return DeviceMemory(free, total, unified=bool(facts.integrated))

    def take(self, size_bytes: int) -> int:
        """Return the address of a new buffer, aligned to 256 bytes."""
        wanted = max(1, size_bytes)
        address = int(self._call(f"taking {wanted} bytes", self._cuda.cudaMalloc(wanted)))
        self._buffers.add(address)
        return address

    def give_back(self, address: int) -> None:
        """Free a buffer; nothing for one that is not there."""
        if address in self._buffers:
            self._buffers.remove(address)
            self._call("freeing memory", self._cuda.cudaFree(address))

    def upload(self, values: Array, address: int) -> None:
        """Copy a contiguous array into a buffer; `values` must live until `wait`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(address, values.ctypes.data, values.nbytes, kind)

    def download(self, address: int, values: Array) -> None:
        """Copy a buffer into a contiguous array, which is filled after `wait`."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(values.ctypes.data, address, values.nbytes, kind)

    def wait(self) -> None:
        """Wait until all that was asked of the stream is done."""
        self._call("computing", self._cuda.cudaStreamSynchronize(self._stream))

    def close(self) -> None:
        """Free everything; idempotent."""
        if self._closed:
            return
        self._closed = True
        for address in list(self._buffers):
            self.give_back(address)
        self._call("closing the stream", self._cuda.cudaStreamDestroy(self._stream))

    def _copy(self, target: int, source: int, size_bytes: int, kind: Any) -> None:
        copied = self._cuda.cudaMemcpyAsync(target, source, size_bytes, kind, self._stream)
        self._call(f"copying {size_bytes} bytes", copied)

    def _call(self, what: str, answer: tuple[Any, ...]) -> Any:
        """Return what a call of cuda-python gave. Raises SceneUnavailable for its error."""
        values = self._values(what, answer)
        return values[0] if values else None

    def _pair(self, what: str, answer: tuple[Any, ...]) -> tuple[int, int]:
        first, second = self._values(what, answer)
        return int(first), int(second)

    def _values(self, what: str, answer: tuple[Any, ...]) -> list[Any]:
        error, *values = answer
        if int(error) != 0:
            _, text = self._cuda.cudaGetErrorString(error)
            reason = text.decode() if isinstance(text, bytes) else str(text)
            raise SceneUnavailable(
                f"the GPU failed while {what}: {reason}. Look at nvidia-smi: is another process "
                "taking its memory?"
            )
        return values


def gpu_index(device: str) -> int:
    """Return the number of the GPU that a setting names: "cuda:1" is 1, "auto" is 0."""
    number = device.partition(":")[2]
    return int(number) if number.isdigit() else 0
