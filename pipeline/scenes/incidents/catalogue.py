"""Catalogue: every kind of incident that can be put into footage, and its harmless twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from edgewatch.pipeline.scenes.incidents.blaze import Blaze
from edgewatch.pipeline.scenes.incidents.covered import Cover, PassingBy
from edgewatch.pipeline.scenes.incidents.debris import Blown, Debris
from edgewatch.pipeline.scenes.incidents.fall import Fall, SitsDown
from edgewatch.pipeline.scenes.incidents.flash_fire import FlashFire
from edgewatch.pipeline.scenes.incidents.frozen import Frozen
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Incident, Placement
from edgewatch.pipeline.scenes.incidents.lamp import Lamp
from edgewatch.pipeline.scenes.incidents.moved import Moved
from edgewatch.pipeline.scenes.incidents.overlay import Drawing, Overlay
from edgewatch.pipeline.scenes.incidents.person import PasserBy, PersonOnRoad
from edgewatch.pipeline.scenes.incidents.plume import Plume, Steam
from edgewatch.pipeline.scenes.incidents.vehicle import passing_vehicle, stopped_vehicle
from edgewatch.pipeline.scenes.incidents.water import Flood, Puddle
from edgewatch.pipeline.scenes.truth import IncidentKind

_Draw = Callable[[np.random.Generator, Placement], Drawing]

_SHORTEST_FIRE_SECONDS: Final = 2.5
_BOTH: Final[frozenset[CameraKind]] = frozenset({"fixed", "driving"})
_FIXED: Final[frozenset[CameraKind]] = frozenset({"fixed"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is drawn into the picture for a kind and for its twin, and before which camera."""

    incident: _Draw
    twin: _Draw
    cameras: frozenset[CameraKind]


_DRAWN: Final[Mapping[IncidentKind, _Entry]] = MappingProxyType(
    {
        "stopped_vehicle": _Entry(stopped_vehicle, passing_vehicle, _BOTH),
        "debris": _Entry(Debris, Blown, _BOTH),
        "person_on_road": _Entry(PersonOnRoad, PasserBy, _BOTH),
        "fall": _Entry(Fall, SitsDown, _FIXED),
        "smoke": _Entry(Plume, Steam, _BOTH),
        "flame": _Entry(Blaze, Lamp, _BOTH),
        "flood": _Entry(Flood, Puddle, _FIXED),
        "covered": _Entry(Cover, PassingBy, _BOTH),
    }
)

KINDS: Final[tuple[IncidentKind, ...]] = (*_DRAWN, "fire", "moved", "frozen")
"""All kinds that `make_incident` takes; an `impact` is drawn together with its drive."""


def make_incident(kind: IncidentKind, seed: int, placement: Placement) -> Incident:
    """Make an incident; the same arguments give the same pixels.

    Raises ValueError for a kind that cannot be put into footage, or a placement in no time.
    """
    _check(kind, placement)
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "fire":
        return FlashFire(
            seed,
            foot=placement.foot,
            flame_height=placement.height,
            begins_seconds=placement.begins_seconds,
            burns_seconds=max(_SHORTEST_FIRE_SECONDS, placement.lasts_seconds),
        )
    if kind == "moved":
        return Moved(rng, placement)
    if kind == "frozen":
        return Frozen(placement)
    drawing = _DRAWN[kind].incident(rng, placement)
    return Overlay(drawing, kind=kind, seed=seed, begins_seconds=placement.begins_seconds)


def make_twin(kind: IncidentKind, seed: int, placement: Placement) -> Incident:
    """Make the harmless counterpart of an incident: as much of a change, and nothing amiss.

    Its truth has the mask of what it changed and no kind. Raises as `make_incident` does.
    """
    _check(kind, placement)
    rng = np.random.default_rng([seed, KINDS.index(kind), 1])
    if kind == "moved":
        return Moved(rng, placement, kind=None)
    if kind == "frozen":
        return Frozen(placement, kind=None)
    draw = Lamp if kind == "fire" else _DRAWN[kind].twin
    return Overlay(
        draw(rng, placement), kind=None, seed=seed, begins_seconds=placement.begins_seconds
    )


def fits(kind: IncidentKind, camera: CameraKind) -> bool:
    """Tell whether a kind makes sense before a camera: nobody sees a fall or a flood rise in the
    seconds in which a vehicle passes, and a drive's fire is a flame that comes nearer."""
    if kind in ("moved", "frozen"):
        return True
    if kind == "fire":
        return camera == "fixed"
    entry = _DRAWN.get(kind)
    return entry is not None and camera in entry.cameras


def _check(kind: IncidentKind, placement: Placement) -> None:
    if kind not in KINDS:
        raise ValueError(f"no incident {kind!r} can be put into footage; there are {KINDS}")
    if placement.lasts_seconds <= 0 or placement.height <= 0:
        raise ValueError("lasts_seconds and height of a placement must be above 0")
