"""A trial on labelled footage: hand-set fusion, combiner and both, each recording a new camera."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgewatch.config.settings import CameraPlan
from edgewatch.tools.evaluation.assembly import truth_of
from edgewatch.tools.evaluation.dataset import Dataset, LabelledRecording
from edgewatch.tools.evaluation.duplicates import SIMILAR, similarity
from edgewatch.tools.evaluation.evaluation import JudgedClip, JudgedRecording
from edgewatch.tools.evaluation.judgement import Signature
from edgewatch.tools.evaluation.reel import Reel
from edgewatch.tools.evaluation.statistics.controls import pre_incident_control, ranking_control
from edgewatch.tools.evaluation.statistics.figures import Control, Estimate
from edgewatch.tools.evaluation.statistics.ranking import roc_area
from edgewatch.tools.evaluation.statistics.sample import unit_sample, units_of
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.recordings import find_recordings
from edgewatch.tools.training.combiner import Combiner
from edgewatch.tools.training.measuring import Measurer, Row
from edgewatch.tools.training.scoring import HAND_SET, RESAMPLES, SCORERS, odds_of
from edgewatch.tools.training.training import estimate_json


@dataclass(frozen=True, slots=True)
class GroupFigures:
    """One scorer on one kind of camera."""

    group: str
    scorer: str
    anomalous: int
    normal: int
    area: Estimate
    """Of recordings, by the worst clip."""
    pre_incident: Control
    ranking: Control


@dataclass(frozen=True, slots=True)
class Trial:
    """What labelled footage says."""

    figures: tuple[GroupFigures, ...]
    known: tuple[str, ...]
    """Recordings that show what the combiner was trained on; they are left out."""
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One recording as the engine measured it."""

    recording: LabelledRecording
    rows: tuple[Row, ...]
    times: tuple[tuple[float, float], ...]
    """Start and end of each clip, seconds of the recording."""
    signature: Signature


async def measured(
    dataset: Dataset, plan: CameraPlan, on_recording: Callable[[str], None] = lambda _: None
) -> list[Measurement]:
    """Measure all recordings, each as a camera that was never seen. Raises EngineFailed."""
    measurer = Measurer()
    await measurer.start()
    found = []
    try:
        for one in dataset.recordings:
            on_recording(one.name)
            reel = Reel(one, plan)
            reel.start()
            try:
                clips = [clip async for clip in reel.clips()]
            finally:
                await reel.close()
            rows = await measurer.judged(clips) if clips else []
            times = tuple((clip.media_start_seconds, clip.media_end_seconds) for clip in clips)
            found.append(Measurement(one, tuple(rows), times, reel.seen().signature))
    finally:
        await measurer.close()
    return found


async def signatures_of(recording: Path, plan: CameraPlan) -> list[Signature]:
    """Return what a recording looks like, to recognise it by; none if it cannot be read."""
    found = []
    for one in find_recordings([str(recording)]).recordings:
        reel = Reel(LabelledRecording(one, RecordingLabel("Normal")), plan)
        reel.start()
        try:
            async for _ in reel.clips():
                pass
        finally:
            await reel.close()
        found.append(reel.seen().signature)
    return found


def trial_of(
    measurements: Sequence[Measurement], combiner: Combiner, taught: Sequence[Signature], seed: int
) -> Trial:
    """Return the figures. `taught`: signatures of the recordings that were trained on."""
    judged = [one for one in measurements if one.rows]
    known = [
        one
        for one in judged
        if any(similarity(one.signature, other) >= SIMILAR for other in taught)
    ]
    kept = [one for one in judged if one not in known]
    groups = sorted({one.recording.label.group for one in kept})
    figures = [
        _figures(
            group,
            scorer,
            [one for one in kept if one.recording.label.group == group],
            combiner,
            seed,
        )
        for group in groups
        for scorer in SCORERS
    ]
    return Trial(
        tuple(figures),
        tuple(one.recording.name for one in known),
        tuple(one.recording.name for one in measurements if not one.rows),
    )


