"""Strips: one recording's scores over time under each engine, and its pictures. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgewatch.tools.evaluation.evaluation import JudgedClip, Picture
from edgewatch.tools.evaluation.reporting.charts import LOOKS
from edgewatch.tools.evaluation.reporting.recording_answers import RecordingAnswer, RecordingAnswers
from edgewatch.tools.timeline import Timeline, lay_out

STEPS_OF_ALL = 24_000
"""Steps drawn on the whole page: some 3 MB."""
STEPS_OF_ONE = 300
LEAST_STEPS = 30
MOST_DRAWN = 300
"""Recordings with strips: the most instructive ones first; the tables hold all."""
MOST_PICTURES = 6
"""Of one recording."""


@dataclass(frozen=True, slots=True)
class Strip:
    """One engine's scores of one recording."""

    answer: RecordingAnswer
    look: int
    """The engine's colour, as in the charts."""
    timeline: Timeline[PlacedClip]


@dataclass(frozen=True, slots=True)
class StripsOfRecording:
    """All that is drawn of one recording."""

    anchor: str
    answers: RecordingAnswers
    strips: tuple[Strip, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class PlacedClip:
    """A clip as a timeline wants it."""

    clip: JudgedClip
    threshold: float

    @property
    def media_start_seconds(self) -> float:
        """When it begins."""
        return self.clip.start_seconds

    @property
    def media_end_seconds(self) -> float:
        """When it ends."""
        return self.clip.end_seconds

    @property
    def score(self) -> float:
        """P(anomaly)."""
        return self.clip.score

    @property
    def anomalous(self) -> bool:
        """Whether it reached the threshold."""
        return self.clip.score >= self.threshold


def draw_all(
    recordings: Sequence[RecordingAnswers], pictures: Mapping[str, Sequence[Picture]]
) -> list[StripsOfRecording]:
    """Lay out the first recordings. `pictures`: by the recording's name."""
    drawn = recordings[:MOST_DRAWN]
    engines = sum(len(one.answers) for one in drawn)
    steps = min(STEPS_OF_ONE, max(LEAST_STEPS, STEPS_OF_ALL // max(1, engines)))
    return [
        StripsOfRecording(
            anchor=f"r{number}",
            answers=one,
            strips=tuple(_strip(answer, look, steps) for look, answer in enumerate(one.answers)),
            pictures=tuple(pictures.get(one.recording.name, ()))[:MOST_PICTURES],
        )
        for number, one in enumerate(drawn, start=1)
    ]


def _strip(answer: RecordingAnswer, number: int, steps: int) -> Strip:
    recording, threshold = answer.recording, answer.run.threshold
    timeline = lay_out(
        [PlacedClip(one, threshold) for one in recording.clips],
        threshold=threshold,
        duration_seconds=max(
            recording.duration_seconds, *(one.end_seconds for one in recording.clips)
        ),
        events=recording.events,
        windows=recording.windows,
        max_steps=steps,
    )
    return Strip(answer, number % LOOKS, timeline)
