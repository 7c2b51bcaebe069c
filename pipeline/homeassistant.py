"""Home Assistant discovery: what makes each camera a device there, with its entities. Pure.

One message a camera, on `<prefix>/device/<node>/<camera>/config`: all entities come and go
together, and an empty message takes the whole device away.
Source: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload and
https://github.com/home-assistant/core, homeassistant/components/mqtt (schemas.py, discovery.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.types import EventType, HealthState

BIRTH_TOPIC: Final = "status"
"""Below the prefix: where Home Assistant says `online` when it starts."""
SNOOZE_SECONDS: Final = 600
"""What its snooze button asks for."""

Component = dict[str, Any]
"""One entity as Home Assistant wants it described."""

# The template of an entity gets the payload of its topic as `value_json`. "None" makes a binary
# sensor or a timestamp unknown.
_STATE = "{{ {'anomaly': 'ON', 'normal': 'OFF'}.get(value_json.state, 'None') }}"
_WATCHED = "{{ 'offline' if value_json.state == 'unknown' else 'online' }}"
_EVENT = (
    "{{ dict(event_type=value_json.type, event_id=value_json.event_id, "
    "revision=value_json.revision, camera=value_json.camera, score=value_json.score, "
    "peak_score=value_json.peak_score, start=value_json.start, end=value_json.end, "
    "description=value_json.description, ended_by=value_json.ended_by, "
    "thumbnail=value_json.evidence.thumbnail, video=value_json.evidence.video) | to_json }}"
)


@dataclass(frozen=True, slots=True)
class HomeAssistant:
    """Where Home Assistant looks for devices, and what those of this service show there."""

    prefix: str
    """Its discovery prefix, `homeassistant` unless somebody changed it there."""
    version: str
    """Of edgewatch."""
    thumbnails: bool
    """Whether pictures are published: only then is there an image."""
    page_url: str | None = None
    """Where people reach the page, to which the device then links."""

    @property
    def birth_topic(self) -> str:
        """Where it says `online`."""
        return f"{self.prefix}/{BIRTH_TOPIC}"

    def topic(self, topics: Topics, camera: str) -> str:
        """Return where a camera is announced.

        By base topic and camera, which name the camera's topics too; the service's id may change.
        """
        return f"{self.prefix}/device/{node_of(topics.base)}/{camera}/config"

    def payload(self, topics: Topics, camera: str) -> dict[str, Any]:
        """Return the announcement of a camera: device, origin, components."""
        identifier = f"{node_of(topics.base)}.{camera}"
        components = _components(topics, camera)
        if self.thumbnails:
            components["thumbnail"] = {
                "p": "image",
                "name": "Last event",
                "image_topic": topics.thumbnail(camera),
                "content_type": "image/jpeg",
            }
        return {
            "dev": {
                "ids": [identifier],
                "name": f"edgewatch {camera}",
                "mf": "edgewatch",
                "mdl": "Watched camera",
                "sw": self.version,
                **({"cu": f"{self.page_url}/cameras/{camera}"} if self.page_url else {}),
            },
            "o": {"name": "edgewatch", "sw": self.version},
            "availability": [_available(topics)],
            "qos": 1,
            "cmps": {
                name: {**component, "unique_id": f"{identifier}.{name}"}
                for name, component in components.items()
            },
        }


def node_of(base: str) -> str:
    """Return a base topic as Home Assistant allows it in a topic and ids: `[a-zA-Z0-9_-]+`.

    Two base topics never give the same.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", base)
    if plain == base:
        return base
    return f"{plain}_{hashlib.sha256(base.encode()).hexdigest()[:8]}"


def _available(topics: Topics) -> Mapping[str, str]:
    return {
        "topic": topics.status,
        "payload_available": "online",
        "payload_not_available": "offline",
    }


def _components(topics: Topics, camera: str) -> dict[str, Component]:
    state, settings = topics.state(camera), topics.settings(camera)
    return {
        "anomaly": {
            "p": "binary_sensor",
            "name": "Anomaly",
            "device_class": "problem",
            "state_topic": state,
            "value_template": _STATE,
            "json_attributes_topic": state,
        },
        "score": {
            "p": "sensor",
            "name": "Score",
            "icon": "mdi:gauge",
            "state_class": "measurement",
            "suggested_display_precision": 2,
            "state_topic": topics.verdict(camera),
            "value_template": "{{ value_json.score }}",
            # A score is worth something only while clips are judged.
            "availability_mode": "all",
            "availability": [_available(topics), {"topic": state, "value_template": _WATCHED}],
        },
        "health": {
            "p": "sensor",
            "name": "Health",
            "device_class": "enum",
            "options": list(get_args(HealthState)),
            "entity_category": "diagnostic",
            "state_topic": topics.health(camera),
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": topics.health(camera),
        },
        "event": {
            "p": "event",
            "name": "Event",
            "icon": "mdi:alert",
            "event_types": list(get_args(EventType)),
            "state_topic": topics.events(camera),
            "value_template": _EVENT,
        },
        **_controls(topics, camera, settings),
    }


def _controls(topics: Topics, camera: str, settings: str) -> dict[str, Component]:
    return {
        "enabled": {
            "p": "switch",
            "name": "Enabled",
            "icon": "mdi:eye",
            "state_topic": settings,
            "value_template": "{{ 'ON' if value_json.enabled else 'OFF' }}",
            "command_topic": topics.command(camera, "enabled"),
            "payload_on": "ON",
            "payload_off": "OFF",
        },
        "threshold": {
            "p": "number",
            "name": "Threshold",
            "icon": "mdi:tune-variant",
            "entity_category": "config",
            "min": 0,
            "max": 1,
            "step": 0.01,
            "mode": "slider",
            "state_topic": settings,
            "value_template": "{{ value_json.threshold }}",
            "command_topic": topics.command(camera, "threshold"),
        },
        "snooze": _button(
            "Snooze 10 min", "mdi:bell-sleep", topics, camera, "snooze_seconds", str(SNOOZE_SECONDS)
        ),
        "end_snooze": _button("End snooze", "mdi:bell", topics, camera, "snooze_seconds", "0"),
        "snoozed_until": {
            "p": "sensor",
            "name": "Snoozed until",
            "device_class": "timestamp",
            "entity_category": "diagnostic",
            "state_topic": settings,
            "value_template": "{{ value_json.snoozed_until }}",
        },
        "feedback_true": _button(
            "Last alert was right", "mdi:thumb-up", topics, camera, "feedback", "true"
        ),
        "feedback_false": _button(
            "Last alert was false", "mdi:thumb-down", topics, camera, "feedback", "false"
        ),
    }


def _button(name: str, icon: str, topics: Topics, camera: str, key: str, payload: str) -> Component:
    return {
        "p": "button",
        "name": name,
        "icon": icon,
        "command_topic": topics.command(camera, key),
        "payload_press": payload,
    }
