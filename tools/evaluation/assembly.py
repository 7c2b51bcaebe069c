"""Judgements put together: truth of each clip, events under the rules in force. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.pipeline.events import EventRules
from edgewatch.pipeline.types import Label, Verdict
from edgewatch.tools.evaluation.costs import costs_of
from edgewatch.tools.evaluation.dataset import LabelledRecording
from edgewatch.tools.evaluation.evaluation import (
    ClipTruth,
    EngineRun,
    JudgedClip,
    JudgedRecording,
)
from edgewatch.tools.evaluation.judgement import ClipAnswer, Judgement, Seen
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.reported import reported
from edgewatch.tools.results import RecordingResult


@dataclass(frozen=True, slots=True)
class Rules:
    """What turns an engine's scores into labels and events."""

    name: str
    """The engine's, for people."""
    threshold: float
    events: EventRules


Account = tuple[LabelledRecording, Seen, Judgement]


def run_of(rules: Rules, accounts: Sequence[Account]) -> EngineRun:
    """Return an engine's run over recordings that all engines judged; at least one."""
    last = accounts[-1][2]
    return EngineRun(
        asked=rules.name,
        engine=last.engine,
        threshold=rules.threshold,
        open_after=rules.events.open_after,
        recordings=tuple(_judged(rules, *one) for one in accounts),
        costs=costs_of([(seen, judgement) for _, seen, judgement in accounts]),
        simulated=last.simulated,
    )


def truth_of(label: RecordingLabel, start_seconds: float, end_seconds: float) -> ClipTruth:
    """Return what is known of a stretch of a recording."""
    if label.label == "Normal":
        return "normal"
    if not label.windows:
        return "unmarked"
    touched = any(
        start_seconds < window.end_seconds and end_seconds > window.start_seconds
        for window in label.windows
    )
    return "incident" if touched else "quiet"


def _judged(
    rules: Rules, labelled: LabelledRecording, seen: Seen, judgement: Judgement
) -> JudgedRecording:
    recording, label = labelled.recording, labelled.label
    verdicts = tuple(_verdict(labelled, rules, judgement, one) for one in judgement.answers)
    result = RecordingResult(
        recording=recording,
        verdicts=verdicts,
        events=reported(recording.camera, verdicts, rules.events),
    )
    return JudgedRecording(
        name=recording.name,
        label=label.label,
        drive=label.drive,
        view=label.view,
        group=label.group,
        windows=label.windows,
        duration_seconds=max(result.duration_seconds, seen.duration_seconds or 0.0),
        clips=tuple(
            JudgedClip(
                clip_id=verdict.clip_id,
                start_seconds=verdict.media_start_seconds,
                end_seconds=verdict.media_end_seconds,
                score=verdict.score,
                truth=truth_of(label, verdict.media_start_seconds, verdict.media_end_seconds),
                uncertain=verdict.uncertain,
            )
            for verdict in verdicts
        ),
        events=result.spans,
        engine_seconds=sum(judgement.engine_ms) / 1000.0 if judgement.engine_ms else None,
    )


def _verdict(
    labelled: LabelledRecording, rules: Rules, judgement: Judgement, answer: ClipAnswer
) -> Verdict:
    """Make the verdict; its clock is the recording's own, the same whenever it is judged."""
    label: Label = "Anomaly" if answer.score >= rules.threshold else "Normal"
    camera = labelled.recording.camera
    return Verdict(
        clip_id=f"{camera}@{answer.start_seconds:.3f}",
        camera=camera,
        label=label,
        score=answer.score,
        threshold=rules.threshold,
        start_seconds=answer.start_seconds,
        end_seconds=answer.end_seconds,
        media_start_seconds=answer.start_seconds,
        media_end_seconds=answer.end_seconds,
        engine=judgement.engine,
        latency_ms=0.0,
        warming_up=answer.warming_up,
        uncertain=answer.uncertain,
        replay=True,
    )
