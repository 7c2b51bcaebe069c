"""Examples: clips with their features and their truth; what a combiner is fitted on. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.scenes.incidents.incident import CameraKind

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

ClipRole = Literal["incident", "twin", "before", "quiet", "unmarked"]
"""Of an incident's clips: those that show it and those before it; of its twin's: those that show
the harmless thing; all others in which nothing is put. Too little of an incident: unmarked."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One clip."""

    camera_kind: CameraKind
    camera: str
    place: str
    held_out: bool
    episode: int
    """-1: footage for the baseline."""
    kind: str
    """What happens in the episode, or what its twin is a twin of; empty: nothing."""
    role: ClipRole
    warm: bool
    features: Floats
    """(len(features.NAMES),)."""
    hand_set: float
    """The logarithm of the odds that the fusion set by hand gives."""

    @property
    def positive(self) -> bool:
        """Whether an incident is seen."""
        return self.role == "incident"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Examples of one kind of camera, as arrays of one length."""

    features: Floats
    """(examples, len(features.NAMES))."""
    positive: Booleans
    weight: Floats
    """Mean 1: both classes weigh the same, and within each all its parts."""
    group: npt.NDArray[np.int64]
    """Which camera; what is left out together."""


def table_of(examples: Sequence[Example]) -> Table:
    """Lay examples out for fitting; what is unmarked is left out."""
    kept = [one for one in examples if one.role != "unmarked"]
    cameras = {name: index for index, name in enumerate(dict.fromkeys(o.camera for o in kept))}
    parts = [_part(one) for one in kept]
    sizes = {part: parts.count(part) for part in set(parts)}
    shares: dict[bool, float] = {True: 0.0, False: 0.0}
    for part in sizes:
        shares[part[0]] += _SHARES.get(part[1], 1.0)
    weight = np.array(
        [_SHARES.get(part[1], 1.0) / shares[part[0]] / sizes[part] for part in parts], np.float64
    )
    return Table(
        features=np.array([one.features for one in kept], np.float64).reshape(len(kept), -1),
        positive=np.array([one.positive for one in kept], np.bool_),
        weight=weight * (len(kept) / max(float(weight.sum()), 1e-12)),
        group=np.array([cameras[one.camera] for one in kept], np.int64),
    )


_SHARES = {"twin": 2.0}
"""What a part weighs within its class, where not 1."""


def _part(example: Example) -> tuple[bool, str]:
    """Incidents weigh the same kind by kind; normals by what makes them normal."""
    return example.positive, example.kind if example.positive else example.role
