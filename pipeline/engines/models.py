"""The table of models: which kind is made how, and where it runs."""

from __future__ import annotations

from dataclasses import replace

from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.setup import EngineSetup


def create_model(setup: EngineSetup) -> Model:
    """Make the model of a kind; nothing heavy is imported before its `start`.

    TensorRT-LLM and our own kernels always run in a child, as their faults take a process along; a
    model of any kind does where GPUs are named, one child on each, or on each so many of them as
    share one model.
    """
    if setup.kind == "remote":
        from edgewatch.pipeline.engines.remote import RemoteModel

        return RemoteModel(setup)
    if setup.kind == "transformers" and not setup.gpus:
        return create_model_here(setup)
    from edgewatch.pipeline.engines.child import ChildModel

    shared_by = setup.tensor_parallel
    if len(setup.gpus) <= shared_by or (setup.kind != "native" and shared_by > 1):
        return ChildModel(setup)
    from edgewatch.pipeline.engines.parallel import ParallelModels

    parts = [setup.gpus[at : at + shared_by] for at in range(0, len(setup.gpus), shared_by)]
    return ParallelModels([ChildModel(replace(setup, gpus=part)) for part in parts])


def create_model_here(setup: EngineSetup) -> Model:
    """Make a model that computes in this process: what a child calls."""
    match setup.kind:
        case "transformers":
            from edgewatch.pipeline.engines.transformers import TransformersModel

            return TransformersModel(setup)
        case "native":
            from edgewatch.pipeline.engines.native import NativeModel

            return NativeModel(setup)
        case "tensorrt":
            from edgewatch.pipeline.engines.tensorrt import TensorRtModel

            return TensorRtModel(setup)
    raise ValueError(f"no model of kind {setup.kind!r} runs in this process")
