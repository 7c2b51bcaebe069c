"""False alarms: events that would have been sent of footage in which nothing happened."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.tools.evaluation.evaluation import JudgedRecording
from edgewatch.tools.evaluation.statistics.figures import FalseAlarms
from edgewatch.tools.evaluation.statistics.intervals import poisson_rate


def measure_false_alarms(recordings: Sequence[JudgedRecording]) -> FalseAlarms:
    """Count events of Normal recordings by hour of their footage.

    The interval takes alarms as independent of each other; a camera that keeps on alarming makes
    it too narrow.
    """
    normal = [one for one in recordings if one.label == "Normal"]
    events = sum(1 for one in normal for event in one.events if not event.suppressed_by)
    hours = sum(one.duration_seconds for one in normal) / 3600.0
    return FalseAlarms(events, hours, poisson_rate(events, hours))
