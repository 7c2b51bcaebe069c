"""As `tensorrt_llm.executor.utils`."""

from tests.fakes.tensorrt_llm.record import RequestError

__all__ = ["RequestError"]
