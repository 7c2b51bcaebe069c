"""Results: what a replay found in each recording and in all of them together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from edgewatch.pipeline.thumbnail import Thumbnail
from edgewatch.pipeline.types import Event, Label, SourceInfo, Verdict
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.metrics import Outcome, Statistics, measure
from edgewatch.tools.recordings import NotFound, Recording
from edgewatch.tools.spans import EventSpan


@dataclass(frozen=True, slots=True)
class RecordingResult:
    """One recording after its replay."""

    recording: Recording
    verdicts: tuple[Verdict, ...] = ()
    """Of every clip, in order of time."""
    events: tuple[Event, ...] = ()
    """Every snapshot, in order."""
    source: SourceInfo | None = None
    error: str | None = None
    """Why it was not judged to its end; what was judged before counts in no statistics."""
    label: RecordingLabel | None = None
    worst: tuple[Thumbnail, ...] = ()

    @property
    def peak(self) -> Verdict | None:
        """The verdict with the highest score, the first of equals."""
        return max(self.verdicts, key=lambda one: one.score, default=None)

    @property
    def duration_seconds(self) -> float:
        """Footage there is, or what was judged of it where the file does not tell."""
        judged = max((one.media_end_seconds for one in self.verdicts), default=0.0)
        declared = self.source.duration_seconds if self.source and not self.error else None
        return max(judged, declared or 0.0)

    @property
    def by_event(self) -> Label:
        """Anomaly if an event opened."""
        return "Anomaly" if self.events else "Normal"

    @property
    def by_clip(self) -> Label:
        """Anomaly if a clip reached the threshold."""
        return "Anomaly" if any(one.anomalous for one in self.verdicts) else "Normal"

    @property
    def outcome(self) -> Outcome | None:
        """What counts in the statistics; None without label, without clip or after an error."""
        if self.label is None or self.error or not self.verdicts:
            return None
        return Outcome(
            label=self.label.label,
            scores=tuple(one.score for one in self.verdicts),
            by_event=self.by_event,
            by_clip=self.by_clip,
            group=self.label.group,
        )

    @property
    def spans(self) -> tuple[EventSpan, ...]:
        """The events, in order of their first step."""
        steps: dict[str, list[Event]] = {}
        for event in self.events:
            steps.setdefault(event.event_id, []).append(event)
        return tuple(self._span(one) for one in steps.values())

    def _span(self, steps: list[Event]) -> EventSpan:
        last = steps[-1]
        end_seconds = last.end_seconds
        return EventSpan(
            start_seconds=self._media_seconds(last.start_seconds),
            end_seconds=(
                self.duration_seconds if end_seconds is None else self._media_seconds(end_seconds)
            ),
            peak_score=last.peak_score,
            clips=last.clips,
            description=next((one.description for one in reversed(steps) if one.description), ""),
            ended_by=last.ended_by or "",
            suppressed_by=last.suppressed_by or "",
        )

    def _media_seconds(self, time_seconds: float) -> float:
        """Return the place in the recording of a Unix time, by the nearest verdict's clock."""
        if not self.verdicts:
            return 0.0
        near = min(self.verdicts, key=lambda one: abs(one.start_seconds - time_seconds))
        return max(0.0, time_seconds - near.start_seconds + near.media_start_seconds)


@dataclass(frozen=True, slots=True)
class Replay:
    """A finished replay."""

    results: tuple[RecordingResult, ...]
    engine: str
    wall_seconds: float
    finished_seconds: float
    """Unix time."""
    open_after: int
    """Anomalous clips that open an event."""
    dropped: int = 0
    """Clips that were not judged though their recording was read; anything but 0 is a fault."""
    not_found: tuple[NotFound, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings in force, by dotted name, for the record; without secrets."""

    @property
    def failed(self) -> tuple[NotFound, ...]:
        """What could not be read, or not to its end, and why."""
        broken = (NotFound(one.recording.name, one.error) for one in self.results if one.error)
        return (*self.not_found, *broken)

    @property
    def clips(self) -> int:
        """Clips judged."""
        return sum(len(one.verdicts) for one in self.results)

    @property
    def events(self) -> int:
        """Events that opened."""
        return sum(len({step.event_id for step in one.events}) for one in self.results)

    @property
    def footage_seconds(self) -> float:
        """Footage replayed."""
        return sum(one.duration_seconds for one in self.results)

    @property
    def speed(self) -> float | None:
        """Footage seconds a second; None if no time passed."""
        return self.footage_seconds / self.wall_seconds if self.wall_seconds > 0 else None

    @property
    def statistics(self) -> tuple[Statistics, ...]:
        """How well the answers fit the labels; empty without labels."""
        return measure(one.outcome for one in self.results if one.outcome is not None)

    @property
    def uncounted(self) -> int:
        """Labelled recordings that are in no statistics, because they were not (fully) judged."""
        return sum(1 for one in self.results if one.label and not one.outcome)

    @property
    def eventless(self) -> int:
        """Anomalous recordings of fewer clips than an event needs: missed whatever they show."""
        outcomes = (one.outcome for one in self.results)
        return sum(
            1
            for one in outcomes
            if one and one.label == "Anomaly" and len(one.scores) < self.open_after
        )


def worst_first(results: Iterable[RecordingResult]) -> list[RecordingResult]:
    """Sort by the worst clip's score, highest first; what has no clip comes last."""
    return sorted(results, key=lambda one: -one.peak.score if one.peak else 1.0)


def offset(seconds: float) -> str:
    """Write a place in a recording: 0:05.0, 12:30.5, 1:02:03.0."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{head}:{rest // 10:02d}.{rest % 10}"


def notes(replay: Replay) -> list[str]:
    """Say what a reader must know to read the statistics rightly; empty without labels."""
    if not replay.statistics:
        return []
    overall = replay.statistics[0]
    count = overall.by_event.total
    kinds = f"{overall.normal} Normal, {overall.anomalous} Anomaly"
    found = [
        f"{counted(count, 'labelled recording')} ({kinds}): one judged otherwise moves accuracy by "
        f"{100.0 / count:.1f} points."
    ]
    if min(overall.normal, overall.anomalous) < SMALL_SAMPLE:
        found[0] += " So few show faults, not quality: small differences are chance."
    if replay.eventless:
        found.append(
            f"{counted(replay.eventless, 'anomalous recording')} shorter than the "
            f"{replay.open_after} clips an event needs: missed by event whatever the scores."
        )
    if replay.uncounted:
        found.append(
            f"{counted(replay.uncounted, 'labelled recording')} not judged to the end, and in no "
            "figure here."
        )
    return found


def counted(number: int, noun: str) -> str:
    """Write a number of things: 1 clip, 2 clips."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


SMALL_SAMPLE = 100
"""Recordings of each label below which small differences between figures mean nothing."""
