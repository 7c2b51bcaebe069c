"""As `tensorrt_llm.inputs`."""
