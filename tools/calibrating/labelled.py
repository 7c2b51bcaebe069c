"""Labelled scores: what an engine said of recordings, beside what is known of each clip. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.tuning import Scores
from edgewatch.tools.evaluation.evaluation import (
    ClipTruth,
    EngineRun,
    JudgedRecording,
    NearDuplicate,
)

Floats = npt.NDArray[np.float64]

_TRUTH: Mapping[ClipTruth, float] = {
    "normal": 0.0,
    "quiet": 0.0,
    "incident": 1.0,
    "unmarked": math.nan,
}


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One recording: its clips' raw scores in order of time, and what is known of each."""

    name: str
    group: str
    """Recordings of one group (views of a drive, near duplicates) are one witness: they never
    stand on both sides of a cross-validation."""
    kind: Literal["normal", "incident", "unknown"]
    """Without any incident; with one; not known throughout, so that no alarm in it is counted."""
    scores: Scores
    truth: Floats
    """Of each clip: 1 incident, 0 none, NaN nobody knows. Shape (clips,)."""
    windows: tuple[tuple[float, float], ...] = ()
    """Where the incidents are, in the time of `scores`; empty: somewhere."""

    def calibrated(self, probabilities: Floats) -> Series:
        """Return the same with other scores."""
        return replace(self, scores=replace(self.scores, score=probabilities))


@dataclass(frozen=True, slots=True)
class Labelled:
    """All that a calibration is fitted on."""

    series: tuple[Series, ...]
    engine: str
    """Whose scores these are, uncalibrated."""
    source: str
    """Where they come from, for people."""
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    """What was assumed, for people."""

    @property
    def clips(self) -> Clips:
        """The clips of which something is known, in one row."""
        parts = [
            (one, np.isfinite(one.truth) & np.isfinite(one.scores.score)) for one in self.series
        ]
        names = sorted({one.group for one in self.series})
        number = {name: at for at, name in enumerate(names)}
        return Clips(
            score=np.concatenate([one.scores.score[known] for one, known in parts] or [_NOTHING]),
            truth=np.concatenate([one.truth[known] for one, known in parts] or [_NOTHING]),
            group=np.concatenate(
                [np.full(int(known.sum()), number[one.group]) for one, known in parts]
                or [np.empty(0, np.int64)]
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Clips:
    """Clips of known truth; three arrays of shape (clips,)."""

    score: Floats
    truth: Floats
    """1 or 0."""
    group: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.score)

    def chosen(self, where: npt.NDArray[np.bool_]) -> Clips:
        """Return some of them."""
        return Clips(self.score[where], self.truth[where], self.group[where])

    def groups_with(self, truth: float) -> npt.NDArray[np.int64]:
        """Return the groups that hold a clip of this truth, in order."""
        return np.unique(self.group[self.truth == truth])

    def groups_without_incident(self) -> npt.NDArray[np.int64]:
        """Return the groups that hold none but clips without incident, in order."""
        return np.setdiff1d(self.groups_with(0.0), self.groups_with(1.0))


_NOTHING = np.empty(0, np.float64)


def labelled_run(
    run: EngineRun,
    duplicates: Sequence[NearDuplicate],
    *,
    source: str,
    questions: tuple[str, ...] = (),
) -> Labelled:
    """Take an engine's run over a data set.

    An anomalous recording in which nobody marked when it happens lends its worst clip, of all
    views of its drive, as the incident; nothing is taken to be known of the others.
    """
    groups = _groups(run.recordings, duplicates)
    worst = _worst_unmarked(run.recordings)
    notes = []
    if worst:
        notes.append(
            f"{len(worst)} anomalous recording{'s' if len(worst) > 1 else ''} without a marked "
            "time: the worst clip of each stands for its incident, which flatters the engine; "
            "mark anomaly_start_s and anomaly_end_s for better"
        )
    series = tuple(_series(one, groups[one.name], worst) for one in run.recordings if one.clips)
    return Labelled(series, run.engine, source, questions, tuple(notes))


def _series(one: JudgedRecording, group: str, worst: Iterable[tuple[str, str]]) -> Series:
    # An answer that was none has no score, and tells nothing.
    answered = [clip for clip in one.clips if math.isfinite(clip.score)]
    clips = sorted(answered, key=lambda clip: clip.end_seconds)
    held = set(worst)
    truth = [1.0 if (one.name, clip.clip_id) in held else _TRUTH[clip.truth] for clip in clips]
    columns = [(clip.start_seconds, clip.end_seconds, clip.score) for clip in clips]
    table = np.array(columns, dtype=np.float64).reshape(-1, 3)
    return Series(
        one.name,
        group,
        "normal" if one.label == "Normal" else "incident",
        Scores(*(np.ascontiguousarray(table[:, number]) for number in range(3))),
        np.array(truth, dtype=np.float64),
        tuple((window.start_seconds, window.end_seconds) for window in one.windows),
    )


def _worst_unmarked(recordings: Sequence[JudgedRecording]) -> set[tuple[str, str]]:
    """Return (recording, clip) of the worst clip of each drive in which none is marked."""
    drives: dict[tuple[str, str], list[JudgedRecording]] = {}
    for one in recordings:
        if one.label == "Anomaly":
            key = ("drive", one.drive) if one.drive else ("recording", one.name)
            drives.setdefault(key, []).append(one)
    found = set()
    for views in drives.values():
        clips = [(clip, view) for view in views for clip in view.clips if math.isfinite(clip.score)]
        if clips and all(clip.truth == "unmarked" for clip, _ in clips):
            clip, view = max(clips, key=lambda pair: pair[0].score)
            found.add((view.name, clip.clip_id))
    return found


def _groups(
    recordings: Sequence[JudgedRecording], duplicates: Sequence[NearDuplicate]
) -> dict[str, str]:
    """Return each recording's group: its drive's, joined with those of its near duplicates."""
    leader = {one.name: one.name for one in recordings}

    def first(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    def join(one: str, other: str) -> None:
        one, other = sorted((first(one), first(other)))
        leader[other] = one

    drives: dict[str, str] = {}
    for one in recordings:
        if one.drive:
            join(one.name, drives.setdefault(one.drive, one.name))
    for pair in duplicates:
        if pair.first in leader and pair.second in leader:
            join(pair.first, pair.second)
    return {name: first(name) for name in leader}
