"""The stand-in is strict: what would be wrong on a GPU is an error here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.tensorrt import ELEVEN, TEN, ContractBroken, FakeTensorRT, installed

onnx = pytest.importorskip("onnx", reason="the extra scenes is not installed")


def _logger(tensorrt: Any) -> Any:
    class Logger(tensorrt.ILogger):  # type: ignore[misc] # the module is made anew
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            pass

    return Logger()


def _plan(fake: FakeTensorRT, logger: Any, path: Path, *, workspace: int = 10**6) -> bytes:
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [2, 3]) for name in ("x", "y")]
    node = helper.make_node("Neg", ["x"], ["y"])
    graph = helper.make_graph([node], "tiny", ends[:1], ends[1:])
    opset = [helper.make_opsetid("", 20)]
    onnx.save_model(helper.make_model(graph, opset_imports=opset, ir_version=10), str(path))
    trt: Any = fake.tensorrt
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    assert trt.OnnxParser(network, logger).parse_from_file(str(path))
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, workspace)
    return bytes(builder.build_serialized_network(network, config))


def test_the_flavours_differ_as_the_versions_do() -> None:
    with installed(TEN) as ten:
        trt: Any = ten.tensorrt
        assert hasattr(trt.BuilderFlag, "FP16")
        assert trt.Builder.platform_has_fast_fp16
        with pytest.raises(ContractBroken, match="not strongly typed"):
            trt.Builder(_logger(trt)).create_network(0)
        with pytest.raises(ContractBroken, match="FP16 in a strongly typed network"):
            trt.Builder(_logger(trt)).create_builder_config().set_flag(trt.BuilderFlag.FP16)
    with installed(ELEVEN) as eleven:
        trt = eleven.tensorrt
        assert not hasattr(trt.BuilderFlag, "FP16")
        assert not hasattr(trt.Builder, "platform_has_fast_fp16")


def test_all_of_the_device_as_workspace_is_broken(tmp_path: Path) -> None:
    with installed(TEN) as fake, pytest.raises(ContractBroken, match="workspace"):
        _plan(fake, _logger(fake.tensorrt), tmp_path / "x.onnx", workspace=0)


def test_every_wrong_step_of_a_run_is_broken(tmp_path: Path) -> None:
    with installed(ELEVEN) as fake:
        trt: Any = fake.tensorrt
        cuda: Any = fake.cuda
        logger = _logger(trt)
        plan = _plan(fake, logger, tmp_path / "x.onnx")
        runtime = trt.Runtime(logger)
        engine = runtime.deserialize_cuda_engine(plan)
        managed = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = engine.create_execution_context(managed)
        cuda.cudaSetDevice(0)
        _, stream = cuda.cudaStreamCreateWithFlags(cuda.cudaStreamNonBlocking)
        buffers = [cuda.cudaMalloc(size)[1] for size in (24, 24, 4096, 8)]
        x, y, working, small = buffers
        with pytest.raises(ContractBroken, match="default stream"):
            context.execute_async_v3(0)
        with pytest.raises(ContractBroken, match="shapes are not known"):
            context.execute_async_v3(stream)
        assert context.infer_shapes() == []
        with pytest.raises(ContractBroken, match="without working memory"):
            context.execute_async_v3(stream)
        with pytest.raises(ContractBroken, match="too small"):
            context.set_device_memory(working, 8)
        context.set_device_memory(working, 4096)
        with pytest.raises(ContractBroken, match="x has no address"):
            context.execute_async_v3(stream)
        context.set_tensor_address("x", x)
        context.set_tensor_address("y", small)
        halves = np.ones((2, 3), np.float16)
        into = cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        cuda.cudaMemcpyAsync(x, halves.ctypes.data, halves.nbytes, into, stream)
        with pytest.raises(ContractBroken, match="12 were copied: another type"):
            context.execute_async_v3(stream)
        values = np.arange(6, dtype=np.float32)
        cuda.cudaMemcpyAsync(x, values.ctypes.data, values.nbytes, into, stream)
        with pytest.raises(ContractBroken, match="its buffer has 8"):
            context.execute_async_v3(stream)
        context.set_tensor_address("y", y)
        assert context.execute_async_v3(stream)
        found = np.zeros(6, np.float32)
        out = cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        cuda.cudaMemcpyAsync(found.ctypes.data, y, found.nbytes, out, stream)
        assert not found.any()  # nothing is there before the stream was waited for
        cuda.cudaStreamSynchronize(stream)
        assert np.array_equal(found, -values)
        for address in buffers:
            cuda.cudaFree(address)
        with pytest.raises(ContractBroken, match="no memory of the device"):
            context.execute_async_v3(stream)
        cuda.cudaStreamDestroy(stream)
        del runtime
        with pytest.raises(ContractBroken, match="runtime is gone"):
            context.infer_shapes()


def test_what_is_not_given_back_is_broken() -> None:
    def forgets() -> None:
        with installed(TEN) as fake:
            fake.cuda.cudaSetDevice(0)
            fake.cuda.cudaMalloc(100)

    with pytest.raises(ContractBroken, match="100 bytes"):
        forgets()
