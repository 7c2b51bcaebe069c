"""A sample: scores with their truth, and which scores belong to one witness. Pure.

Clips of one recording are alike, and so are the views of one drive: they are one witness (a
*unit*). All intervals rest on the number of units, never on the number of clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import ClipTruth, JudgedClip, JudgedRecording

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Unit:
    """One witness: a recording, or the views of one drive."""

    recordings: tuple[JudgedRecording, ...]
    """At least one."""

    @property
    def label(self) -> Label:
        """Anomaly if one view shows one."""
        return "Anomaly" if any(one.label == "Anomaly" for one in self.recordings) else "Normal"

    @property
    def score(self) -> float:
        """Score of the worst clip of any view."""
        return max(one.peak_score for one in self.recordings)

    @property
    def reported(self) -> bool:
        """Whether an event of any view would have been sent."""
        return any(not event.suppressed_by for one in self.recordings for event in one.events)

    @property
    def clips(self) -> tuple[JudgedClip, ...]:
        """Of all views."""
        return tuple(clip for one in self.recordings for clip in one.clips)


@dataclass(frozen=True, slots=True)
class Sample:
    """Items (clips, recordings) with score, truth and unit; arrays of one length."""

    scores: Floats
    positive: Booleans
    unit: Integers
    """Index of each item's unit, 0 to `units` - 1; each unit has at least one item."""

    @property
    def units(self) -> int:
        """Witnesses."""
        return int(self.unit.max()) + 1 if len(self.unit) else 0

    @property
    def positives(self) -> int:
        """Items that really are anomalous."""
        return int(np.count_nonzero(self.positive))

    @property
    def negatives(self) -> int:
        """Items that really are normal."""
        return len(self.positive) - self.positives

    def units_of(self, chosen: Booleans) -> int:
        """Count the units of the chosen items."""
        return len(np.unique(self.unit[chosen]))

    def sums(self, values: npt.NDArray[np.generic]) -> Floats:
        """Add up a value of each item by unit."""
        added = np.bincount(self.unit, weights=values, minlength=self.units)
        return added.astype(np.float64)


def units_of(recordings: Iterable[JudgedRecording]) -> tuple[Unit, ...]:
    """Put views of one drive together; in order of each unit's first recording."""
    found: dict[tuple[str, str], list[JudgedRecording]] = {}
    for one in recordings:
        key = ("drive", one.drive) if one.drive else ("recording", one.name)
        found.setdefault(key, []).append(one)
    return tuple(Unit(tuple(views)) for views in found.values())


def unit_sample(units: Sequence[Unit]) -> Sample:
    """Return one item a unit: its worst clip's score and its label."""
    return Sample(
        scores=np.array([one.score for one in units], dtype=np.float64),
        positive=np.array([one.label == "Anomaly" for one in units], dtype=np.bool_),
        unit=np.arange(len(units), dtype=np.int64),
    )


def clip_sample(
    units: Sequence[Unit], positive: Iterable[ClipTruth], negative: Iterable[ClipTruth]
) -> Sample:
    """Return the clips of these truths; clips of another truth, and units without any, are out."""
    meaning = {**dict.fromkeys(negative, False), **dict.fromkeys(positive, True)}
    rows = [
        (clip.score, meaning[clip.truth], index)
        for index, unit in enumerate(units)
        for clip in unit.clips
        if clip.truth in meaning
    ]
    return sample_of(rows)


def sample_of(rows: Sequence[tuple[float, bool, int]]) -> Sample:
    """Return the sample of (score, positive, unit); units are numbered anew without gaps."""
    _, unit = np.unique(np.array([row[2] for row in rows], dtype=np.int64), return_inverse=True)
    return Sample(
        scores=np.array([row[0] for row in rows], dtype=np.float64),
        positive=np.array([row[1] for row in rows], dtype=np.bool_),
        unit=unit.astype(np.int64),
    )
