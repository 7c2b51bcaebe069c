"""A thumbnail: the small picture of a judged clip. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.pipeline.types import Evidence


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """The middle picture of one clip."""

    start_seconds: float
    """The clip's place in the recording, from its first picture."""
    end_seconds: float
    media_seconds: float
    """The picture's own place."""
    score: float
    anomalous: bool
    jpeg: bytes
    width: int
    height: int
    evidence: tuple[Evidence, ...] = ()
