"""Home Assistant's rules for discovery, as a JSON Schema written by hand from its publications.

Sources: https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload and the pages
`<component>.mqtt` beside it; for what the pages leave open, the checks that Home Assistant runs:
https://github.com/home-assistant/core/tree/dev/homeassistant/components/mqtt (schemas.py,
binary_sensor.py, button.py, event.py, image.py, number.py, sensor.py, switch.py).

Stricter than Home Assistant in one way: it drops keys that it does not know, here they are errors.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

TOPIC = {"type": "string", "pattern": r"^[^+#\0]+$", "maxLength": 65535}
TEXT = {"type": "string", "minLength": 1}
ICON = {"type": "string", "pattern": "^[a-z]+:[a-z0-9-]+$"}

AVAILABILITY = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["topic"],
        "additionalProperties": False,
        "properties": {
            "topic": TOPIC,
            "payload_available": TEXT,
            "payload_not_available": TEXT,
            "value_template": TEXT,
        },
    },
}

SHARED: dict[str, Any] = {
    "availability": AVAILABILITY,
    "availability_mode": {"enum": ["all", "any", "latest"]},
    "availability_topic": TOPIC,
    "availability_template": TEXT,
    "payload_available": TEXT,
    "payload_not_available": TEXT,
    "qos": {"enum": [0, 1, 2]},
    "encoding": {"type": "string"},
}

COMMON: dict[str, Any] = {
    **SHARED,
    "p": {"type": "string"},
    "unique_id": TEXT,
    "name": {"type": ["string", "null"], "minLength": 1},
    "icon": ICON,
    "entity_category": {"enum": ["config", "diagnostic"]},
    "enabled_by_default": {"type": "boolean"},
    "entity_picture": {"type": "string"},
    "default_entity_id": {"type": "string", "pattern": r"^[a-z_]+\.[a-z0-9_]+$"},
    "json_attributes_topic": TOPIC,
    "json_attributes_template": TEXT,
}
READ: dict[str, Any] = {"state_topic": TOPIC, "value_template": TEXT}
WRITTEN: dict[str, Any] = {
    "command_topic": TOPIC,
    "retain": {"type": "boolean"},
    "optimistic": {"type": "boolean"},
}

# https://www.home-assistant.io/integrations/binary_sensor/#device-class
BINARY_SENSOR_CLASSES = [
    *("battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door"),
    *("garage_door", "gas", "heat", "light", "lock", "moisture", "motion", "moving", "occupancy"),
    *("opening", "plug", "power", "presence", "problem", "running", "safety", "smoke", "sound"),
    *("tamper", "update", "vibration", "window"),
]
# https://www.home-assistant.io/integrations/event/#device-class and so on for the others
EVENT_CLASSES = ["button", "doorbell", "motion"]
BUTTON_CLASSES = ["identify", "restart", "update"]
SWITCH_CLASSES = ["outlet", "switch"]
# https://www.home-assistant.io/integrations/sensor/#device-class: those without a unit of their
# own; ours have none.
SENSOR_CLASSES = ["date", "enum", "timestamp"]


def _component(platform: str, required: list[str], **keys: Any) -> dict[str, Any]:
    return {
        "if": {"properties": {"p": {"const": platform}}},
        "then": {
            "required": ["unique_id", *required],
            "additionalProperties": False,
            "properties": {**COMMON, **keys},
        },
    }


COMPONENT: dict[str, Any] = {
    "type": "object",
    "required": ["p"],
    "properties": {
        "p": {"enum": ["binary_sensor", "button", "event", "image", "number", "sensor", "switch"]}
    },
    # One way of telling availability, never two.
    "not": {"required": ["availability", "availability_topic"]},
    "allOf": [
        _component(
            "binary_sensor",
            ["state_topic"],
            **READ,
            device_class={"enum": [*BINARY_SENSOR_CLASSES, None]},
            expire_after={"type": "integer", "minimum": 0},
            force_update={"type": "boolean"},
            off_delay={"type": "integer", "minimum": 0},
            payload_on=TEXT,
            payload_off=TEXT,
        ),
        _component(
            "button",
            ["command_topic"],
            command_topic=TOPIC,
            command_template=TEXT,
            device_class={"enum": [*BUTTON_CLASSES, None]},
            payload_press=TEXT,
            retain={"type": "boolean"},
        ),
        _component(
            "event",
            ["state_topic", "event_types"],
            **READ,
            device_class={"enum": EVENT_CLASSES},
            event_types={"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True},
        ),
        {
            **_component(
                "image",
                [],
                content_type={"type": "string", "pattern": "^image/"},
                image_encoding={"const": "b64"},
                image_topic=TOPIC,
                url_topic=TOPIC,
                url_template=TEXT,
            ),
        },
        {
            "if": {"properties": {"p": {"const": "image"}}},
            "then": {
                "oneOf": [{"required": ["image_topic"]}, {"required": ["url_topic"]}],
                "not": {"required": ["content_type", "url_topic"]},
            },
        },
        _component(
            "number",
            ["command_topic"],
            **READ,
            **WRITTEN,
            command_template=TEXT,
            device_class={"type": ["string", "null"]},
            min={"type": "number"},
            max={"type": "number"},
            step={"type": "number", "minimum": 0.001},
            mode={"enum": ["auto", "box", "slider"]},
            payload_reset=TEXT,
            unit_of_measurement={"type": ["string", "null"]},
        ),
        _component(
            "sensor",
            ["state_topic"],
            **READ,
            device_class={"enum": [*SENSOR_CLASSES, None]},
            expire_after={"type": "integer", "minimum": 0},
            force_update={"type": "boolean"},
            last_reset_value_template=TEXT,
            options={"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True},
            state_class={"enum": ["measurement", "total", "total_increasing", None]},
            suggested_display_precision={"type": "integer", "minimum": 0},
            unit_of_measurement={"type": ["string", "null"]},
        ),
        {
            # Options are for enumerations, which are no measurements and have no unit.
            "if": {"required": ["options"]},
            "then": {
                "required": ["device_class"],
                "properties": {"device_class": {"const": "enum"}},
                "not": {
                    "anyOf": [{"required": ["state_class"]}, {"required": ["unit_of_measurement"]}]
                },
            },
        },
        {
            "if": {
                "required": ["device_class"],
                "properties": {"device_class": {"const": "enum"}},
            },
            "then": {"required": ["options"]},
        },
        _component(
            "switch",
            ["command_topic"],
            **READ,
            **WRITTEN,
            command_template=TEXT,
            device_class={"enum": [*SWITCH_CLASSES, None]},
            payload_on=TEXT,
            payload_off=TEXT,
            state_on=TEXT,
            state_off=TEXT,
        ),
    ],
}

DEVICE: dict[str, Any] = {
    "type": "object",
    "required": ["dev", "o", "cmps"],
    "additionalProperties": False,
    "not": {"required": ["availability", "availability_topic"]},
    "properties": {
        **SHARED,
        "state_topic": TOPIC,
        "command_topic": TOPIC,
        "dev": {
            "type": "object",
            "anyOf": [{"required": ["ids"]}, {"required": ["cns"]}],
            "additionalProperties": False,
            "properties": {
                "ids": {"type": "array", "items": TEXT, "minItems": 1},
                "cns": {"type": "array"},
                **dict.fromkeys(("name", "mf", "mdl", "mdl_id", "hw", "sn", "sw", "sa"), TEXT),
                "via_device": TEXT,
                "cu": {"type": "string", "pattern": "^(https?|homeassistant)://"},
            },
        },
        "o": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": TEXT,
                "sw": TEXT,
                "url": {"type": "string", "pattern": "^https?://"},
            },
        },
        "cmps": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": "^[a-zA-Z0-9_-]+$"},
            "additionalProperties": COMPONENT,
        },
    },
}

# What discovery.py takes for a topic, below the prefix.
TOPIC_PATTERN = r"device/(?:[a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config"


def validate_device(payload: object) -> None:
    """Raise jsonschema.ValidationError unless Home Assistant would take this announcement."""
    Draft202012Validator(DEVICE).validate(payload)
    assert isinstance(payload, dict)
    numbers = [one for one in payload["cmps"].values() if one["p"] == "number"]
    assert all(one.get("min", 1) < one.get("max", 100) for one in numbers)
    ids = [one["unique_id"] for one in payload["cmps"].values()]
    assert len(ids) == len(set(ids))
