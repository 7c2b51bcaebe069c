"""The runners: what they refuse, by name; BF16 in and out; the builder's errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from edgewatch.pipeline.errors import SceneInvalid, SceneRefused, SceneUnavailable
from edgewatch.pipeline.scenes.tensorrt.builder import build_plan
from edgewatch.pipeline.scenes.tensorrt.device import Device
from edgewatch.pipeline.scenes.tensorrt.ort_runner import OrtRunner
from edgewatch.pipeline.scenes.tensorrt.plan_key import PlanRecipe
from edgewatch.pipeline.scenes.tensorrt.resize_patch import PATCHED_NAME, patched_graph
from edgewatch.pipeline.scenes.tensorrt.tensorrt_library import load_tensorrt
from edgewatch.pipeline.scenes.tensorrt.trt_runner import TrtRunner
from tests.fakes.tensorrt import ELEVEN, TEN, Gpu, installed

onnx = pytest.importorskip("onnx", reason="the extra scenes is not installed")

SHAPE = (1, 2, 4, 4)
RECIPE = PlanRecipe(
    model="tiny",
    part="vae",
    precision="bf16",
    files={},
    patch_version=1,
    text_length=8,
    profile={"latent": (SHAPE, SHAPE, (2, 2, 4, 4))},
    workspace_bytes=10**6,
)


def _graph(path: Path, kind: int, *nodes: Any, output: list[Any]) -> Path:
    """Write an ONNX file that makes `images` of `latent`."""
    helper = onnx.helper
    latent = helper.make_tensor_value_info("latent", kind, ["B", 2, 4, 4])
    images = helper.make_tensor_value_info("images", kind, output)
    sizes = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    graph = helper.make_graph(list(nodes), "tiny", [latent], [images], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.save_model(model, str(path))
    return path


def _doubled(path: Path) -> Path:
    node = onnx.helper.make_node("Add", ["latent", "latent"], ["images"])
    return _graph(path, onnx.TensorProto.FLOAT, node, output=["B", 2, 4, 4])


def _resized(path: Path) -> Path:
    node = onnx.helper.make_node("Resize", ["latent", "", "scales"], ["images"], mode="nearest")
    return _graph(path, onnx.TensorProto.BFLOAT16, node, output=["B", 2, 8, 8])


@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_bf16_goes_through_a_resize_that_tensorrt_does_not_have(
    tmp_path: Path, version: str
) -> None:
    """Patched into FP32 and back; fed and read as bfloat16, given and taken as float32."""
    graph = _resized(tmp_path / "model.onnx")
    latent = np.arange(32, dtype=np.float32).reshape(SHAPE) / 7
    with installed(version):
        with pytest.raises(SceneUnavailable, match="Resize has no implementation for BF16"):
            build_plan(graph, RECIPE, tmp_path / "plan")
        patched = patched_graph(graph)
        assert patched.name == PATCHED_NAME
        assert patched_graph(patched) == patched  # nothing is left to be patched
        build_plan(patched, RECIPE, tmp_path / "plan")
        device = Device()
        runner = TrtRunner(lambda _part: tmp_path / "plan", device)
        images = runner.run("vae", latent=latent)["images"]
        runner.close()
        device.close()
    rounded = latent.astype(ml_dtypes.bfloat16).astype(np.float32)
    assert images.dtype == np.float32
    assert np.array_equal(images, rounded.repeat(2, axis=2).repeat(2, axis=3))


def _ort(tmp_path: Path) -> OrtRunner:
    return OrtRunner({"vae": _doubled(tmp_path / "model.onnx")}, threads=1)


def test_a_tensor_that_is_missing_or_too_many_is_named(tmp_path: Path) -> None:
    runner, latent = _ort(tmp_path), np.zeros(SHAPE, np.float32)
    with pytest.raises(SceneRefused, match="vae wants latent"):
        runner.run("vae")
    with pytest.raises(SceneRefused, match="vae has no input guidance"):
        runner.run("vae", latent=latent, guidance=latent)


def test_a_wrong_type_or_shape_is_refused_and_not_bent(tmp_path: Path) -> None:
    runner = _ort(tmp_path)
    with pytest.raises(SceneRefused, match="latent as float32, and it was given int32"):
        runner.run("vae", latent=np.zeros(SHAPE, np.int32))
    with pytest.raises(SceneRefused, match="anyx2x4x4, and was given 1x3x4x4"):
        runner.run("vae", latent=np.zeros((1, 3, 4, 4), np.float32))
    with pytest.raises(SceneRefused, match="which float32 does not hold"):
        runner.run("vae", latent=np.full(SHAPE, 1e300))


def test_nan_is_an_error_that_names_part_and_tensor(tmp_path: Path) -> None:
    latent = np.zeros(SHAPE, np.float32)
    latent[0, 0, 0, 0] = np.nan
    with pytest.raises(SceneInvalid, match="vae gave 1 of 32 values of images"):
        _ort(tmp_path).run("vae", latent=latent)


def _plan(tmp_path: Path) -> Path:
    build_plan(_doubled(tmp_path / "model.onnx"), RECIPE, tmp_path / "plan")
    return tmp_path / "plan"


def test_a_shape_outside_the_profile_is_refused(tmp_path: Path) -> None:
    with installed(ELEVEN):
        plan, device = _plan(tmp_path), Device()
        runner = TrtRunner(lambda _part: plan, device)
        assert runner.run("vae", latent=np.ones((2, 2, 4, 4), np.float32))["images"].max() == 2
        # A smaller and then a larger one again: buffers are kept, and grow.
        assert runner.run("vae", latent=np.ones(SHAPE, np.float32))["images"].shape == SHAPE
        with pytest.raises(SceneRefused, match="1x2x4x4 to 2x2x4x4, and was given 3x2x4x4"):
            runner.run("vae", latent=np.ones((3, 2, 4, 4), np.float32))
        runner.close()
        runner.close()
        device.close()


def test_a_plan_that_tensorrt_does_not_load_comes_with_its_reason(tmp_path: Path) -> None:
    with installed(TEN):
        plan = _plan(tmp_path)
    for version, gpu, reason in (
        (ELEVEN, Gpu(), "built by TensorRT 10.13.3.9"),
        (TEN, Gpu(compute=(9, 0)), "incompatible device"),
    ):
        with installed(version, gpu):
            device = Device()
            runner = TrtRunner(lambda _part: plan, device)
            with pytest.raises(SceneUnavailable, match=reason):
                runner.load("vae")
            runner.close()
            device.close()
    plan.write_bytes(b"rubbish")
    with installed(TEN):
        device = Device()
        with pytest.raises(SceneUnavailable, match="corrupt"):
            TrtRunner(lambda _part: plan, device).load("vae")
        device.close()


def test_memory_that_the_gpu_does_not_have_is_told(tmp_path: Path) -> None:
    with installed(TEN, Gpu(free_bytes=4200)):
        plan, device = _plan(tmp_path), Device()
        runner = TrtRunner(lambda _part: plan, device)
        with pytest.raises(SceneUnavailable, match="cudaErrorMemoryAllocation"):
            runner.run("vae", latent=np.ones(SHAPE, np.float32))
        runner.close()
        device.close()


@pytest.mark.parametrize("version", [TEN, ELEVEN])
def test_a_build_tells_its_progress_and_can_be_stopped(tmp_path: Path, version: str) -> None:
    graph = _doubled(tmp_path / "model.onnx")
    told: list[tuple[str, int, int]] = []

    def on_phase(phase: str, done: int, steps: int) -> bool:
        told.append((phase, done, steps))
        return len(told) < 6

    with installed(version):
        build_plan(graph, RECIPE, tmp_path / "plan", on_phase)
        assert told[0] == ("Building Engine", 1, 3)
        assert len(told) == 5
        with pytest.raises(SceneUnavailable, match="was stopped"):
            build_plan(graph, RECIPE, tmp_path / "plan", on_phase)


def test_what_the_parser_says_is_in_the_error(tmp_path: Path) -> None:
    cast = onnx.helper.make_node("Cast", ["latent"], ["wide"], to=onnx.TensorProto.DOUBLE)
    back = onnx.helper.make_node("Cast", ["wide"], ["images"], to=onnx.TensorProto.FLOAT)
    kind = onnx.TensorProto.FLOAT
    graph = _graph(tmp_path / "model.onnx", kind, cast, back, output=["B", 2, 4, 4])
    with installed(ELEVEN):
        with pytest.raises(SceneUnavailable, match="DOUBLE is not supported"):
            build_plan(graph, RECIPE, tmp_path / "plan")
        no_profile = dataclasses.replace(RECIPE, profile={})
        with pytest.raises(SceneUnavailable, match="no profile has latent"):
            build_plan(_doubled(graph), no_profile, tmp_path / "plan")


def test_tensorrt_that_is_missing_or_old_is_told_with_the_cure() -> None:
    with installed("8.6.1"), pytest.raises(SceneUnavailable, match=r"8\.6\.1 is too old"):
        load_tensorrt()
    with pytest.raises(SceneUnavailable, match="TensorRT is not installed"):
        load_tensorrt()
