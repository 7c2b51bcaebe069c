"""Builder, network, parser, configuration: from an ONNX file to a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

import onnx

from tests.fakes.tensorrt.contract import ContractBroken
from tests.fakes.tensorrt.logs import Held, ILogger, held_logger
from tests.fakes.tensorrt.plan import Graph, written


class NetworkDefinitionCreationFlag(IntEnum):
    """Of both versions; 11 ignores it."""

    EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1


class OnnxParserFlag(IntEnum):
    """What is known."""

    NATIVE_INSTANCENORM = 0


class MemoryPoolType(IntEnum):
    """What is known."""

    WORKSPACE = 0
    TACTIC_SHARED_MEMORY = 1


class IProgressMonitor:
    """To be derived from; a subclass must call its `__init__`."""

    def __init__(self) -> None:
        self.constructed = True


class IStreamWriter:
    """To be derived from; a subclass must call its `__init__`."""

    def __init__(self) -> None:
        self.constructed = True


@dataclass(frozen=True, slots=True)
class State:
    """What is played."""

    version: str
    eleven: bool
    machine: dict[str, Any]


class Network:
    """What a parser fills."""

    def __init__(self) -> None:
        self.graph: Graph | None = None

    @property
    def num_inputs(self) -> int:
        return 0 if self.graph is None else len(self.graph.inputs)

    def get_input(self, index: int) -> Any:
        assert self.graph is not None
        return SimpleNamespace(name=self.graph.inputs[index].name)


class _ParserError:
    def __init__(self, desc: str, node: str, operator: str) -> None:
        self._words = desc, node, operator

    def desc(self) -> str:
        return self._words[0]

    def node_name(self) -> str:
        return self._words[1]

    def node_operator(self) -> str:
        return self._words[2]


class OnnxParser:
    """Reads a file; weights are looked for beside it."""

    def __init__(self, network: Network, logger: Any) -> None:
        self._network = network
        self._logger = held_logger(logger)
        self._errors: list[_ParserError] = []

    def set_flag(self, flag: Any) -> None:
        OnnxParserFlag(flag)

    def parse_from_file(self, path: str) -> bool:
        if not isinstance(path, str):
            raise TypeError("parse_from_file(): incompatible function arguments")
        try:
            model = onnx.load(path)
        except Exception as error:  # noqa: BLE001 # protobuf's and onnx's have no common class
            self._fail(_ParserError(f"Failed to parse ONNX model: {error}", "", ""))
            return False
        for node in model.graph.node:
            if node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.DOUBLE:
                self._fail(_ParserError("DOUBLE is not supported", node.name, node.op_type))
        if not self._errors:
            self._network.graph = Graph(model.SerializeToString())
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> _ParserError:
        return self._errors[index]

    def _fail(self, error: _ParserError) -> None:
        self._errors.append(error)
        self._logger.get().log(ILogger.ERROR, error.desc())


class Profile:
    """Least, usual and most shapes."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes[input] = tuple(min), tuple(opt), tuple(max)


class Config:
    """How a plan is to be built."""

    def __init__(self) -> None:
        self.limits: dict[Any, int] = {}
        self.flags: list[Any] = []
        self.profiles: list[Profile] = []
        self.progress_monitor: Any = None
        self._level = 3

    @property
    def builder_optimization_level(self) -> int:
        return self._level

    @builder_optimization_level.setter
    def builder_optimization_level(self, level: int) -> None:
        if not 0 <= level <= 5:
            raise ContractBroken(f"level {level}")
        self._level = level

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.limits[MemoryPoolType(pool)] = size

    def set_flag(self, flag: Any) -> None:
        if flag.name in ("FP16", "BF16", "FP8", "INT8", "FP4"):
            raise ContractBroken(f"{flag.name} in a strongly typed network")
        self.flags.append(flag)

    def add_optimization_profile(self, profile: Profile) -> int:
        for least, usual, most in profile.shapes.values():
            in_order = zip(least, usual, most, strict=True)
            if not all(0 < low <= mid <= high for low, mid, high in in_order):
                return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1


class _Builder:
    def __init__(self, logger: Any, state: State) -> None:
        self._logger: Held = held_logger(logger)
        self._state = state

    def create_network(self, flags: int = 0) -> Network:
        strong = 1 << int(NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        if not self._state.eleven and not flags & strong:
            raise ContractBroken("not strongly typed: TensorRT would choose types by itself")
        return Network()

    def create_builder_config(self) -> Config:
        return Config()

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        """Return the plan; None where it cannot be built, or was stopped."""
        graph = network.graph
        if graph is None:
            raise ContractBroken("built although the parser failed, or was not asked")
        if not config.limits.get(MemoryPoolType.WORKSPACE):
            raise ContractBroken("no limit of the workspace: all of the device is taken")
        error = _resize_error(graph.model) or _profile_error(graph, config)
        if error:
            self._logger.get().log(ILogger.ERROR, error)
            return None
        if not _go_through(config.progress_monitor):
            self._logger.get().log(ILogger.ERROR, "cancelled by the progress monitor")
            return None
        shapes = config.profiles[0].shapes if config.profiles else {}
        return written(graph.model, **self._state.machine, profile=shapes)


class Builder10(_Builder):
    """Of TensorRT 10."""

    platform_has_fast_fp16 = True
    platform_has_fast_int8 = True


class Builder11(_Builder):
    """Of TensorRT 11."""

    def build_serialized_network_to_stream(
        self, network: Network, config: Config, writer: Any
    ) -> bool:
        if not getattr(writer, "constructed", False):
            raise TypeError("IStreamWriter.__init__() must be called when overriding __init__")
        plan = self.build_serialized_network(network, config)
        if plan is None:
            return False
        for begin in range(0, len(plan), 65536):
            piece = plan[begin : begin + 65536]
            if writer.write(piece) != len(piece):
                return False
        return True


def _go_through(monitor: Any) -> bool:
    if monitor is None:
        return True
    if not getattr(monitor, "constructed", False):
        raise TypeError("IProgressMonitor.__init__() must be called when overriding __init__")
    for phase, steps in (("Building Engine", 3), ("Tactic Selection", 2)):
        monitor.phase_start(phase, None, steps)
        for step in range(steps):
            if not monitor.step_complete(phase, step):
                return False
        monitor.phase_finish(phase)
    return True


def _profile_error(graph: Graph, config: Config) -> str:
    given = config.profiles[0].shapes if config.profiles else {}
    for value in graph.inputs:
        declared = graph.shape(value.name)
        if -1 not in declared:
            continue
        if value.name not in given:
            return f"Network has dynamic inputs, but no profile has {value.name}"
        for shape in given[value.name]:
            pairs = zip(declared, shape, strict=True)
            if any(fixed not in (-1, length) for fixed, length in pairs):
                return f"{value.name}: {shape} does not match {declared}"
    return ""


def _resize_error(model: Any) -> str:
    types = {one.name: one.type.tensor_type.elem_type for one in model.graph.input}
    for node in model.graph.node:
        if node.op_type == "Cast":
            types[node.output[0]] = node.attribute[0].i
        elif node.op_type == "Resize" and types.get(node.input[0]) == onnx.TensorProto.BFLOAT16:
            return f"{node.name}: Resize has no implementation for BF16"
    return ""
