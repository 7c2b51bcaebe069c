"""Events and their messages for tests."""

from __future__ import annotations

from edgewatch.pipeline.store import OutboxMessage
from edgewatch.pipeline.types import CameraName, Event, EventType
from tests.fakes.clips import FRONT


def make_event(
    event_id: str,
    start_seconds: float = 1_000.0,
    *,
    end_seconds: float | None = None,
    camera: CameraName = FRONT,
    revision: int = 1,
    description: str = "",
) -> Event:
    """One step of an event; it is over if it has an end."""
    step: EventType = "end" if end_seconds is not None else "new" if revision == 1 else "update"
    return Event(
        event_id=event_id,
        type=step,
        revision=revision,
        camera=camera,
        score=0.8,
        peak_score=0.9,
        peak_clip_id="clip-1",
        threshold=0.5,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        clips=2,
        engine="fake-1",
        description=description,
        ended_by="quiet" if end_seconds is not None else None,
    )


def make_message(event: Event) -> OutboxMessage:
    """What an event's step sends; the payload names event and revision."""
    payload = f"{event.event_id}/{event.revision}".encode()
    return OutboxMessage(event.camera, f"edgewatch/{event.camera}/events", payload)
