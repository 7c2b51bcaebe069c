"""A scene: footage that can be asked for picture by picture, and what is true of each."""

from __future__ import annotations

from typing import Protocol

from edgewatch.pipeline.scenes.truth import FrameTruth
from edgewatch.pipeline.types import Pixels


class Scene(Protocol):
    """Drawn footage. The same recipe and seed give the same pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    @property
    def fps(self) -> float:
        """Pictures a second."""

    @property
    def frame_count(self) -> int:
        """How many pictures there are."""

    def frame(self, index: int) -> Pixels:
        """Draw one picture, uint8 RGB, shape (height, width, 3), read-only."""

    def truth(self, index: int) -> FrameTruth:
        """Tell what a picture shows."""
