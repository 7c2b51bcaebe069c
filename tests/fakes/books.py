"""Books kept in lists, and a speaker that remembers what it said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.types import CameraName, Event, Interval, Verdict


class FakeBooks:
    """Keeps what the chronicle saves, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.messages: list[OutboxMessage] = []
        self.verdicts_saved: list[Verdict] = []
        self.coverage: list[Interval] = []
        self.interrupted: list[Event] = []

    async def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        self.events.append(event)
        self.messages += messages

    def save_verdict(self, verdict: Verdict) -> None:
        self.verdicts_saved.append(verdict)

    async def save_coverage(self, intervals: Sequence[Interval]) -> None:
        self.coverage += intervals

    async def open_events(self) -> list[Event]:
        return self.interrupted

    async def verdicts(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[Verdict]:
        return [one for one in self.verdicts_saved if one.camera == camera]

    def steps(self) -> list[str]:
        """The events' steps, short."""
        return [event.type for event in self.events]


class FakeSpeaker:
    """Keeps retained messages by topic and the others in order."""

    def __init__(self) -> None:
        self.retained: dict[str, Any] = {}
        self.sent: list[tuple[str, Any]] = []

    def retain(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        self.retained[topic] = json.loads(payload)

    def forget(self, topic: str) -> None:
        self.retained.pop(topic, None)

    def send(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, json.loads(payload)))
