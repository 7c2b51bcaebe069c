"""TensorRT-LLM 1.2 (PyTorch backend): the flagship on a DGX Spark; lives in a child process."""

from edgewatch.pipeline.engines.tensorrt.model import TensorRtModel

__all__ = ["TensorRtModel"]
