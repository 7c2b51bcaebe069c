"""An order to the writer: what is to be recorded of an event, and why that may end too soon."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.types import CameraName

Cut = Literal["", "max_seconds", "max_bytes", "parameters", "camera", "stopped", "disk"]
"""Why a video ends before it should: too long; too large; the stream changed its parameters; the
camera went away; the service stopped; the disk took no more."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be recorded."""

    event_id: str
    camera: CameraName
    ring: PreRoll
    path: Path
    """Where the finished video lies; until then it is `path` with `.part` behind."""
    begin_seconds: float
    """Unix time at or before which it begins, as far as the ring reaches back."""
    until_seconds: float
    """Unix time after which nothing is wanted, unless it is put off."""
    most_seconds: float
    most_bytes: int
    start: int | None = None
    """Number of the packet with which it begins; None: to be looked for once there are any."""

    @property
    def part(self) -> Path:
        """Where the video is written."""
        return part_of(self.path)


def part_of(path: Path) -> Path:
    """Return where a video is written before it is finished."""
    return path.with_name(path.name + ".part")