def combined(rows: Sequence[Row], combiner: Combiner) -> Mapping[str, np.ndarray[Any, Any]]:
    """Return each scorer's odds of a recording's clips.

    Where no model was trained for the kind of camera, the combiner says what the hand-set does.
    """
    hand_set = np.array([row.hand_set for row in rows], np.float64)
    learnt = hand_set.copy()
    for index, row in enumerate(rows):
        model = combiner.models.get("driving" if row.moving else "fixed")
        if model is not None:
            learnt[index] = model.log_odds(row.features[None])[0]
    return odds_of(hand_set, learnt)


def _figures(
    group: str, scorer: str, judged: Sequence[Measurement], combiner: Combiner, seed: int
) -> GroupFigures:
    recordings = [_judged(one, combined(one.rows, combiner)[scorer]) for one in judged]
    units = units_of(recordings)
    sample = unit_sample(units)
    return GroupFigures(
        group=group,
        scorer=scorer,
        anomalous=sample.positives,
        normal=sample.negatives,
        area=roc_area(sample, None, None),
        pre_incident=pre_incident_control(units, seed=seed, resamples=RESAMPLES),
        ranking=ranking_control(units),
    )


def _judged(one: Measurement, odds: np.ndarray[Any, Any]) -> JudgedRecording:
    label = one.recording.label
    scores = 1.0 / (1.0 + np.exp(-odds))
    return JudgedRecording(
        name=one.recording.name,
        label=label.label,
        drive=label.drive,
        view=label.view,
        group=label.group,
        windows=label.windows,
        clips=tuple(
            JudgedClip(
                clip_id=f"{one.recording.name}@{start:.3f}",
                start_seconds=start,
                end_seconds=end,
                score=float(score),
                truth=truth_of(label, start, end),
            )
            for (start, end), score in zip(one.times, scores, strict=True)
        ),
    )


def trial_json(trial: Trial) -> dict[str, Any]:
    """Return the figures as JSON has them."""
    return {
        "left_out_as_trained_on": list(trial.known),
        "no_clips": list(trial.failed),
        "figures": [
            {
                "cameras": one.group,
                "scorer": one.scorer,
                "anomalous": one.anomalous,
                "normal": one.normal,
                "auc": estimate_json(one.area),
                "pre_incident": estimate_json(one.pre_incident.probability),
                "pre_incident_clips": one.pre_incident.clips,
                "inside_recording": estimate_json(one.ranking.probability),
            }
            for one in trial.figures
        ],
    }


def beats(trial: Trial, scorer: str) -> tuple[bool, str]:
    """Say whether a scorer may stand in for the hand-set fusion, and if not, why.

    It has to rank recordings better on every kind of camera, and to score clips before the
    incident no further above normal ones than the hand-set fusion does.
    """
    by_group: dict[str, dict[str, GroupFigures]] = {}
    for one in trial.figures:
        by_group.setdefault(one.group, {})[one.scorer] = one
    for group, scorers in by_group.items():
        new, old = scorers[scorer], scorers[HAND_SET]
        if new.area.value is None or old.area.value is None:
            return False, f"{group}: cannot be told"
        if new.area.value <= old.area.value:
            return False, f"{group}: AUC {new.area.value:.2f}, hand-set {old.area.value:.2f}"
        if not _as_honest(new.pre_incident, old.pre_incident):
            share = new.pre_incident.probability.value
            return False, f"{group}: clips before the incident outscore normal ones in {share:.0%}"
    return bool(by_group), "" if by_group else "no recordings"


def _as_honest(new: Control, old: Control) -> bool:
    if new.probability.value is None or old.probability.value is None:
        return True  # no recording begins before its incident: nothing to be dishonest with
    return new.probability.value <= max(0.5, old.probability.value)
