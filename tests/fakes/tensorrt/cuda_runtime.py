"""`cuda.bindings.runtime`, as far as it is used: buffers, one kind of copy, streams."""

# ruff: noqa: N801, N802, N815 # the names are the library's

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.fakes.tensorrt.contract import ContractBroken, Gpu

_ALIGNMENT = 256


class cudaError_t(IntEnum):
    """The errors that are played."""

    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorInvalidDevice = 101


class cudaMemcpyKind(IntEnum):
    """Where from and where to."""

    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


@dataclass(slots=True, eq=False)
class Buffer:
    """Memory of the device."""

    size: int
    bytes: np.ndarray
    offset: int
    uploaded: int = 0
    """How many bytes were copied in last."""

    def view(self, size: int) -> np.ndarray:
        """Return its first bytes."""
        return self.bytes[self.offset : self.offset + size]


@dataclass(slots=True, eq=False)
class _Stream:
    waiting: list[Callable[[], None]] = field(default_factory=list)


class FakeCuda:
    """Stands for the module. Work is done when the stream is waited for, not before."""

    cudaMemcpyKind = cudaMemcpyKind
    cudaError_t = cudaError_t
    cudaStreamNonBlocking = 1
    cudaStreamDefault = 0

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu
        self.buffers: dict[int, Buffer] = {}
        self.streams: dict[int, _Stream] = {}
        self.most_bytes = 0
        self._next_stream = 0x5000
        self._opened = False

    def cudaSetDevice(self, index: int) -> tuple[Any, ...]:
        if index != 0:
            return (cudaError_t.cudaErrorInvalidDevice,)
        self._opened = True
        return (cudaError_t.cudaSuccess,)

    def cudaGetDeviceProperties(self, index: int) -> tuple[Any, ...]:
        major, minor = self.gpu.compute
        facts = SimpleNamespace(
            name=self.gpu.name.encode() + b"\0\0",
            major=major,
            minor=minor,
            integrated=int(self.gpu.integrated),
        )
        return cudaError_t.cudaSuccess, facts

    def cudaRuntimeGetVersion(self) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, self.gpu.cuda

    def cudaDriverGetVersion(self) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, self.gpu.driver

    def cudaMemGetInfo(self) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, self.gpu.free_bytes, self.gpu.total_bytes

    def cudaGetErrorString(self, error: Any) -> tuple[Any, ...]:
        return cudaError_t.cudaSuccess, cudaError_t(error).name.encode()

    def cudaMalloc(self, size: int) -> tuple[Any, ...]:
        self._check_open()
        if size <= 0:
            raise ContractBroken("a buffer of no bytes")
        held = sum(one.size for one in self.buffers.values())
        if held + size > self.gpu.free_bytes:
            return cudaError_t.cudaErrorMemoryAllocation, 0
        whole = np.full(size + _ALIGNMENT, 0xCB, np.uint8)
        offset = -whole.ctypes.data % _ALIGNMENT
        address = whole.ctypes.data + offset
        self.buffers[address] = Buffer(size, whole, offset)
        self.most_bytes = max(self.most_bytes, held + size)
        return cudaError_t.cudaSuccess, address

    def cudaFree(self, address: int) -> tuple[Any, ...]:
        if self.buffers.pop(address, None) is None:
            raise ContractBroken("freed twice, or never taken")
        if any(stream.waiting for stream in self.streams.values()):
            raise ContractBroken("freed while the stream still works")
        return (cudaError_t.cudaSuccess,)

    def cudaStreamCreateWithFlags(self, flags: int) -> tuple[Any, ...]:
        self._check_open()
        if flags != self.cudaStreamNonBlocking:
            raise ContractBroken("a stream that waits for the default stream")
        self._next_stream += 1
        self.streams[self._next_stream] = _Stream()
        return cudaError_t.cudaSuccess, self._next_stream

    def cudaStreamDestroy(self, stream: int) -> tuple[Any, ...]:
        if self.streams.pop(int(stream), None) is None:
            raise ContractBroken("a stream destroyed twice")
        return (cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream: int) -> tuple[Any, ...]:
        waiting = self.stream(stream).waiting
        while waiting:
            waiting.pop(0)()
        return (cudaError_t.cudaSuccess,)

    def cudaMemcpyAsync(
        self, target: int, source: int, size: int, kind: int, stream: int
    ) -> tuple[Any, ...]:
        into_device = kind == cudaMemcpyKind.cudaMemcpyHostToDevice
        buffer = self.buffer(target if into_device else source)
        host = source if into_device else target
        if size > buffer.size:
            raise ContractBroken(f"{size} bytes copied, and the buffer has {buffer.size}")
        outside = np.ctypeslib.as_array(
            ctypes.cast(host, ctypes.POINTER(ctypes.c_uint8)), shape=(size,)
        )
        if into_device:
            buffer.view(size)[:] = outside
            buffer.uploaded = size
        else:

            def fill() -> None:
                outside[:] = buffer.view(size)

            self.stream(stream).waiting.append(fill)
        return (cudaError_t.cudaSuccess,)

    def buffer(self, address: int) -> Buffer:
        """Return a buffer that is there."""
        if address not in self.buffers:
            raise ContractBroken(f"{address:#x} is no memory of the device, or no more")
        return self.buffers[address]

    def stream(self, handle: int) -> _Stream:
        """Return a stream that is there."""
        if int(handle) == 0:
            raise ContractBroken("the default stream, which waits for every other")
        if int(handle) not in self.streams:
            raise ContractBroken("a stream that is not there")
        return self.streams[int(handle)]

    def check_all_given_back(self) -> None:
        """Raise ContractBroken if something is still taken."""
        if self.buffers or self.streams:
            taken = sum(one.size for one in self.buffers.values())
            raise ContractBroken(f"{taken} bytes and {len(self.streams)} streams never given back")

    def _check_open(self) -> None:
        if not self._opened:
            raise ContractBroken("no device was chosen")
