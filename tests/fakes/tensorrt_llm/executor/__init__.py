"""As `tensorrt_llm.executor`."""
