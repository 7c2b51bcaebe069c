"""The built-in engine: CPU only, learns each camera's normal and says how unlikely a clip is."""

from edgewatch.pipeline.engines.builtin.engine import BuiltinEngine

__all__ = ["BuiltinEngine"]
