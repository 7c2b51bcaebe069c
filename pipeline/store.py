"""The store: one SQLite file that keeps verdicts, events, coverage, outbox and run-time settings.

When the disk is full or failing, verdicts are dropped and counted. Coverage, events and their
messages are not: they wait in memory, `outbox_head` hands the messages out all the same, and each
call tries again to write them, in order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import time

import structlog

from edgewatch.pipeline import (
    coverage_rows,
    drill_rows,
    event_rows,
    evidence_rows,
    feedback_rows,
    pruning,
    setting_rows,
    verdict_rows,
)
from edgewatch.pipeline.backlog import MQTT, Backlog, OutboxMessage, OutboxRow
from edgewatch.pipeline.database import Database
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.event_rows import encode_event
from edgewatch.pipeline.records import Records, open_readonly
from edgewatch.pipeline.types import (
    Event,
    EvidenceRow,
    Feedback,
    Interval,
    SettingChange,
    Verdict,
)
from edgewatch.pipeline.verdict_rows import verdict_row

__all__ = ["OutboxMessage", "OutboxRow", "Store", "StoreHealth"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """How the store is, for status, stats and a person."""

    trouble: str | None
    """Why nothing can be written now, with file and cure; None while all is well."""
    events_waiting: int
    """Events in memory that the disk has yet to take."""
    messages_waiting: int
    verdicts_dropped: int
    """Since the store was opened; likewise the next."""
    intervals_dropped: int


class Store(Records):
    """The one writer of a database. One thread only (`health` may be read from any).

    Opening makes the file (mode 0640) and its folder; None keeps everything in memory. Raises
    StoreError naming file and cure: no permission, damaged, another program's, newer than this
    edgewatch, or in use by another one. A damaged file is left as it is. What a killed process had
    judged, but not yet settled on its ledger, is covered then.

    `backlog`: most events, and messages, kept in memory while the disk takes none.
    `busy_seconds`: how long to wait for a lock that another process holds.
    `max_bytes`: size beyond which the file does not grow; None: as far as the disk goes.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        backlog: int = 10_000,
        busy_seconds: float = 2.0,
        max_bytes: int | None = None,
        now_seconds: Callable[[], float] = time,
    ) -> None:
        super().__init__(Database.writable(path, busy_seconds=busy_seconds, max_bytes=max_bytes))
        self._now_seconds = now_seconds
        self._trouble: str | None = None
        self._verdicts_dropped = 0
        self._intervals_dropped = 0
        newest = self._rows("SELECT coalesce(max(seq), 0) FROM sqlite_sequence")[0][0]
        self._backlog = Backlog(next_row_id=newest + 1, capacity=backlog)
        self._write(coverage_rows.recover)

    @staticmethod
    def open_readonly(path: Path) -> Records:
        """Open for reading beside the daemon, from any process. Raises StoreError."""
        return open_readonly(path)

    @property
    def health(self) -> StoreHealth:
        """Return how the store is now."""
        return StoreHealth(
            trouble=self._trouble,
            events_waiting=len(self._backlog.events),
            messages_waiting=len(self._backlog.messages),
            verdicts_dropped=self._verdicts_dropped,
            intervals_dropped=self._intervals_dropped,
        )

    # -- events and their messages -----------------------------------------------------------

    def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep an event's newest step and what is to be sent of it, all or nothing.

        On return it is on disk, or waits in memory if the disk is in trouble. Raises StoreError
        if it was not accepted because too many wait already.
        """
        self._backlog.add(event, encode_event(event), messages, self._now_seconds())
        self._catch_up()

    def outbox_head(self, limit: int, channel: str = MQTT) -> list[OutboxRow]:
        """Return a channel's oldest messages that were not delivered, oldest first.

        If even reading fails, what waits in memory is returned: an alert goes out rather than
        being held up by an older one on a dead disk. Raises StoreError if nothing waits there.
        """
        self._catch_up()
        waiting = [row for row in self._backlog.messages.values() if row.channel == channel]
        try:
            rows = self._rows(
                "SELECT id, camera, topic, payload, channel, created_seconds FROM outbox "
                "WHERE channel = ? AND id NOT IN (SELECT value FROM json_each(?)) "
                "ORDER BY id LIMIT ?",
                (channel, json.dumps(list(self._backlog.delivered)), limit),
            )
        except StoreError as error:
            self._set_trouble(str(error))
            if not waiting:
                raise
            rows = []
        head = [OutboxRow(*row) for row in rows]
        return (head + waiting)[:limit]

    def outbox_delete(self, row_ids: Sequence[int]) -> None:
        """Forget messages that were delivered; they are not returned again, whatever the disk."""
        self._backlog.deliver(row_ids)
        self._catch_up()

    def outbox_size(self, channel: str = MQTT) -> int:
        """Return how many messages of a channel are still to be delivered. Raises StoreError."""
        rows = self._rows(
            "SELECT count(*) FROM outbox "
            "WHERE channel = ? AND id NOT IN (SELECT value FROM json_each(?))",
            (channel, json.dumps(list(self._backlog.delivered))),
        )
        waiting = sum(row.channel == channel for row in self._backlog.messages.values())
        return int(rows[0][0]) + waiting

    # -- verdicts, coverage, settings --------------------------------------------------------

    def save_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Keep verdicts, in one transaction; dropped and counted if the disk takes none."""
        rows = [verdict_row(verdict) for verdict in verdicts]
        save = partial(verdict_rows.save, rows=rows)
        if rows and not (self._catch_up() and self._write(save)):
            self._verdicts_dropped += len(rows)

    def save_coverage(self, intervals: Sequence[Interval]) -> None:
        """Keep intervals, in one transaction; they wait in memory while the disk takes none.

        Equal ones that touch become one row. Time that is covered already (the clock was set
        back) stays as it is. The oldest are dropped, and counted, when too many wait.
        """
        self._intervals_dropped += self._backlog.cover(intervals)
        self._catch_up()

    def set_setting(self, key: str, value: str | None) -> None:
        """Keep what an operator set; None forgets it. Raises StoreError if it was not kept."""

        def change(db: sqlite3.Connection) -> None:
            if value is None:
                db.execute("DELETE FROM settings WHERE key = ?", (key,))
            else:
                db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, value))

        self._keep(change, key)

    # -- feedback, evidence, changes of settings ---------------------------------------------

    def set_feedback(self, feedback: Feedback) -> None:
        """Keep what a person says of an event, in place of what was said before.

        Raises StoreError if it was not kept.
        """
        row = feedback_rows.feedback_row(feedback)
        self._keep(lambda db: db.execute(feedback_rows.SAVE, row), "feedback")

    def clear_feedback(self, event_id: str) -> None:
        """Forget what was said of an event. Raises StoreError if that could not be done."""
        ids = (json.dumps([event_id]),)
        self._keep(lambda db: db.execute(feedback_rows.FORGET, ids), "feedback")

    def save_evidence(self, row: EvidenceRow) -> None:
        """Keep what is on disk of an event. Raises StoreError if it was not kept.

        `protected` counts for a new row only; one that is there keeps its own.
        """
        values = evidence_rows.evidence_row(row)
        self._keep(lambda db: db.execute(evidence_rows.SAVE, values), "evidence")

    def protect_evidence(self, event_id: str, protected: bool) -> bool:
        """Keep an event's evidence from quota and age, or no longer; False if there is none.

        Raises StoreError if it was not kept.
        """
        found = 0

        def protect(db: sqlite3.Connection) -> None:
            nonlocal found
            found = db.execute(evidence_rows.PROTECT, (protected, event_id)).rowcount

        self._keep(protect, "the protection of evidence")
        return found > 0

    def delete_evidence(self, event_id: str) -> None:
        """Forget what was on disk of an event. Raises StoreError if that could not be done."""
        statement = "DELETE FROM evidence WHERE event_id = ?"
        self._keep(lambda db: db.execute(statement, (event_id,)), "evidence")

    def log_changes(self, changes: Sequence[SettingChange]) -> None:
        """Keep from when on other settings held. Raises StoreError if they were not kept."""
        rows = [setting_rows.change_row(change) for change in changes]
        self._keep(lambda db: db.executemany(setting_rows.SAVE, rows), "a change of settings")

    def save_drill(self, result: DrillResult, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep what came of a fire drill, and who is to be told beside MQTT.

        The messages are kept even where the result cannot be, which raises StoreError.
        """
        self._backlog.send(messages, self._now_seconds())
        self._catch_up()

        def keep(db: sqlite3.Connection) -> None:
            db.execute(drill_rows.SAVE, drill_rows.drill_row(result))
            db.execute(drill_rows.PRUNE, (result.camera,))

        self._keep(keep, "the result of a drill")

    # -- age ---------------------------------------------------------------------------------

    def prune(self, *, records_before_seconds: float, events_before_seconds: float) -> int:
        """Delete what ended before: verdicts and coverage, and events with an age of their own.

        With an event goes what was said of it; its evidence is for whoever wrote it to delete.
        Deletes a bounded part; call again until it returns 0, the number of rows deleted. Open
        events and the outbox are never pruned. Raises StoreError if the file cannot be read.
        """
        deleted = 0
        cameras = self.cameras()

        def delete(db: sqlite3.Connection) -> None:
            nonlocal deleted
            deleted = pruning.delete(
                db,
                cameras,
                records_before_seconds=records_before_seconds,
                events_before_seconds=events_before_seconds,
            )

        # Before the backlog, for which it may make room.
        if not self._write(delete):
            deleted = 0
        self._catch_up()
        return deleted

    def close(self) -> None:
        """Try a last time to write what waits, say so if that fails, and close; idempotent."""
        self._catch_up()
        if self._backlog or self._backlog.intervals:
            log.error(
                "records not written",
                events=len(self._backlog.events),
                messages=len(self._backlog.messages),
                intervals=len(self._backlog.intervals),
                reason=self._trouble,
            )
            self._backlog.clear()
            self._backlog.intervals.clear()
        super().close()

    # -- writing -----------------------------------------------------------------------------

    def _catch_up(self) -> bool:
        """Write what waits, events first; False if the disk still takes none of those."""
        if self._backlog:
            if not self._write(self._write_backlog):
                return False
            self._backlog.clear()
        if self._backlog.intervals:
            add = partial(coverage_rows.add, intervals=self._backlog.intervals)
            if self._write(add):
                self._backlog.intervals.clear()
        return True

    def _write_backlog(self, db: sqlite3.Connection) -> None:
        for event, snapshot in self._backlog.events.values():
            change = db.execute("UPDATE changes SET latest = latest + 1 RETURNING latest")
            db.execute(event_rows.SAVE, event_rows.event_row(event, snapshot, *change.fetchone()))
        db.executemany(
            "INSERT INTO outbox (id, camera, topic, payload, created_seconds, channel) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    row.row_id,
                    row.camera,
                    row.topic,
                    row.payload,
                    row.created_seconds,
                    row.channel,
                )
                for row in self._backlog.messages.values()
            ],
        )
        db.execute(
            "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(self._backlog.delivered)),),
        )

    def _keep(self, statements: Callable[[sqlite3.Connection], object], what: str) -> None:
        """Write now or raise StoreError: whoever asked is there to be told."""
        if not self._write(statements):
            raise StoreError(f"{what} was not kept: {self._trouble}")

    def _write(self, statements: Callable[[sqlite3.Connection], object]) -> bool:
        """Run statements in one transaction; False, with nothing written, if that failed."""
        try:
            with self._database.transaction() as db:
                statements(db)
        except sqlite3.Error as error:
            self._set_trouble(self._database.trouble(error))
            return False
        self._set_trouble(None)
        return True

    def _set_trouble(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.error("database in trouble", reason=trouble)
        else:
            log.info("database writable again")
