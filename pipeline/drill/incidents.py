"""The incidents of drills: which one a camera is drilled with, and what makes it."""

from __future__ import annotations

from typing import Final, get_args

from edgewatch.pipeline.drill.composer import MakeIncident
from edgewatch.pipeline.drill.jolt import Jolt
from edgewatch.pipeline.errors import DrillRefused
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Incident, Placement
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, IncidentKind

AUTO: Final = "auto"

SUREST: Final[dict[CameraKind, IncidentKind]] = {"fixed": "fire", "driving": "impact"}
"""What the built-in engine sees most surely (see docs/drill.md): a drill asks whether the alarm
works, and `edgewatch commission` what is seen."""


def kind_for(wanted: str, camera: CameraKind) -> IncidentKind:
    """Return the incident for a camera; `wanted` may be "auto". Raises DrillRefused."""
    if wanted == AUTO:
        return SUREST[camera]
    every: tuple[IncidentKind, ...] = get_args(IncidentKind)
    possible = [one for one in every if _suits(one, camera)]
    for kind in possible:
        if kind == wanted:
            return kind
    where = "a vehicle's camera" if camera == "driving" else "a fixed camera"
    raise DrillRefused(
        f"{wanted[:40]!r} cannot be drilled with {where}; there are {AUTO}, {', '.join(possible)}"
    )


def incident_maker(kind: str, seed: int) -> MakeIncident:
    """Return what makes incidents of a kind: the same seed and placement, the same pixels."""

    def make(placement: Placement) -> Incident:
        # Of several in one drill none is like the other
        own = seed + round(1000 * placement.begins_seconds)
        if kind == "impact":
            return Jolt(own, placement)
        # Only here, on the drill's thread: a daemon starts without what draws incidents
        from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, make_incident

        return make_incident(next(one for one in KINDS if one == kind), own, placement)

    return make


def _suits(kind: IncidentKind, camera: CameraKind) -> bool:
    if kind in CAMERA_FAULTS:  # the camera's health tells those, before any engine is asked
        return False
    if kind == "impact":
        return camera == "driving"
    from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits

    return kind in KINDS and fits(kind, camera)
