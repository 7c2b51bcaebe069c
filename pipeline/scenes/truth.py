"""Truth: what is known of a drawn or composited picture because it was made here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
"""bool, shape (height, width): the pixels that an incident changed."""

IncidentKind = Literal[
    "impact",
    "fire",
    "stopped_vehicle",
    "debris",
    "person_on_road",
    "fall",
    "smoke",
    "flame",
    "flood",
    "covered",
    "moved",
    "frozen",
]
"""`impact` is drawn with its drive; `fire` is a flash, a fire and its smoke; the others can be put
into any footage. `covered`, `moved` and `frozen` befall the camera itself."""

CAMERA_FAULTS: frozenset[IncidentKind] = frozenset({"covered", "moved", "frozen"})
"""What the camera's health tells, before any engine is asked."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameTruth:
    """What one picture shows: nothing (kind is None), or an incident and where."""

    time_seconds: float
    """Media time of the picture, counted from the first one."""
    kind: IncidentKind | None = None
    mask: Mask | None = None
    """Pixels that the incident changed; no pixel outside it differs from the picture without."""

    @property
    def anomalous(self) -> bool:
        """Whether the incident is going on in this picture."""
        return self.kind is not None
