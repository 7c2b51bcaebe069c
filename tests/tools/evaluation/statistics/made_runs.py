"""Engine runs made by hand for the statistics' tests."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.pipeline.types import Label
from edgewatch.tools.evaluation.evaluation import (
    ClipTruth,
    EngineRun,
    JudgedClip,
    JudgedRecording,
)
from edgewatch.tools.labels import Window
from edgewatch.tools.spans import EventSpan

CLIP_SECONDS = 5.0


def event(start: float, end: float, *, suppressed_by: str = "") -> EventSpan:
    return EventSpan(start, end, 0.9, 2, "", "quiet", suppressed_by)


def recording(
    name: str,
    label: Label,
    scores: Sequence[float],
    *,
    windows: Sequence[tuple[float, float]] = (),
    events: Sequence[EventSpan] = (),
    drive: str = "",
    view: str = "",
    group: str = "",
) -> JudgedRecording:
    """A recording of clips of 5 s, end to end; each clip's truth follows from the windows."""
    marked = tuple(Window(*one) for one in windows)
    clips = []
    for index, score in enumerate(scores):
        start, end = index * CLIP_SECONDS, (index + 1) * CLIP_SECONDS
        truth = _truth(label, marked, start, end)
        clips.append(JudgedClip(f"{name}-{index}", start, end, score, truth))
    return JudgedRecording(
        name=name,
        label=label,
        drive=drive,
        view=view,
        group=group,
        windows=marked,
        duration_seconds=len(scores) * CLIP_SECONDS,
        clips=tuple(clips),
        events=tuple(events),
    )


def run(
    recordings: Sequence[JudgedRecording],
    *,
    asked: str = "a",
    threshold: float = 0.5,
    open_after: int = 2,
) -> EngineRun:
    return EngineRun(asked, f"fake:{asked}", threshold, open_after, tuple(recordings))


def _truth(label: Label, windows: Sequence[Window], start: float, end: float) -> ClipTruth:
    if label == "Normal":
        return "normal"
    if not windows:
        return "unmarked"
    touched = any(start < one.end_seconds and end > one.start_seconds for one in windows)
    return "incident" if touched else "quiet"
