"""Measures: an engine's answers to figures with honest intervals, and engines held together."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.tools.evaluation.evaluation import EngineRun, JudgedRecording
from edgewatch.tools.evaluation.statistics.agreement import compare_runs
from edgewatch.tools.evaluation.statistics.controls import (
    pre_incident_control,
    quiet_control,
    ranking_control,
)
from edgewatch.tools.evaluation.statistics.delays import measure_delays
from edgewatch.tools.evaluation.statistics.false_alarms import measure_false_alarms
from edgewatch.tools.evaluation.statistics.figures import (
    Agreement,
    Answers,
    Control,
    CurvePoint,
    Delays,
    DeLong,
    DifferingClip,
    EngineMeasures,
    Estimate,
    FalseAlarms,
    GroupMeasures,
    LevelMeasures,
    McNemar,
    PairComparison,
    ReliabilityBin,
)
from edgewatch.tools.evaluation.statistics.levels import measure_clips, measure_units
from edgewatch.tools.evaluation.statistics.sample import units_of
from edgewatch.tools.results import SMALL_SAMPLE

__all__ = [
    "Agreement",
    "Answers",
    "Control",
    "CurvePoint",
    "DeLong",
    "Delays",
    "DifferingClip",
    "EngineMeasures",
    "Estimate",
    "FalseAlarms",
    "GroupMeasures",
    "LevelMeasures",
    "McNemar",
    "PairComparison",
    "ReliabilityBin",
    "compare_runs",
    "measure_run",
]


RESAMPLES = 2000


def measure_run(run: EngineRun, *, seed: int = 0, resamples: int = RESAMPLES) -> EngineMeasures:
    """Return all figures of one engine: of all recordings, then of each group if there are several.

    The same `seed` gives the same intervals. `resamples`: draws of the bootstrap behind some of
    the intervals; fewer are made where there are very many recordings (`LevelMeasures.resamples`
    says how many). Raises ConfigError if scikit-learn or scipy is missing.
    """
    names = sorted({one.group for one in run.recordings})
    groups = [name for name in names if name] if len(names) > 1 else []
    measured = [_measure("", run.recordings, run, seed, resamples)]
    for name in groups:
        members = [one for one in run.recordings if one.group == name]
        measured.append(_measure(name, members, run, seed, resamples))
    return EngineMeasures(
        asked=run.asked,
        engine=run.engine,
        threshold=run.threshold,
        simulated=run.simulated,
        groups=tuple(measured),
        seed=seed,
        notes=_notes(measured[0], run),
    )


def _measure(
    group: str, recordings: Sequence[JudgedRecording], run: EngineRun, seed: int, resamples: int
) -> GroupMeasures:
    units = units_of(recordings)
    return GroupMeasures(
        group=group,
        recordings=measure_units(units, run.threshold, seed=seed, resamples=resamples),
        clips=measure_clips(units, run.threshold, seed=seed, resamples=resamples),
        delays=measure_delays(units, run.threshold, run.open_after),
        false_alarms=measure_false_alarms(recordings),
        pre_incident=pre_incident_control(units, seed=seed, resamples=resamples),
        quiet=quiet_control(units, seed=seed, resamples=resamples),
        ranking=ranking_control(units),
    )


def _notes(overall: GroupMeasures, run: EngineRun) -> tuple[str, ...]:
    found = []
    counted = overall.recordings
    kind = f"{counted.level}s"
    if min(counted.anomalous, counted.normal) < SMALL_SAMPLE:
        found.append(
            f"Few {kind}: {counted.anomalous} anomalous, {counted.normal} normal. The intervals "
            "say how far the figures can be from the truth; the figures alone say little."
        )
    if overall.clips.left_out:
        found.append(
            f"{overall.clips.left_out} clips of anomalous recordings without a labelled window "
            "are in no figure of clips: nobody said which of them show the incident."
        )
    if not overall.clips.anomalous and counted.anomalous:
        found.append(
            "No clip is known to show an incident: label windows (anomaly_start_s, "
            "anomaly_end_s) for figures of clips, delays and controls."
        )
    short = sum(
        1 for one in run.recordings if one.label == "Anomaly" and len(one.clips) < run.open_after
    )
    if short:
        found.append(
            f"{short} anomalous recordings have fewer clips than an event needs "
            f"({run.open_after}): by event they are missed whatever they show."
        )
    lower = overall.recordings.answers
    if (
        lower.f1.value is not None
        and lower.always_anomaly_f1.value is not None
        and lower.f1.value <= lower.always_anomaly_f1.value
    ):
        found.append(
            f"F1 of {kind} ({lower.f1.value:.2f}) is no better than that of always answering "
            f"Anomaly ({lower.always_anomaly_f1.value:.2f})."
        )
    return tuple(found)
