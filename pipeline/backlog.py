"""The backlog: events, messages and coverage that the database could not take yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import CameraName, Event, Interval

MQTT = "mqtt"
"""The channel of the broker; others are the ways of `[notify]`."""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """What is to be sent: complete, so that sending it needs no other table."""

    camera: CameraName
    topic: str
    """Of the broker; empty for other channels, which have one place to send to."""
    payload: bytes
    channel: str = MQTT
    """Each channel is emptied by itself, so that one that is away holds up no other."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that was accepted; `row_id` grows with each and stays the same until deleted."""

    row_id: int
    camera: CameraName
    topic: str
    payload: bytes
    channel: str
    created_seconds: float
    """Unix time at which it was accepted."""


class Backlog:
    """What the database has still to take: events, their messages, and rows that were delivered.

    Everything an event needs goes through here, and is gone again at once unless the disk is in
    trouble. Row ids are given here and not by SQLite, so that a message that waits keeps its id
    when it is written.

    Coverage is a record and no alert: it waits beside them and holds nothing up.

    `capacity`: most messages, most events, and most intervals of coverage, that wait. Pure.
    """

    def __init__(self, *, next_row_id: int, capacity: int) -> None:
        self._next_row_id = next_row_id
        self._capacity = capacity
        self.events: dict[str, tuple[Event, str]] = {}
        """Each event as it is now, and encoded, in the order in which the events first came."""
        self.messages: dict[int, OutboxRow] = {}
        """By row id, oldest first."""
        self.delivered: set[int] = set()
        """Ids of rows that the database still holds although they were delivered."""
        self.intervals: list[Interval] = []
        """Coverage, each camera's in order of time."""

    def __bool__(self) -> bool:
        return bool(self.events or self.messages or self.delivered)

    def add(
        self,
        event: Event,
        snapshot: str,
        messages: Sequence[OutboxMessage],
        now_seconds: float,
    ) -> None:
        """Take an event's step and its messages. Raises StoreError if there is no more room."""
        full = len(self.events) >= self._capacity and event.event_id not in self.events
        if full or (messages and len(self.messages) >= self._capacity):
            raise StoreError(
                f"event {event.event_id} of camera {event.camera} was not accepted: "
                f"{self._capacity} wait in memory for the database already; free space on its disk"
            )
        self.events[event.event_id] = (event, snapshot)
        self._queue(messages, now_seconds)

    def send(self, messages: Sequence[OutboxMessage], now_seconds: float) -> None:
        """Take messages of their own. Raises StoreError if there is no more room."""
        if messages and len(self.messages) >= self._capacity:
            raise StoreError(f"{self._capacity} messages wait in memory for the database already")
        self._queue(messages, now_seconds)

    def _queue(self, messages: Sequence[OutboxMessage], now_seconds: float) -> None:
        for message in messages:
            row = OutboxRow(
                self._next_row_id,
                message.camera,
                message.topic,
                message.payload,
                message.channel,
                now_seconds,
            )
            self.messages[row.row_id] = row
            self._next_row_id += 1

    def deliver(self, row_ids: Iterable[int]) -> None:
        """Note that rows were delivered: those that wait here need not be written any more."""
        for row_id in row_ids:
            if self.messages.pop(row_id, None) is None:
                self.delivered.add(row_id)

    def cover(self, intervals: Iterable[Interval]) -> int:
        """Take coverage; an interval that goes on where an equal one ends lengthens it.

        Returns how many of the oldest had to go for it.
        """
        last = {one.camera: index for index, one in enumerate(self.intervals)}
        for interval in intervals:
            index = last.get(interval.camera)
            before = None if index is None else self.intervals[index]
            if (
                index is not None
                and before is not None
                and (before.end_ms, before.coverage) == (interval.start_ms, interval.coverage)
            ):
                self.intervals[index] = replace(before, end_ms=interval.end_ms)
            else:
                last[interval.camera] = len(self.intervals)
                self.intervals.append(interval)
        excess = max(0, len(self.intervals) - self._capacity)
        del self.intervals[:excess]
        return excess

    def clear(self) -> None:
        """Forget events and messages: the database has them."""
        self.events.clear()
        self.messages.clear()
        self.delivered.clear()
