"""Delays: how soon after its begin an incident is reported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgewatch.tools.evaluation.evaluation import JudgedRecording
from edgewatch.tools.evaluation.statistics.figures import Delays, Estimate
from edgewatch.tools.evaluation.statistics.intervals import median, share
from edgewatch.tools.evaluation.statistics.sample import Unit
from edgewatch.tools.labels import Window
from edgewatch.tools.spans import EventSpan

_SAME_SECONDS = 0.01
"""Times of clips and events closer than this are the same."""


@dataclass(frozen=True, slots=True)
class _Report:
    """One event of one view."""

    span: EventSpan
    told_seconds: float
    """When it opened, so was sent."""


def measure_delays(units: Sequence[Unit], threshold: float, open_after: int) -> Delays:
    """Measure all labelled windows; views of a drive share theirs, and the first to tell counts.

    An event is told of when the clip that opens it has ended: the `open_after`-th anomalous one.
    The engine's own time comes on top (costs). Events that were never sent report nothing.
    """
    incidents = found = already = 0
    delays: list[float] = []
    for unit in units:
        reports = [
            report for one in unit.recordings for report in _reports(one, threshold, open_after)
        ]
        for window in _united(w for one in unit.recordings for w in one.windows):
            incidents += 1
            meeting = [one for one in reports if _meets(one.span, window)]
            told = [one.told_seconds - window.start_seconds for one in meeting]
            after = [seconds for seconds in told if seconds >= 0]
            if after:
                found += 1
                delays.append(min(after))
            elif told:
                already += 1
    return _delays(incidents, found, already, sorted(delays))


def _delays(incidents: int, detected: int, already: int, seconds: list[float]) -> Delays:
    reason = ""
    if not incidents:
        reason = "no incident has a labelled window"
    elif not detected:
        reason = "no incident was reported after it began"
    values = np.array(seconds, dtype=np.float64)
    return Delays(
        incidents=incidents,
        detected=detected,
        already_open=already,
        detected_share=share(detected + already, incidents, reason),
        median_seconds=median(values) if seconds else Estimate(None, reason=reason),
        p90_seconds=float(np.quantile(values, 0.9)) if seconds else None,
        worst_seconds=seconds[-1] if seconds else None,
        seconds=tuple(seconds),
        reason=reason,
    )


def _reports(one: JudgedRecording, threshold: float, open_after: int) -> list[_Report]:
    anomalous = [clip for clip in one.clips if clip.score >= threshold]
    found = []
    for span in one.events:
        if span.suppressed_by:
            continue
        since = span.start_seconds - _SAME_SECONDS
        opening = [clip for clip in anomalous if clip.start_seconds >= since][:open_after]
        told = max((clip.end_seconds for clip in opening), default=span.start_seconds)
        found.append(_Report(span, told))
    return found


def _meets(span: EventSpan, window: Window) -> bool:
    return span.start_seconds < window.end_seconds and span.end_seconds > window.start_seconds


def _united(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap: views of a drive show the same incident."""
    joined: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start_seconds):
        if joined and window.start_seconds <= joined[-1].end_seconds:
            last = joined.pop()
            end_seconds = max(last.end_seconds, window.end_seconds)
            joined.append(Window(last.start_seconds, end_seconds))
        else:
            joined.append(window)
    return joined
