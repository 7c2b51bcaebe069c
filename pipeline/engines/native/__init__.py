"""The engine `native`: a Qwen2.5-VL that reads a clip once and says how probable each answer is."""

from edgewatch.pipeline.engines.native.model import NativeModel

__all__ = ["NativeModel"]
