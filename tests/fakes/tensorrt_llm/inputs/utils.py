"""As `tensorrt_llm.inputs.utils`."""

from tests.fakes.tensorrt_llm.videos import VideoData

__all__ = ["VideoData"]
