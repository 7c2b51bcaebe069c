"""What a subscriber heard of edgewatch, read as a user's script would: events, states, schemas."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import aiomqtt

from tests.integration.mosquitto import Subscriber, subscriber
from tests.mqtt_schemas import schema_of, validate_message

STATUS = "edgewatch/status"

Step = dict[str, Any]
"""The payload of one step of an event."""


def said(heard: Subscriber, topic: str) -> list[Any]:
    """Return what was said on a topic, in order; an emptied topic says None."""
    return [json.loads(payload) if payload else None for payload in heard.payloads(topic)]


def statuses(heard: Subscriber) -> list[bytes]:
    return heard.payloads(STATUS)


def schemas_met(heard: Subscriber) -> Counter[str]:
    """Hold every message against its topic's schema; return how many there were of each.

    Neither an empty payload, which makes the broker forget a topic, nor a command is one of ours.
    """
    met: Counter[str] = Counter()
    for topic, payload in heard.messages:
        if payload and "/set/" not in topic:
            validate_message(topic, payload)
            met[schema_of(topic)] += 1
    return met


def steps_on(heard: Subscriber, topic: str) -> list[Step]:
    """Return each step of an event once, where it first came in, as consumers are told to."""
    first: dict[tuple[str, str, int], Step] = {}
    for step in said(heard, topic):
        first.setdefault((step["event_id"], step["type"], step["revision"]), step)
    return list(first.values())


def event_topics(heard: Subscriber) -> set[str]:
    return {topic for topic, _ in heard.messages if topic.endswith("/events")}


def all_steps(heard: Subscriber) -> Iterator[Step]:
    """Yield the steps of every camera and recording."""
    for topic in sorted(event_topics(heard)):
        yield from steps_on(heard, topic)


def lives(steps: list[Step]) -> dict[str, list[Step]]:
    """Sort the steps of one camera by event, in the order in which the events began."""
    events: dict[str, list[Step]] = {}
    for step in steps:
        events.setdefault(step["event_id"], []).append(step)
    return events


def assert_well_told(heard: Subscriber, *, all_ended: bool = True) -> None:
    """Check that each camera's events came one after the other, each step in its place.

    `all_ended`: whether the last event of each camera, too, must have come to its `end`.
    """
    for topic in event_topics(heard):
        open_event, revision = None, 0
        for step in steps_on(heard, topic):
            place = f"{topic} {step['event_id']} {step['type']} {step['revision']}"
            if step["type"] == "new":
                assert open_event is None, f"{place}: {open_event} was still open"
                open_event, revision = step["event_id"], 0
            assert step["event_id"] == open_event, f"{place}: {open_event} was open"
            assert step["revision"] == revision + 1, f"{place}: came after {revision}"
            revision = step["revision"]
            if step["type"] == "end":
                open_event = None
        assert open_event is None or not all_ended, f"{topic}: {open_event} has no end"


async def command(port: int, camera: str, key: str, value: str) -> None:
    """Send a command as an operator would."""
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(f"edgewatch/{camera}/set/{key}", value, qos=1)


async def retained_at(port: int) -> dict[str, bytes]:
    """Return all that the broker keeps, by topic."""
    sentinel = ("tests/sentinel", b"what is retained came before this")
    async with subscriber(port, "#") as late, aiomqtt.Client("127.0.0.1", port) as client:
        await client.publish(*sentinel, qos=1)
        await late.until_message(*sentinel)
    return dict(late.retained)
