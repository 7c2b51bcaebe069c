"""Builder: an ONNX file becomes a TensorRT plan for this GPU.

Strongly typed: types are the graph's, nothing is lowered in silence. Runs on TensorRT 10 and 11.
Source: TensorRT 11.1 `python/src/infer/pyCore.cpp`, `python/src/parsers/pyOnnx.cpp`; the flags are
those of demo/Diffusion `demo_diffusion/engine.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgewatch.pipeline.errors import SceneUnavailable
from edgewatch.pipeline.scenes.tensorrt.plan_key import PlanRecipe
from edgewatch.pipeline.scenes.tensorrt.tensorrt_library import (
    collecting_logger,
    load_tensorrt,
    said,
)

OnPhase = Callable[[str, int, int], bool]
"""Is told phase, steps done and steps in all; False cancels the build."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a build gave, for the plan's record."""

    seconds: float
    tensorrt: str

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"build_seconds": round(self.seconds, 3), "built_with": self.tensorrt}


def build_plan(
    graph: Path, recipe: PlanRecipe, target: Path, on_phase: OnPhase = lambda *_: True
) -> Built:
    """Build a plan into a file. Raises SceneUnavailable, with what TensorRT said, and OSError."""
    tensorrt = load_tensorrt()
    logger = collecting_logger(tensorrt)
    begun = time.monotonic()
    builder = tensorrt.Builder(logger)
    network = builder.create_network(_creation_flags(tensorrt))
    parser = tensorrt.OnnxParser(network, logger)
    _set_parser_flag(tensorrt, parser, "NATIVE_INSTANCENORM")
    # By path, so that weights are found in the files beside the graph.
    if not parser.parse_from_file(str(graph)):
        raise SceneUnavailable(
            f"TensorRT cannot read {graph}: {_parser_errors(parser)}. Export it again; if it stays "
            "so, this TensorRT is too old for the model"
        )
    config = _configured(tensorrt, builder, network, recipe)
    cancelled: list[bool] = []
    config.progress_monitor = _monitor(tensorrt, on_phase, cancelled)
    _write(tensorrt, builder, network, config, target, logger, recipe, cancelled)
    return Built(time.monotonic() - begun, str(tensorrt.__version__))


def _creation_flags(tensorrt: Any) -> int:
    """Ask for a strongly typed network; 11 knows no other, and ignores it."""
    flag = getattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _set_parser_flag(tensorrt: Any, parser: Any, name: str) -> None:
    if (flag := getattr(tensorrt.OnnxParserFlag, name, None)) is not None:
        parser.set_flag(flag)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(index) for index in range(min(3, parser.num_errors))]
    words = [f"{one.desc()} (node {one.node_name()}, {one.node_operator()})" for one in errors]
    return "; ".join(words) or "it gave no reason"


def _configured(tensorrt: Any, builder: Any, network: Any, recipe: PlanRecipe) -> Any:
    config = builder.create_builder_config()
    # All of the device is the default, which on a GB10 is all of the machine.
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, recipe.workspace_bytes)
    config.builder_optimization_level = recipe.level
    for name in recipe.flags:
        config.set_flag(getattr(tensorrt.BuilderFlag, name))
    names = [network.get_input(index).name for index in range(network.num_inputs)]
    if wrong := sorted(recipe.profile.keys() - set(names)):
        raise SceneUnavailable(f"{recipe.part} has no input {', '.join(wrong)}: export it again")
    if recipe.profile:
        profile = builder.create_optimization_profile()
        for name, (least, usual, most) in recipe.profile.items():
            profile.set_shape(name, least, usual, most)
        if config.add_optimization_profile(profile) < 0:
            raise SceneUnavailable(f"TensorRT does not take the shapes of {recipe.part}")
    return config


def _write(
    tensorrt: Any,
    builder: Any,
    network: Any,
    config: Any,
    target: Path,
    logger: Any,
    recipe: PlanRecipe,
    cancelled: list[bool],
) -> None:
    with target.open("wb") as file:
        if hasattr(builder, "build_serialized_network_to_stream"):
            # A plan of 24 GB is then never in memory as a whole.
            written = builder.build_serialized_network_to_stream(
                network, config, _stream_writer(tensorrt, file)
            )
        else:
            plan = builder.build_serialized_network(network, config)
            written = plan is not None
            if plan is not None:
                file.write(memoryview(plan))
        size = file.tell()
    if cancelled:
        raise SceneUnavailable(f"the build of {recipe.part} was stopped")
    if not written or not size:
        raise SceneUnavailable(
            f"TensorRT could not build {recipe.part}: {said(logger)}. If memory is short, stop "
            "the judge while building, or take a smaller --size"
        )


def _stream_writer(tensorrt: Any, file: Any) -> Any:
    class Writer(tensorrt.IStreamWriter):  # type: ignore[misc] # the library is not typed
        def __init__(self) -> None:
            tensorrt.IStreamWriter.__init__(self)

        def write(self, data: Any) -> int:
            return int(file.write(data))

    return Writer()


def _monitor(tensorrt: Any, on_phase: OnPhase, cancelled: list[bool]) -> Any:
    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc] # the library is not typed
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self._steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                goes_on = on_phase(phase_name, step + 1, self._steps.get(phase_name, 0))
            except KeyboardInterrupt:
                # It must not fly through TensorRT's threads.
                goes_on = False
            if not goes_on:
                cancelled.append(True)
            return goes_on

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()
