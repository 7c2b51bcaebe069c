"""The outbox: messages on disk that must reach the broker, and the drain that empties it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Protocol

import structlog

from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.mqtt_client import BrokerClient
from edgewatch.pipeline.mqtt_link import MAX_IN_FLIGHT, publish

ROWS_READ = 200
"""Rows taken from the outbox at a time; after a kill -9 at most so many are sent again."""
STORE_RETRY_SECONDS = 1.0

log = structlog.get_logger(__name__)


class OutboxRow(Protocol):
    """One message that must reach the broker."""

    @property
    def row_id(self) -> int:
        """Its name in the outbox; grows in the order in which messages were accepted."""

    @property
    def topic(self) -> str:
        """Where it goes."""

    @property
    def payload(self) -> bytes:
        """What is sent, as it is."""


class Outbox(Protocol):
    """Messages on disk that have not been acknowledged yet. Each call may raise StoreError."""

    async def outbox_head(self, limit: int) -> Sequence[OutboxRow]:
        """Return the oldest rows, oldest first, at most `limit`."""

    async def outbox_delete(self, row_ids: Sequence[int]) -> None:
        """Remove rows; those already gone do not matter."""

    async def outbox_wait(self) -> None:
        """Return as soon as there is a row, at once if there is one already."""


class Drain:
    """Sends the rows of an outbox in order; deletes one only after the broker acknowledged it.

    Lives longer than a connection: what was acknowledged and could not be deleted (disk full, the
    connection broke in between) is remembered, and not sent again.
    """

    def __init__(self, outbox: Outbox, guard: LeakGuard | None = None) -> None:
        self.published = 0
        """Rows the broker acknowledged."""
        self.on_acknowledged: Callable[[str, bytes], None] = lambda topic, payload: None
        """Told of each row that the broker has."""
        self._guard = guard
        self._outbox = outbox
        self._lock = asyncio.Lock()
        self._acknowledged: list[int] = []

    async def run(self, client: BrokerClient) -> None:
        """Send what is there and what comes, over one connection, until cancelled."""
        while True:
            try:
                await self.flush(client)
                await self._outbox.outbox_wait()
            except StoreError as error:
                log.warning("outbox cannot be read", detail=str(error))
                await asyncio.sleep(STORE_RETRY_SECONDS)

    async def flush(self, client: BrokerClient) -> None:
        """Send until the outbox is empty. Raises aiomqtt.MqttError, StoreError."""
        async with self._lock:
            # Before anything is read: what the broker has must not be sent a second time.
            await self.delete_acknowledged()
            while rows := await self._outbox.outbox_head(ROWS_READ):
                await self._send(client, rows)
                await self.delete_acknowledged()

    async def delete_acknowledged(self) -> None:
        """Delete what the broker has. Raises StoreError."""
        if self._acknowledged:
            row_ids = list(self._acknowledged)
            await self._outbox.outbox_delete(row_ids)
            del self._acknowledged[: len(row_ids)]

    async def _send(self, client: BrokerClient, rows: Sequence[OutboxRow]) -> None:
        """Send rows in order, a window of them ahead of the acknowledgements; wait for all."""
        waiting = {row.row_id for row in rows}
        window = asyncio.Semaphore(MAX_IN_FLIGHT)

        async def send(row: OutboxRow) -> None:
            # What the guard stops never goes out: it counts as dealt with, and is deleted.
            if self._guard is None or self._guard.lets_pass(row.topic, row.payload):
                await publish(client, row.topic, row.payload, qos=1)
                self.on_acknowledged(row.topic, row.payload)
            waiting.discard(row.row_id)
            window.release()

        try:
            # Tasks start in the order they are made, and a publish is on its way before its
            # first await: so the order on the wire is that of the rows. A window that slides,
            # rather than one batch after the other, because a broker that does not switch
            # Nagle's algorithm off (Mosquitto) holds a batch's last answers back for 40 ms.
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    await window.acquire()
                    group.create_task(send(row), name=f"mqtt row {row.row_id}")
        finally:
            # Only up to the first gap: deleting behind it would send an older row after a newer.
            done = list(
                takewhile(lambda row_id: row_id not in waiting, (row.row_id for row in rows))
            )
            self._acknowledged += done
            self.published += len(done)
