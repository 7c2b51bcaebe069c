"""What would have been reported: events that verdicts come to under a camera's rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from edgewatch.pipeline.events import EventPolicy, EventRules
from edgewatch.pipeline.types import CameraName, Event, Verdict


def reported(
    camera: CameraName, verdicts: Sequence[Verdict], rules: EventRules
) -> tuple[Event, ...]:
    """Return every step of every event of a recording, in order; it ends with its last verdict."""
    if not verdicts:
        return ()
    policy = EventPolicy(camera, rules, now_seconds=verdicts[0].start_seconds, replay=True)
    events = [event for verdict in verdicts for event in policy.judge(verdict)]
    return (*events, *policy.lose(verdicts[-1].end_seconds, "stream_ended"))
