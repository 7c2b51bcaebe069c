"""The model through Hugging Face's own classes: the engine that runs everywhere, CPU or CUDA."""

from edgewatch.pipeline.engines.transformers.model import TransformersModel

__all__ = ["TransformersModel"]
