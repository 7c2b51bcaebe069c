"""The store's thread: the store for an event loop, which must never wait for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

import structlog

from edgewatch.pipeline.awaited_records import AwaitedRecords
from edgewatch.pipeline.backlog import MQTT
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.store import OutboxMessage, OutboxRow, Store, StoreHealth
from edgewatch.pipeline.types import (
    Event,
    EvidenceRow,
    Feedback,
    Interval,
    SettingChange,
    Verdict,
)
from edgewatch.pipeline.urgent_thread import UrgentThread

log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

WRITE_BEHIND_SECONDS = 1.0
VERDICTS_WAITING = 10_000
CHANGES_WAITING = 1_000


class StoreThread(AwaitedRecords):
    """Runs a Store's methods one after the other in one thread of its own.

    All methods belong to one event loop and raise StoreError as Store's do; likewise before
    `start` and after `close`. A call whose caller is cancelled is still carried out.

    Verdicts and changes of settings are written behind: handed over without waiting and written
    together, at the latest after `write_behind_seconds`, before the next read of them, and in
    `close`. At most `verdicts_waiting` wait for a slow disk; more are dropped and counted.
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
        self._thread = UrgentThread("edgewatch-store")
        self._store: Store | None = None
        self._verdicts: list[Verdict] = []
        self._verdicts_dropped = 0
        self._changes: list[SettingChange] = []
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
        self._write_waiting()
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
        # An alert waits behind no page's question and no other record.
        saving = self._urgently(self._opened().save_event, event, messages)
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
        self._write_waiting()
        deleted = 1
        while deleted:
            deleted = await self._call(
                self._opened().prune,
                records_before_seconds=records_before_seconds,
                events_before_seconds=events_before_seconds,
            )

    # -- feedback, evidence, changes of settings ---------------------------------------------

    async def set_feedback(self, feedback: Feedback) -> None:
        """Keep what a person says of an event, in place of what was said before."""
        await self._call(self._opened().set_feedback, feedback)

    async def clear_feedback(self, event_id: str) -> None:
        """Forget what was said of an event."""
        await self._call(self._opened().clear_feedback, event_id)

    async def save_evidence(self, row: EvidenceRow) -> None:
        """Keep what is on disk of an event; a row that is there keeps its protection."""
        await self._call(self._opened().save_evidence, row)

    async def protect_evidence(self, event_id: str, protected: bool) -> bool:
        """Keep an event's evidence from quota and age, or no longer; False if there is none."""
        return await self._call(self._opened().protect_evidence, event_id, protected)

    async def delete_evidence(self, event_id: str) -> None:
        """Forget what was on disk of an event."""
        await self._call(self._opened().delete_evidence, event_id)

    async def save_drill(self, result: DrillResult, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep what came of a fire drill, and who is to be told beside MQTT."""
        saving = self._submit(self._opened().save_drill, result, messages)
        saving.add_done_callback(lambda _: self._wake(messages))
        await asyncio.shield(saving)

    def log_change(self, change: SettingChange) -> None:
        """Hand over a change of a setting, to be written soon; does not wait."""
        self._opened()
        if len(self._changes) >= CHANGES_WAITING:
            log.error("change of setting not written", camera=change.camera, key=change.key)
            return
        self._changes.append(change)
        if self._write_due is None:
            self._write_later()

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
            rows = await asyncio.shield(self._urgently(self._opened().outbox_head, limit, channel))
        except BaseException:
            changed.set()
            raise
        if rows:
            changed.set()
        return rows

    async def outbox_delete(self, row_ids: Sequence[int]) -> None:
        """Forget messages that were delivered."""
        await asyncio.shield(self._urgently(self._opened().outbox_delete, row_ids))

    async def outbox_size(self, channel: str = MQTT) -> int:
        """Return how many messages of a channel are still to be delivered."""
        return await self._call(self._opened().outbox_size, channel)

    async def ask(self, question: Callable[[Records], T]) -> T:
        """Ask several things at once, with nothing written in between; must take milliseconds."""
        self._write_waiting()
        return await self._call(question, self._opened())

    # -- the thread --------------------------------------------------------------------------

    def _reading(self) -> Records:
        return self._opened()

    async def _call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Shielded, because cancelling would otherwise take back a call that has not begun.
        return await asyncio.shield(self._submit(method, *args, **kwargs))

    def _submit(
        self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        return self._run_in(self._thread, partial(method, *args, **kwargs))

    def _urgently(
        self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> asyncio.Future[T]:
        return self._run_in(self._thread.urgent, partial(method, *args, **kwargs))

    @staticmethod
    def _run_in(executor: Executor, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(executor, call)

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
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Give what waits to the thread, ahead of the call that comes next."""
        if self._write_due:
            self._write_due.cancel()
            self._write_due = None
        if self._verdicts:
            verdicts, self._verdicts = self._verdicts, []
            self._writing = self._submit(self._opened().save_verdicts, verdicts)
            self._writing.add_done_callback(partial(self._on_written, len(verdicts)))
        if self._changes:
            changes, self._changes = self._changes, []
            self._submit(self._opened().log_changes, changes).add_done_callback(_say_unwritten)

    def _on_written(self, count: int, writing: asyncio.Future[None]) -> None:
        if error := writing.exception():
            self._verdicts_dropped += count
            log.error("verdicts not written", count=count, reason=str(error))


def _say_unwritten(writing: asyncio.Future[None]) -> None:
    if error := writing.exception():
        log.error("changes of settings not written", reason=str(error))
