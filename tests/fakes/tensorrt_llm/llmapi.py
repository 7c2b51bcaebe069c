"""As `tensorrt_llm.llmapi`."""

from tests.fakes.tensorrt_llm.parameters import GuidedDecodingParams, KvCacheConfig, SamplingParams

__all__ = ["GuidedDecodingParams", "KvCacheConfig", "SamplingParams"]
