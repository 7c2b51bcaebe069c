"""The JSON Schemas in docs/mqtt, and which of them a topic's payload must satisfy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.homeassistant_schema import TOPIC_PATTERN, validate_device

THUMBNAIL = "thumbnail"
DISCOVERY = "discovery"
"""Names of what is no JSON of ours: a JPEG, and a message to Home Assistant's rules."""

_FOLDER = Path(__file__).parent.parent / "docs" / "mqtt"
SCHEMAS: dict[str, dict[str, Any]] = {
    file.name.removesuffix(".schema.json"): json.loads(file.read_text("utf-8"))
    for file in sorted(_FOLDER.glob("*.schema.json"))
}
_REGISTRY: Registry[Any] = Registry().with_resources(
    (f"{name}.schema.json", Resource.from_contents(schema)) for name, schema in SCHEMAS.items()
)


def validate(name: str, value: object) -> None:
    """Raise jsonschema.ValidationError unless the value satisfies the schema of that name."""
    Draft202012Validator(SCHEMAS[name], registry=_REGISTRY).validate(value)


def schema_of(topic: str, base: str = "edgewatch") -> str:
    """Return the name of the schema for a topic. Raises LookupError for a topic without one."""
    if re.fullmatch(TOPIC_PATTERN, topic.removeprefix("homeassistant/")):
        return DISCOVERY
    levels = topic.removeprefix(f"{base}/").split("/")
    if levels[0] == "replay":
        levels = levels[1:]
    match levels:
        case ["status" | "stats" as name]:
            return name
        case ["drill", _, "events"]:
            return "drill-event"
        case ["drill", _, "result"]:
            return "drill-result"
        case [_, "events"]:
            return "event"
        case [_, "state" | "health" | "verdict" | "coverage" | "settings" | "thumbnail" as name]:
            return name
        case [_, "set", key]:
            return f"set-{key}"
    raise LookupError(f"no schema for {topic!r}")


def validate_message(topic: str, payload: bytes, base: str = "edgewatch") -> Any:
    """Check a message against its topic's schema and return what it says."""
    name = schema_of(topic, base)
    if name == THUMBNAIL:
        assert payload.startswith(b"\xff\xd8\xff"), f"{topic} holds no JPEG"
        return payload
    text = payload.decode("utf-8")
    value = text if name == "status" else json.loads(text)
    if name == DISCOVERY:
        validate_device(value)
    else:
        validate(name, value)
    return value
