"""A model in a process of its own: a crash, a leak or a stuck kernel takes nothing else along."""

from edgewatch.pipeline.engines.child.model import ChildModel

__all__ = ["ChildModel"]
