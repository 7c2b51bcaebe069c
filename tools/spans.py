"""Spans: events of a recording in its own time. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventSpan:
    """One event of a recording from its first to its last step, in the recording's own time."""

    start_seconds: float
    end_seconds: float
    peak_score: float
    clips: int
    description: str
    ended_by: str
    """Empty if no end was seen."""
    suppressed_by: str
    """Not empty if the event was recorded but never sent."""
