"""What came of an order: a video or none, and all there is to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgewatch.pipeline.evidence.order import Cut
from edgewatch.pipeline.evidence.placing import Stretch
from edgewatch.pipeline.preroll import Coding
from edgewatch.pipeline.types import CameraName


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in a video."""

    at_seconds: float
    """Where in the video the part behind it begins."""
    seconds: float
    """How long nothing is seen."""
    why: Literal["reconnect", "missed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an order."""

    event_id: str
    camera: CameraName
    state: Literal["ready", "failed"]
    detail: str = ""
    disk: bool = False
    """Whether the disk is to blame."""
    cut: Cut = ""
    codec: str = ""
    source: Coding | None = None
    reencoded: bool = False
    stretches: tuple[Stretch, ...] = ()
    gaps: tuple[Gap, ...] = ()
    seconds: float = 0.0
    packets: int = 0
    missed_packets: int = 0
    """That had left the ring before they could be written."""
