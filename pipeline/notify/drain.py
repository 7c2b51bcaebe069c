"""The drain: empties one way's channel of the outbox, for as long as it takes or may take."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from edgewatch.pipeline.backlog import OutboxRow
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.mqtt_link import Backoff
from edgewatch.pipeline.notify.trouble import MessageRefused, Shut, Trouble, TryAgain

ROWS_READ = 20
"""Rows sent before the disk hears of it; after a kill -9 at most so many are sent again."""
PARALLEL_CAMERAS = 4
STORE_RETRY_SECONDS = 1.0
BACKOFF = Backoff(first_seconds=1.0, most_seconds=120.0)

log = structlog.get_logger(__name__)


class Way(Protocol):
    """Who carries messages to one receiver."""

    @property
    def name(self) -> str:
        """Its channel of the outbox."""

    @property
    def where(self) -> str:
        """The receiver, as far as it is no secret."""

    async def deliver(self, payload: bytes) -> None:
        """Send one message; returns when it was taken. Raises Trouble, MessageRefused."""

    async def close(self) -> None:
        """Let go of connections; idempotent."""


class Outbox(Protocol):
    """Messages on disk, by channel. Each call may raise StoreError."""

    async def outbox_head(self, limit: int, channel: str = ...) -> Sequence[OutboxRow]:
        """Return the oldest rows, oldest first, at most `limit`."""

    async def outbox_delete(self, row_ids: Sequence[int]) -> None:
        """Remove rows; those already gone do not matter."""

    async def outbox_wait(self, channel: str = ...) -> None:
        """Return as soon as there may be a row."""


@dataclass(frozen=True, slots=True)
class WayStatus:
    """How a way fares; the counts are since the start."""

    name: str
    where: str
    trouble: str
    """One sentence with the cure; empty while all is well."""
    shut: bool
    """Somebody has to change settings."""
    since_seconds: float
    """Unix time since which it is well, or in this trouble."""
    delivered: int
    given_up: int
    """Messages too old to go on trying."""
    refused: int
    """Messages that the receiver would never take."""


class WayDrain:
    """Sends in order of each camera, several cameras at once; deletes only what was taken.

    Trouble holds all of the way's messages, and only those: MQTT has its own channel.
    """

    def __init__(
        self,
        way: Way,
        outbox: Outbox,
        *,
        clock: Clock,
        give_up_seconds: float,
        backoff: Backoff = BACKOFF,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._way = way
        self._outbox = outbox
        self._clock = clock
        self._give_up_seconds = give_up_seconds
        self._backoff = backoff
        self._draw = draw
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._drain_seconds = 0.0
        self._done: list[int] = []
        """Row ids that were dealt with and not yet deleted: they are not sent again."""
        self._failures = 0
        self._trouble: Trouble | None = None
        self._since_seconds = clock.wall_seconds()
        self._delivered = self._given_up = self._refused = 0

    def status(self) -> WayStatus:
        """Return how things are now."""
        return WayStatus(
            name=self._way.name,
            where=self._way.where,
            trouble=str(self._trouble) if self._trouble else "",
            shut=isinstance(self._trouble, Shut),
            since_seconds=self._since_seconds,
            delivered=self._delivered,
            given_up=self._given_up,
            refused=self._refused,
        )

    async def run(self) -> None:
        """Send what is there and what comes, until stopped; no trouble ends this."""
        try:
            async with asyncio.TaskGroup() as group:
                sending = group.create_task(self._keep_sending(), name=f"{self._way.name} outbox")
                await self._stopping.wait()
                if self._trouble is None:
                    with suppress(TimeoutError, Trouble, StoreError):
                        async with asyncio.timeout(self._drain_seconds):
                            await self._flush()
                sending.cancel()
        finally:
            with suppress(StoreError):
                await self._delete_done()
            await self._way.close()

    def stop(self, drain_seconds: float) -> None:
        """End `run`: what waits is sent within `drain_seconds`, or at the next start."""
        self._drain_seconds = drain_seconds
        self._stopping.set()

    async def _keep_sending(self) -> None:
        while True:
            try:
                await self._flush()
                await self._outbox.outbox_wait(self._way.name)
            except StoreError as error:
                log.warning("outbox cannot be read", way=self._way.name, detail=str(error))
                await asyncio.sleep(STORE_RETRY_SECONDS)
            except Trouble as trouble:
                await asyncio.sleep(self._wait_seconds(trouble))

    async def _flush(self) -> None:
        """Send until the channel is empty. Raises Trouble, StoreError."""
        async with self._lock:
            await self._delete_done()
            while rows := await self._outbox.outbox_head(ROWS_READ, self._way.name):
                trouble = await self._send(rows)
                await self._delete_done()
                self._note(trouble)
                if trouble is not None:
                    await self._give_up_old()
                    raise trouble

    async def _send(self, rows: Sequence[OutboxRow]) -> Trouble | None:
        """Send rows, each camera's one after the other; returns the first trouble."""
        troubles: list[Trouble] = []
        slots = asyncio.Semaphore(PARALLEL_CAMERAS)

        async def send(camera_rows: Sequence[OutboxRow]) -> None:
            for row in camera_rows:
                async with slots:
                    if troubles:
                        return
                    if trouble := await self._deliver(row):
                        troubles.append(trouble)
                        return
                self._done.append(row.row_id)

        cameras: dict[str, list[OutboxRow]] = {}
        for row in rows:
            cameras.setdefault(row.camera, []).append(row)
        async with asyncio.TaskGroup() as group:
            for camera, camera_rows in cameras.items():
                group.create_task(send(camera_rows), name=f"{self._way.name} {camera}")
        return troubles[0] if troubles else None

    async def _deliver(self, row: OutboxRow) -> Trouble | None:
        """Send one row; None if it was dealt with, for good or ill."""
        try:
            await self._way.deliver(row.payload)
        except Trouble as trouble:
            return trouble
        except MessageRefused as error:
            self._refused += 1
            log.warning("alert refused", way=self._way.name, camera=row.camera, reason=str(error))
        except Exception as error:  # noqa: BLE001 - a fault of ours over one message holds up no other
            self._refused += 1
            # Without the traceback, which could show an address.
            log.error(
                "alert not made",
                way=self._way.name,
                camera=row.camera,
                fault=type(error).__name__,
            )
        else:
            self._delivered += 1
        return None

    async def _delete_done(self) -> None:
        if self._done:
            row_ids = list(self._done)
            await self._outbox.outbox_delete(row_ids)
            del self._done[: len(row_ids)]

    async def _give_up_old(self) -> None:
        """Drop what has waited for too long: after a day, news is none."""
        oldest_seconds = self._clock.wall_seconds() - self._give_up_seconds
        while rows := await self._outbox.outbox_head(ROWS_READ, self._way.name):
            old = [row.row_id for row in rows if row.created_seconds < oldest_seconds]
            if not old:
                return
            await self._outbox.outbox_delete(old)
            self._given_up += len(old)
            log.error("alerts given up", way=self._way.name, count=len(old))

    def _note(self, trouble: Trouble | None) -> None:
        known = str(self._trouble or "")
        if trouble is None:
            self._failures = 0
            if self._trouble is not None:
                log.info("alerts are delivered again", way=self._way.name)
        else:
            self._failures += 1
            # Said once, not at each of a night's attempts.
            say = log.debug if str(trouble) == known else log.warning
            say("alerts not delivered", way=self._way.name, detail=str(trouble))
        if str(trouble or "") != known:
            self._since_seconds = self._clock.wall_seconds()
        self._trouble = trouble

    def _wait_seconds(self, trouble: Trouble) -> float:
        if isinstance(trouble, TryAgain) and trouble.wait_seconds is not None:
            return max(trouble.wait_seconds, self._backoff.first_seconds)
        refused = isinstance(trouble, Shut)
        return self._backoff.seconds(self._failures, self._draw(), refused=refused)


async def forget(outbox: Outbox, channel: str) -> None:
    """Delete what waits for a way that is configured no more. Raises StoreError."""
    count = 0
    while rows := await outbox.outbox_head(1000, channel):
        await outbox.outbox_delete([row.row_id for row in rows])
        count += len(rows)
    if count:
        log.warning("alerts dropped", way=channel, count=count, reason="this way is gone")
