"""Evidence that was kept and is there no more: quota or age took it, the event stays. Pure."""

from __future__ import annotations

from edgewatch.pipeline.types import Event, EvidenceRow

GONE = (
    "the evidence of this event is gone: it was older than evidence.max_age_days, or gave way to "
    "newer evidence within evidence.max_bytes"
)


def is_gone(event: Event, row: EvidenceRow | None) -> bool:
    """Whether evidence of an event was kept, and is on disk no more."""
    kept = event.video is not None or event.thumbnail is not None
    return row is None and kept and event.end_seconds is not None
