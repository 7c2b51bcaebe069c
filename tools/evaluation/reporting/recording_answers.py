"""Recording answers: what each engine said of one recording, side by side. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import (
    EngineRun,
    Evaluation,
    JudgedClip,
    JudgedRecording,
)
from edgewatch.tools.evaluation.reporting.tables import (
    Cell,
    Column,
    Table,
    Tone,
    missing,
    table,
    word,
)
from edgewatch.tools.results import offset


@dataclass(frozen=True, slots=True)
class RecordingAnswer:
    """What one engine said of one recording."""

    run: EngineRun
    recording: JudgedRecording

    @property
    def peak(self) -> JudgedClip:
        """The worst clip, the first of equals."""
        return max(self.recording.clips, key=lambda one: one.score)

    @property
    def answer(self) -> Label:
        """Anomaly if a clip reached the threshold."""
        return "Anomaly" if self.peak.score >= self.run.threshold else "Normal"

    @property
    def right(self) -> bool:
        """Whether the answer is the label."""
        return self.answer == self.recording.label

    @property
    def outcome(self) -> tuple[Tone, str]:
        """Return how the answer met the label: (tone, words)."""
        match self.recording.label, self.answer:
            case "Anomaly", "Normal":
                return "bad", "missed"
            case "Normal", "Anomaly":
                return "bad", "false alarm"
        return "good", "right"


@dataclass(frozen=True, slots=True)
class RecordingAnswers:
    """One recording under each engine."""

    answers: tuple[RecordingAnswer, ...]
    """In the engines' order, at least one."""

    @property
    def recording(self) -> JudgedRecording:
        """The recording: what does not depend on engines is the same in each answer."""
        return self.answers[0].recording

    @property
    def differ(self) -> bool:
        """Whether engines answer differently."""
        return len({one.answer for one in self.answers}) > 1

    @property
    def wrong(self) -> int:
        """How many engines are wrong."""
        return sum(not one.right for one in self.answers)


def side_by_side(evaluation: Evaluation) -> list[RecordingAnswers]:
    """Return each recording under each engine, in the order of the evaluation."""
    return [
        RecordingAnswers(
            tuple(
                RecordingAnswer(run, recording)
                for run, recording in zip(evaluation.runs, recordings, strict=True)
            )
        )
        for recordings in zip(*(one.recordings for one in evaluation.runs), strict=True)
        if all(one.clips for one in recordings)
    ]


def instructive_first(recordings: Sequence[RecordingAnswers]) -> list[RecordingAnswers]:
    """Sort: those on which engines differ, those that all got wrong, then the others."""
    return sorted(recordings, key=lambda one: (not one.differ, not one.wrong))


def answers_table(recordings: Sequence[RecordingAnswers]) -> Table:
    """Tell name, label, and each engine's answer and time."""
    runs = [one.run for one in recordings[0].answers] if recordings else []
    engines = (
        column
        for run in runs
        for column in (
            Column(run.asked, numeric=False, hint=run.engine),
            Column("time", hint="What the engine took for all its clips."),
        )
    )
    columns = (Column("recording", numeric=False), Column("label", numeric=False), *engines)
    rows = (
        [
            word(one.recording.name),
            Cell(one.recording.label, _belongs(one.recording)),
            *(cell for answer in one.answers for cell in _cells(answer)),
        ]
        for one in recordings
    )
    return table("Recordings", columns, rows)


def _cells(answer: RecordingAnswer) -> Iterator[Cell]:
    tone, words = answer.outcome
    peak = answer.peak
    events = len(answer.recording.events)
    reported = f", {events} event{'' if events == 1 else 's'}" if events else ""
    beside = f"{peak.score:.2f} at {offset(peak.start_seconds)}{reported}"
    yield Cell(answer.answer, beside, words, tone)
    seconds = answer.recording.engine_seconds
    yield missing("not measured") if seconds is None else Cell(f"{seconds:.2f} s")


def _belongs(recording: JudgedRecording) -> str:
    view = f"{recording.drive} {recording.view}".strip()
    return ", ".join(filter(None, (recording.group, view)))
