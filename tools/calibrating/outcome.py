"""Outcome: a calibration fitted, shown against what was there before, and its threshold. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgewatch.pipeline.engines.calibration import Calibration, Counts, Method
from edgewatch.pipeline.events import EventRules
from edgewatch.tools.calibrating.choosing import Choice, TooLittle, choose
from edgewatch.tools.calibrating.fitting import LEAST_SLOPE, fitted, log_losses
from edgewatch.tools.calibrating.labelled import Clips, Labelled
from edgewatch.tools.calibrating.reliability import Diagram, diagram
from edgewatch.tools.calibrating.wishes import (
    Effect,
    Granted,
    Ground,
    Wish,
    effect_of,
    grant,
    ground_of,
)

FEW = 100
"""Recordings of a kind below which figures show faults, not quality."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold in force."""

    whose: str
    now: float
    raw: float
    """What it means on scores without calibration: the same, unless one is in force now."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A threshold in force, and the one that does the same on calibrated scores."""

    whose: str
    now: float
    same: float
    effect: Effect


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that `edgewatch calibrate` found."""

    labelled: Labelled
    calibration: Calibration
    choice: Choice | None
    """None: nothing was fitted, as it was asked for."""
    before: Diagram | None
    after: Diagram | None
    """Of each clip as fitted without its recording: what a new recording will see."""
    granted: Granted | None
    moved: tuple[Moved, ...]
    warnings: tuple[str, ...]


def calibrated(
    labelled: Labelled,
    rules: EventRules,
    *,
    method: Method | None,
    wish: Wish | None,
    thresholds: Sequence[Threshold],
    now_seconds: float,
) -> Outcome:
    """Fit, choose and look at it; `method` None: by cross-validation.

    `thresholds`: those in force now. Raises TooLittle, ConfigError.
    """
    clips = labelled.clips
    choice = None if method == "none" else choose(clips, only=method)
    chosen: Method = "none" if choice is None else choice.method
    calibration = replace(
        fitted(chosen, clips.score, clips.truth),
        engine=labelled.engine,
        questions=labelled.questions,
        fitted_seconds=now_seconds,
    )
    ground = ground_of(
        (one.calibrated(calibration.apply_all(one.scores.score)) for one in labelled.series), rules
    )
    calibration = replace(calibration, counts=_counts(clips, ground))
    granted = None
    if wish is not None:
        result = grant(wish, ground, rules)
        if isinstance(result, str):
            raise TooLittle(f"no threshold can be chosen for that: there is {result}")
        granted = result
        calibration = replace(calibration, chosen=granted.chosen)
    before, after = _diagrams(clips, choice)
    return Outcome(
        labelled,
        calibration,
        choice,
        before,
        after,
        granted,
        tuple(_moved(calibration, ground, rules, thresholds)),
        tuple(_warnings(calibration, clips)),
    )


def _counts(clips: Clips, ground: Ground) -> Counts:
    return Counts(
        recordings=len(np.unique(clips.group)),
        incident_recordings=len(clips.groups_with(1.0)),
        clips=len(clips),
        incident_clips=int(clips.truth.sum()),
        normal_seconds=sum(one.scores.watched_seconds for one in ground.normal),
    )


def _diagrams(clips: Clips, choice: Choice | None) -> tuple[Diagram | None, Diagram | None]:
    if not len(clips):
        return None, None
    plain = diagram(clips.score, clips, float(log_losses(clips.score, clips.truth).mean()))
    if choice is None or choice.method == "none":
        return plain, None
    trial = choice.trial
    if trial.probability is None or trial.log_loss is None:
        return plain, None
    return plain, diagram(trial.probability, clips, trial.log_loss)


def _moved(
    calibration: Calibration,
    ground: Ground,
    rules: EventRules,
    thresholds: Sequence[Threshold],
) -> Sequence[Moved]:
    same = [calibration.apply(one.raw) for one in thresholds]
    return [
        Moved(one.whose, one.now, value, effect_of(value, ground, rules))
        for one, value in zip(thresholds, same, strict=True)
    ]


def _warnings(calibration: Calibration, clips: Clips) -> Sequence[str]:
    found = []
    few = min(len(clips.groups_with(1.0)), len(clips.groups_without_incident()))
    if calibration.method != "none" and few < FEW:
        found.append(
            f"It rests on {calibration.counts.incident_recordings} recordings with an incident "
            f"and {calibration.counts.recordings - calibration.counts.incident_recordings} "
            "without: so few show the direction, not the second decimal."
        )
    if calibration.method in ("temperature", "platt") and calibration.slope <= 1.01 * LEAST_SLOPE:
        found.append(
            "These scores hardly tell incidents from the rest, or the wrong way round: no "
            "calibration can mend that. Look at edgewatch evaluate."
        )
    return found
