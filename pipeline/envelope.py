"""The envelope of a message: what MQTT 5 says around a payload, so that nobody need open it. Pure.

Source: MQTT 5.0, 3.3.2.3 (message expiry interval, payload format, content type, user property).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edgewatch.pipeline.drill.names import camera_of
from edgewatch.pipeline.messages import SCHEMA, Topics
from edgewatch.pipeline.types import CameraName

EXPIRY_SECONDS: Final = {
    "verdict": 60,
    "stats": 60,
    "coverage": 86_400,
    "events": 7 * 86_400,
}
DRILL_EXPIRY_SECONDS: Final = {"events": 3600}
"""How long a message is worth delivering, by kind. States and settings hold until the next one."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Properties of one message; None where MQTT 5 should say nothing."""

    content_type: str
    text: bool
    """The payload is UTF-8."""
    expiry_seconds: int | None = None
    user: tuple[tuple[str, str], ...] = ()
    """User properties, in order: `schema`, `type`, and of a camera's messages `camera`."""


def envelope_of(topics: Topics, topic: str) -> Envelope:
    """Return the envelope of what is published on a topic, ours or Home Assistant's."""
    kind, name = topics.kind_of(topic)
    camera = camera_of(CameraName(name))
    drill = camera != name
    if kind == "status":
        return Envelope("text/plain", text=True)
    if not kind:
        return Envelope("application/json", text=True)
    user = (
        ("schema", str(SCHEMA)),
        ("type", kind),
        *([("camera", camera)] if camera else []),
        *([("replay", "true")] if topics.replay else []),
        *([("drill", "true")] if drill else []),
    )
    if kind == "thumbnail":
        return Envelope("image/jpeg", text=False, user=user)
    expiry_seconds = (DRILL_EXPIRY_SECONDS if drill else EXPIRY_SECONDS).get(kind)
    return Envelope("application/json", text=True, expiry_seconds=expiry_seconds, user=user)
