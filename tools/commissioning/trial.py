"""Trials: which incidents are put where into a camera's normal footage, of what size. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgewatch.pipeline.scenes.incidents.catalogue import KINDS, fits
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement
from edgewatch.pipeline.scenes.truth import CAMERA_FAULTS, IncidentKind

Size = Literal["small", "medium", "large"]

SIZES: Mapping[Size, float] = {"small": 0.1, "medium": 0.2, "large": 0.35}
"""Height of the thing in parts of the picture's height."""
PLACES: Mapping[str, tuple[float, float]] = {
    "far left": (0.25, 0.6),
    "near left": (0.25, 0.88),
    "far middle": (0.5, 0.62),
    "near middle": (0.5, 0.9),
    "far right": (0.75, 0.6),
    "near right": (0.75, 0.88),
}
"""Where it touches the ground: x, y in parts of the picture."""
FAULTS_TRIED = 3
"""Trials of each fault of the camera itself, which has neither place nor size."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One incident, or its harmless twin, to be put into a stretch of normal footage."""

    number: int
    kind: IncidentKind
    harmless: bool
    size: Size | None
    """None for what befalls the camera itself."""
    place: str
    foot: tuple[float, float]
    height: float
    seed: int

    @property
    def is_fault(self) -> bool:
        """Whether it befalls the camera itself: its health must tell, before any engine."""
        return self.kind in CAMERA_FAULTS

    def placement(
        self, begins_seconds: float, lasts_seconds: float, camera: CameraKind
    ) -> Placement:
        """Return where and when it happens."""
        return Placement(begins_seconds, lasts_seconds, self.foot, self.height, camera)


def kinds_for(camera: CameraKind, wanted: Sequence[IncidentKind] = ()) -> tuple[IncidentKind, ...]:
    """Return the kinds that make sense for a camera, in the catalogue's order.

    The view of a moving vehicle has no usual place that it could have moved from.
    """
    return tuple(
        kind
        for kind in KINDS
        if fits(kind, camera)
        and not (kind == "moved" and camera == "driving")
        and (not wanted or kind in wanted)
    )


def plan_trials(
    kinds: Sequence[IncidentKind], *, places_each: int, seed: int, hidden: Sequence[str] = ()
) -> tuple[Trial, ...]:
    """Lay out the grid: each kind in each size at `places_each` places, and its twin once a size.

    Which places: evenly spread over kinds and sizes by the seed, so that each place is tried about
    as often as the others. `hidden`: places in regions that the camera ignores.
    Raises ValueError if all places are hidden.
    """
    open_places = [name for name in PLACES if name not in hidden]
    if not open_places:
        raise ValueError("every place to try lies in a region that is ignored")
    random = np.random.default_rng(seed)
    order = [open_places[int(place)] for place in random.permutation(len(open_places))]
    return tuple(
        Trial(number, kind, harmless, size, place, *_where(place, size), seed * 10_000 + number)
        for number, (kind, harmless, size, place) in enumerate(_cells(kinds, order, places_each))
    )


def _cells(
    kinds: Sequence[IncidentKind], places: Sequence[str], places_each: int
) -> Iterator[tuple[IncidentKind, bool, Size | None, str]]:
    turn = 0
    for kind in kinds:
        if kind in CAMERA_FAULTS:
            yield from ((kind, False, None, "") for _ in range(FAULTS_TRIED))
            yield kind, True, None, ""
            continue
        for size in SIZES:
            for _ in range(min(places_each, len(places))):
                yield kind, False, size, places[turn % len(places)]
                turn += 1
            yield kind, True, size, places[turn % len(places)]


def _where(place: str, size: Size | None) -> tuple[tuple[float, float], float]:
    return PLACES.get(place, (0.5, 0.8)), SIZES[size] if size else SIZES["large"]
