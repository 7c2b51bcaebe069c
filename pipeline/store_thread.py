"""The store's thread: the store for an event loop, which must never wait for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog

from edgewatch.pipeline.backlog import MQTT
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.store import OutboxMessage, OutboxRow, Store, StoreHealth
from edgewatch.pipeline.types import CameraName, Event, Interval, Verdict

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WRITE_BEHIND_SECONDS = 1.0
VERDICTS_WAITING = 10_000


class StoreThread:
    """Runs a Store's methods one after the other in one thread of its own.

    All methods belong to one event loop and raise StoreError as Store's do; likewise before
    `start` and after `close`. A call whose caller is cancelled is still carried out.

    Verdicts are written behind: handed over without waiting and written together, at the latest
    after `write_behind_seconds`, before the next read, and in `close`. At most `verdicts_waiting`
    wait for a slow disk; more are dropped and counted.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        write_behind_seconds: float = WRITE_BEHIND_SECONDS,
        verdicts_waiting: int = VERDICTS_WAITING,
        open_store: Callable[[Path | None], Store] = Store,
    ) -> None:
        self._path = path
        self._open_store = open_store
        self._write_behind_seconds = write_behind_seconds
        self._verdicts_waiting = verdicts_waiting
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edgewatch-store")
        self._store: Store | None = None
        self._verdicts: list[Verdict] = []
        self._verdicts_dropped = 0
        self._writing: asyncio.Future[None] | None = None
        self._write_due: asyncio.TimerHandle | None = None
        self._outbox_changed: dict[str, asyncio.Event] = {}
        """By channel."""

    # -- life --------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the database. Raises StoreError naming file and cure."""
        loop = asyncio.get_running_loop()
        try:
            self._store = await loop.run_in_executor(self._thread, self._open_store, self._path)
        except StoreError:
            self._thread.shutdown()
            raise

    async def close(self) -> None:
        """Write what waits, close the database and join the thread; idempotent."""
        if self._store is None:
            return
        self._write_verdicts()
        store, self._store = self._store, None
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, store.close)
        finally:
            self._thread.shutdown()

    @property
    def health(self) -> StoreHealth:
        """Return how the store is. Raises StoreError while it is not open."""
        health = self._opened().health
        return replace(health, verdicts_dropped=health.verdicts_dropped + self._verdicts_dropped)

    # -- writing -----------------------------------------------------------------------------

    async def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep an event and its messages, all or nothing; on return they are safe.

        (On disk, or in memory while the disk is in trouble: see Store.)
        """
        saving = self._submit(self._opened().save_event, event, messages)
        # Not after the await: a cancelled caller must not leave the publisher asleep.
        saving.add_done_callback(lambda _: self._wake(messages))
        await asyncio.shield(saving)

    def save_verdict(self, verdict: Verdict) -> None:
        """Hand over a verdict, to be written soon; does not wait."""
        self._opened()
        if len(self._verdicts) >= self._verdicts_waiting:
            self._verdicts_dropped += 1
            return
        self._verdicts.append(verdict)
        if self._write_due is None:
            self._write_later()

    async def save_coverage(self, intervals: Sequence[Interval]) -> None:
        """Keep intervals of the ledger."""
        await self._call(self._opened().save_coverage, intervals)

    async def set_setting(self, key: str, value: str | None) -> None:
        """Keep what an operator set; None forgets it."""
        await self._call(self._opened().set_setting, key, value)

    async def prune(self, *, records_before_seconds: float, events_before_seconds: float) -> None:
        """Delete what ended before, bit by bit: other calls come in between."""
        self._write_verdicts()
        deleted = 1
        while deleted:
            deleted = await self._call(
                self._opened().prune,
                records_before_seconds=records_before_seconds,
                events_before_seconds=events_before_seconds,
            )

    # -- the outbox --------------------------------------------------------------------------

    async def outbox_wait(self, channel: str = MQTT) -> None:
        """Return when there may be messages: at once, until `outbox_head` found none."""
        await self._changed(channel).wait()

    async def outbox_head(self, limit: int, channel: str = MQTT) -> Sequence[OutboxRow]:
        """Return a channel's oldest messages that were not delivered, oldest first."""
        changed = self._changed(channel)
        # Before the look, so that a message that comes during it wakes the next wait.
        changed.clear()
        try:
            rows = await self._call(self._opened().outbox_head, limit, channel)
        except BaseException:
            changed.set()
            raise
        if rows:
            changed.set()
        return rows

    async def outbox_delete(self, row_ids: Sequence[int]) -> None:
        """Forget messages that were delivered."""
        await self._call(self._opened().outbox_delete, row_ids)

    async def outbox_size(self) -> int:
        """Return how many messages are still to be delivered."""
        return await self._call(self._opened().outbox_size)

    # -- reading -----------------------------------------------------------------------------

    async def verdicts(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[Verdict]:
        """Return the verdicts whose footage overlaps [since, until)."""
        self._write_verdicts()
        return await self._call(self._opened().verdicts, camera, since_seconds, until_seconds)

    async def coverage(self, camera: CameraName, since_ms: int, until_ms: int) -> list[Interval]:
        """Return the intervals that overlap [since, until), whole."""
        return await self._call(self._opened().coverage, camera, since_ms, until_ms)

    async def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return the newest events that were going on at or after `since`, newest last."""
        return await self._call(self._opened().events, camera, since_seconds, limit)

    async def event(self, event_id: str) -> Event | None:
        """Return an event as it is now, or None."""
        return await self._call(self._opened().event, event_id)

    async def open_events(self) -> list[Event]:
        """Return the events without an end, oldest first."""
        return await self._call(self._opened().open_events)

    async def cameras(self) -> list[CameraName]:
        """Return the names of all cameras that anything is known of."""
        self._write_verdicts()
        return await self._call(self._opened().cameras)

    async def setting(self, key: str) -> str | None:
        """Return what an operator set at run time, or None."""
        return await self._call(self._opened().setting, key)

    # -- the thread --------------------------------------------------------------------------

    async def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Shielded, because cancelling would otherwise take back a call that has not begun.
        return await asyncio.shield(self._submit(method, *args, **kwargs))

    def _submit(
        self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, partial(method, *args, **kwargs))

    def _changed(self, channel: str) -> asyncio.Event:
        if channel not in self._outbox_changed:
            self._outbox_changed[channel] = asyncio.Event()
            self._outbox_changed[channel].set()  # an earlier run may have left messages
        return self._outbox_changed[channel]

    def _wake(self, messages: Sequence[OutboxMessage]) -> None:
        for message in messages:
            self._changed(message.channel).set()

    def _opened(self) -> Store:
        if self._store is None:
            raise StoreError("the store is not open")
        return self._store

    def _write_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._write_due = loop.call_later(self._write_behind_seconds, self._on_write_due)

    def _on_write_due(self) -> None:
        if self._writing and not self._writing.done():
            self._write_later()  # the disk is slow: don't pile up work for it
        else:
            self._write_verdicts()

    def _write_verdicts(self) -> None:
        """Give the waiting verdicts to the thread, ahead of the call that comes next."""
        if self._write_due:
            self._write_due.cancel()
            self._write_due = None
        if self._verdicts:
            verdicts, self._verdicts = self._verdicts, []
            self._writing = self._submit(self._opened().save_verdicts, verdicts)
            self._writing.add_done_callback(partial(self._on_written, len(verdicts)))

    def _on_written(self, count: int, writing: asyncio.Future[None]) -> None:
        if error := writing.exception():
            self._verdicts_dropped += count
            log.error("verdicts not written", count=count, reason=str(error))
