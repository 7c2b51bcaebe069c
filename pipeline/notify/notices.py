"""Notices: what is to be sent of an event beside MQTT, complete, and without a secret. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.messages import SCHEMA, encode, event_payload, iso_utc
from edgewatch.pipeline.types import CameraName, Event

WEBHOOK: Final = "webhook"
NTFY: Final = "ntfy"
WAYS: Final = (WEBHOOK, NTFY)
"""Every channel of the outbox beside MQTT's."""

MOST_WORDS = 1000
"""Characters of a description in a push message: a phone shows less."""
_HIGH, _LOW = 4, 2


@dataclass(frozen=True, slots=True)
class Notices:
    """Puts an event's step into the messages of each way."""

    ways: Sequence[str] = ()
    public_url: str | None = None
    """Where others reach the page; None: no links."""
    push_end: bool = False
    """Whether the end of an event is pushed as well."""

    def messages(self, event: Event) -> tuple[OutboxMessage, ...]:
        """Return what the outbox must send of a step that is sent at all."""
        made = []
        if WEBHOOK in self.ways:
            made.append(self._message(event, WEBHOOK, webhook_payload(event, self.public_url)))
        if NTFY in self.ways and (event.type == "new" or (self.push_end and event.type == "end")):
            made.append(self._message(event, NTFY, push_payload(event, self.public_url)))
        return tuple(made)

    def drill_failed(self, result: DrillResult) -> tuple[OutboxMessage, ...]:
        """Return what the outbox must send of a fire drill that failed: no event, and no drill."""
        camera = CameraName(result.camera)
        link = None if self.public_url is None else f"{self.public_url}/cameras/{result.camera}"
        notices = {WEBHOOK: failed_payload(result, link), NTFY: failed_push(result, link)}
        return tuple(
            OutboxMessage(camera, "", encode(payload), channel=way)
            for way, payload in notices.items()
            if way in self.ways
        )

    @staticmethod
    def _message(event: Event, way: str, payload: dict[str, Any]) -> OutboxMessage:
        return OutboxMessage(event.camera, "", encode(payload), channel=way)


def webhook_payload(event: Event, public_url: str | None) -> dict[str, Any]:
    """Return what a webhook is sent: the event as on MQTT, and where to see it."""
    return {**event_payload(event), "links": _links(event, public_url)}


def push_payload(event: Event, public_url: str | None) -> dict[str, Any]:
    """Return what a push message is made of; `thumbnail` lies below the folder of evidence."""
    ended = event.type == "end"
    return {
        "event_id": event.event_id,
        "type": event.type,
        "revision": event.revision,
        "title": f"{event.camera}: {'over' if ended else 'anomaly'}",
        "message": _sentence(event),
        "priority": _LOW if ended else _HIGH,
        "tags": ["white_check_mark" if ended else "rotating_light", event.camera],
        "click": _links(event, public_url)["event"],
        "thumbnail": event.thumbnail,
    }


def failed_payload(result: DrillResult, link: str | None) -> dict[str, Any]:
    """Return what a webhook is sent of a drill that failed; `event_id` is the drill's id."""
    return {
        "schema": SCHEMA,
        "event_id": result.drill_id,
        "type": "drill_failed",
        "revision": 1,
        "camera": result.camera,
        "time": iso_utc(result.started_seconds),
        "link": result.link,
        "reason": result.sentence,
        "cure": result.cure,
        "links": {"camera": link},
    }


def failed_push(result: DrillResult, link: str | None) -> dict[str, Any]:
    """Return what a push message about a drill that failed is made of."""
    return {
        "event_id": result.drill_id,
        "type": "drill_failed",
        "revision": 1,
        "title": result.headline,
        "message": f"{result.sentence}\n{result.cure}"[:MOST_WORDS],
        "priority": _HIGH,
        "tags": ["warning", result.camera],
        "click": link,
        "thumbnail": None,
    }


def _links(event: Event, public_url: str | None) -> dict[str, str | None]:
    if public_url is None:
        return {"event": None, "thumbnail": None, "video": None}
    evidence = f"{public_url}/evidence/{event.event_id}"
    return {
        "event": f"{public_url}/events/{event.event_id}",
        "thumbnail": f"{evidence}.jpg" if event.thumbnail else None,
        "video": f"{evidence}.mp4" if event.video else None,
    }


def _sentence(event: Event) -> str:
    """Say when, how sure, and what, as far as it is known: words often come later."""
    began = f"{datetime.fromtimestamp(event.start_seconds):%H:%M:%S}"
    when = f"since {began}"
    if event.end_seconds is not None:
        when = f"{began} to {datetime.fromtimestamp(event.end_seconds):%H:%M:%S}"
    words = " ".join(event.description.split())
    if len(words) > MOST_WORDS:
        words = f"{words[:MOST_WORDS].rstrip()} ..."
    figures = f"score {event.peak_score:.2f} (threshold {event.threshold:.2f}), {when}"
    return f"{words}\n{figures}" if words else figures
