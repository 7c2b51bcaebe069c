"""The records: what the database tells about cameras, verdicts, events and coverage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgewatch.pipeline import coverage_rows
from edgewatch.pipeline.coverage import Span
from edgewatch.pipeline.database import Database
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import CameraName, Event, Evidence, Interval, Verdict

LONGEST_CLIP_SECONDS = 600.0
"""No clip is longer; bounds how far beyond a moment the verdicts about it are looked for."""

VERDICT_COLUMNS = (
    "camera, end_seconds, clip_id, start_seconds, label, score, threshold, media_start_seconds, "
    "media_end_seconds, engine, latency_ms, evidence, warming_up, uncertain, replay, prompt_hash"
)

# Walks the primary key from name to name instead of reading every row.
_NAMES = """
WITH RECURSIVE names(name) AS (
    SELECT min(camera) FROM {table}
    UNION ALL
    SELECT (SELECT min(camera) FROM {table} WHERE camera > name) FROM names WHERE name NOT NULL)
SELECT name FROM names WHERE name NOT NULL"""


class Records:
    """Reads. One thread only. Every method raises StoreError if the file cannot be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; idempotent."""
        self._database.close()

    def verdicts(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[Verdict]:
        """Return the verdicts whose footage overlaps [since, until), in order of its end."""
        rows = self._rows(
            f"SELECT {VERDICT_COLUMNS} FROM verdicts "
            "WHERE camera = ? AND end_seconds > ? AND end_seconds < ? AND start_seconds < ? "
            "ORDER BY end_seconds, clip_id",
            (camera, since_seconds, until_seconds + LONGEST_CLIP_SECONDS, until_seconds),
        )
        return [_verdict(row) for row in rows]

    def coverage(self, camera: CameraName, since_ms: int, until_ms: int) -> list[Interval]:
        """Return the intervals that overlap [since, until), whole, in order of time."""
        return [Interval(camera, *span) for span in self.spans(camera, since_ms, until_ms)]

    def spans(self, camera: CameraName, since_ms: int, until_ms: int) -> Sequence[Span]:
        """Return the same as `coverage`, at a third of the cost where there are very many."""
        return self._rows(
            coverage_rows.OVERLAPPING, {"camera": camera, "since": since_ms, "until": until_ms}
        )

    def coverage_cameras(self) -> list[CameraName]:
        """Return the names of all cameras that coverage is known of, sorted; no recordings."""
        return [name for (name,) in self._rows(_NAMES.format(table="coverage"))]

    def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return the newest events that were going on at or after `since`, newest last.

        None stands for every camera, and for all of time.
        """
        rows = self._rows(
            """SELECT snapshot FROM (
                SELECT snapshot, start_seconds, event_id FROM events
                WHERE (:camera IS NULL OR camera = :camera)
                  AND (:since IS NULL OR end_seconds IS NULL OR end_seconds >= :since)
                ORDER BY start_seconds DESC, event_id DESC LIMIT :limit)
            ORDER BY start_seconds, event_id""",
            {"camera": camera, "since": since_seconds, "limit": limit},
        )
        return [decode_event(snapshot) for (snapshot,) in rows]

    def event(self, event_id: str) -> Event | None:
        """Return an event as it is now, or None."""
        rows = self._rows("SELECT snapshot FROM events WHERE event_id = ?", (event_id,))
        return decode_event(rows[0][0]) if rows else None

    def open_events(self) -> list[Event]:
        """Return the events without an end, oldest first; at a start, those that a crash left."""
        rows = self._rows(
            "SELECT snapshot FROM events WHERE end_seconds IS NULL ORDER BY start_seconds"
        )
        return [decode_event(snapshot) for (snapshot,) in rows]

    def latest_change(self) -> int:
        """Return the number of the newest change of any event; 0 if there never was one."""
        return int(self._rows("SELECT latest FROM changes")[0][0])

    def events_changed(self, after_change: int, limit: int = 1000) -> list[tuple[int, Event]]:
        """Return (change, event) of the events changed after that one, in order of their change.

        Poll with the last number returned. An event that changed several times in between comes
        once, as it is now. Numbers only grow.
        """
        rows = self._rows(
            "SELECT change, snapshot FROM events WHERE change > ? ORDER BY change LIMIT ?",
            (after_change, limit),
        )
        return [(change, decode_event(snapshot)) for change, snapshot in rows]

    def cameras(self) -> list[CameraName]:
        """Return the names of all cameras that anything is known of, sorted."""
        names = {name for (name,) in self._rows("SELECT DISTINCT camera FROM events")}
        for table in ("verdicts", "coverage"):
            names.update(name for (name,) in self._rows(_NAMES.format(table=table)))
        return sorted(names)

    def setting(self, key: str) -> str | None:
        """Return what an operator set at run time, or None."""
        rows = self._rows("SELECT value FROM settings WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _rows(self, statement: str, values: Sequence[object] | dict[str, object] = ()) -> list[Any]:
        try:
            return self._database.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(self._database.trouble(error)) from error


def verdict_row(verdict: Verdict) -> tuple[object, ...]:
    """Return a verdict's values in the order of VERDICT_COLUMNS."""
    return (
        verdict.camera,
        verdict.end_seconds,
        verdict.clip_id,
        verdict.start_seconds,
        verdict.label,
        verdict.score,
        verdict.threshold,
        verdict.media_start_seconds,
        verdict.media_end_seconds,
        verdict.engine,
        verdict.latency_ms,
        json.dumps([asdict(evidence) for evidence in verdict.evidence]),
        verdict.warming_up,
        verdict.uncertain,
        verdict.replay,
        verdict.prompt_hash,
    )


def _verdict(row: tuple[Any, ...]) -> Verdict:
    return Verdict(
        camera=row[0],
        end_seconds=row[1],
        clip_id=row[2],
        start_seconds=row[3],
        label=row[4],
        score=row[5],
        threshold=row[6],
        media_start_seconds=row[7],
        media_end_seconds=row[8],
        engine=row[9],
        latency_ms=row[10],
        evidence=tuple(Evidence(**evidence) for evidence in json.loads(row[11])),
        warming_up=bool(row[12]),
        uncertain=bool(row[13]),
        replay=bool(row[14]),
        prompt_hash=row[15],
    )


def encode_event(event: Event) -> str:
    """Return the whole event as JSON, in ASCII (a model's words may hold anything)."""
    return json.dumps(asdict(event))


def decode_event(snapshot: str) -> Event:
    """Return the event that `encode_event` wrote."""
    return Event(**json.loads(snapshot))


def open_readonly(path: Path, *, busy_seconds: float = 2.0) -> Records:
    """Open a database for reading while its daemon writes, or while none runs.

    Raises StoreError naming the file and the cure.
    """
    return Records(Database.readonly(path, busy_seconds=busy_seconds))
