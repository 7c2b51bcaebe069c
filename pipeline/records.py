"""The records: what the database tells about cameras, verdicts, events and coverage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgewatch.pipeline import (
    coverage_rows,
    drill_rows,
    event_rows,
    evidence_rows,
    feedback_rows,
    setting_rows,
    timeline,
)
from edgewatch.pipeline.coverage import Span
from edgewatch.pipeline.database import Database
from edgewatch.pipeline.drill.names import camera_of
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.event_rows import EventSearch, decode_event
from edgewatch.pipeline.timeline import Grid
from edgewatch.pipeline.types import (
    CameraName,
    Event,
    EvidenceRow,
    Feedback,
    Interval,
    ScoreBucket,
    SettingChange,
    Verdict,
)
from edgewatch.pipeline.verdict_rows import VERDICT_COLUMNS, verdict_of_row

LONGEST_CLIP_SECONDS = 600.0
"""No clip is longer; bounds how far beyond a moment the verdicts about it are looked for."""

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
        return [verdict_of_row(row) for row in rows]

    def coverage(self, camera: CameraName, since_ms: int, until_ms: int) -> list[Interval]:
        """Return the intervals that overlap [since, until), whole, in order of time."""
        return [Interval(camera, *span) for span in self.spans(camera, since_ms, until_ms)]

    def spans(self, camera: CameraName, since_ms: int, until_ms: int) -> Sequence[Span]:
        """Return the same as `coverage`, at a third of the cost where there are very many."""
        return self._rows(
            coverage_rows.OVERLAPPING, {"camera": camera, "since": since_ms, "until": until_ms}
        )

    def known_since(self, camera: CameraName) -> float | None:
        """Return the Unix time at which a camera's records begin; None: there are none."""
        rows = self._rows(
            "SELECT min(known) FROM (SELECT min(start_ms) / 1000.0 AS known FROM coverage "
            "WHERE camera = :camera UNION ALL SELECT start_seconds FROM (SELECT start_seconds "
            "FROM verdicts WHERE camera = :camera ORDER BY end_seconds LIMIT 1))",
            {"camera": camera},
        )
        return None if rows[0][0] is None else float(rows[0][0])

    def coverage_cameras(self) -> list[CameraName]:
        """Return the names of all cameras that coverage is known of, sorted; no recordings."""
        return [name for (name,) in self._rows(_NAMES.format(table="coverage"))]

    def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
        *,
        drills: bool = False,
    ) -> list[Event]:
        """Return the newest events that were going on at or after `since`, newest last.

        None stands for every camera, and for all of time. `drills`: the events of fire drills
        instead of all others, as in the next two.
        """
        return self.events_between(camera, since_seconds, None, limit, drills=drills)

    def events_between(
        self,
        camera: CameraName | None,
        since_seconds: float | None,
        until_seconds: float | None,
        limit: int = 1000,
        *,
        drills: bool = False,
    ) -> list[Event]:
        """Return the newest events that were going on within [since, until), newest last."""
        found = event_rows.overlapping(camera, since_seconds, until_seconds, limit, drills=drills)
        rows = self._rows(*found)
        return [decode_event(snapshot) for (snapshot,) in reversed(rows)]

    def events_page(
        self, search: EventSearch, *, before: tuple[float, str] | None = None, limit: int = 50
    ) -> list[Event]:
        """Return the newest events that are searched for, newest first.

        `before`: (start_seconds, event_id) of the last event of the page before this one.
        """
        rows = self._rows(*search.page(before, limit))
        return [decode_event(snapshot) for (snapshot,) in rows]

    def count_events(self, search: EventSearch) -> int:
        """Return how many events are searched for."""
        return int(self._rows(*search.count())[0][0])

    def events_with_prefix(self, prefix: str, limit: int = 2) -> list[Event]:
        """Return events whose id begins so; an empty prefix begins none."""
        rows = self._rows(*event_rows.with_prefix(prefix, limit)) if prefix else []
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

    def events_changed(
        self, after_change: int, limit: int = 1000, *, drills: bool = False
    ) -> list[tuple[int, Event]]:
        """Return (change, event) of the events changed after that one, in order of their change.

        Poll with the last number returned. An event that changed several times in between comes
        once, as it is now. Numbers only grow.
        """
        rows = self._rows(*event_rows.changed(after_change, limit, drills=drills))
        return [(change, decode_event(snapshot)) for change, snapshot in rows]

    def cameras(self) -> list[CameraName]:
        """Return the names of all cameras that anything is known of, sorted; no drill's shadow."""
        names: set[CameraName] = set()
        for table in ("verdicts", "coverage", "events"):
            names.update(name for (name,) in self._rows(_NAMES.format(table=table)))
        return sorted(name for name in names if camera_of(name) == name)

    # -- scores ------------------------------------------------------------------------------

    def scores(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[tuple[float, float, float]]:
        """Return (end_seconds, score, threshold) of the clips that end within [since, until)."""
        return self._rows(timeline.SCORES, (camera, since_seconds, until_seconds))

    def score_spans(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[tuple[float, float, float, float]]:
        """Return (start_seconds, end_seconds, score, threshold) of the same clips."""
        return self._rows(timeline.SPANS, (camera, since_seconds, until_seconds))

    def engine_since(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> tuple[str, float | None]:
        """Return which engine judged last within [since, until), and since when it alone did.

        The time is the end of the last clip that another one judged; None: there is none. The
        name is empty if nothing was judged.
        """
        values = {"camera": camera, "since": since_seconds, "until": until_seconds}
        within = "camera = :camera AND end_seconds >= :since AND end_seconds < :until"
        rows = self._rows(
            f"SELECT engine FROM verdicts WHERE {within} ORDER BY end_seconds DESC LIMIT 1", values
        )
        if not rows:
            return "", None
        engine = str(rows[0][0])
        others = self._rows(
            f"SELECT max(end_seconds) FROM verdicts WHERE {within} AND engine != :engine",
            {**values, "engine": engine},
        )
        return engine, others[0][0]

    def timeline(
        self, camera: CameraName, since_seconds: float, until_seconds: float, buckets: int
    ) -> list[ScoreBucket]:
        """Sum the scores of [since, until) up in at most so many stretches of equal length.

        A clip counts where it ends; stretches without a clip are left out. Long timelines are cut
        at whole minutes, see `Grid`. Raises ValueError for no time.
        """
        grid = Grid.of(since_seconds, until_seconds, buckets)
        return [grid.bucket(row) for row in self._rows(*grid.query(camera))]

    # -- feedback, evidence, settings --------------------------------------------------------

    def feedback(self, event_id: str) -> Feedback | None:
        """Return what was said of an event, or None."""
        return self.feedback_of([event_id]).get(event_id)

    def feedback_of(self, event_ids: Sequence[str]) -> dict[str, Feedback]:
        """Return by event what was said of these."""
        rows = self._rows(feedback_rows.OF_EVENTS, (json.dumps(list(event_ids)),))
        return {row[0]: feedback_rows.feedback_of(row) for row in rows}

    def feedback_since(self, camera: CameraName, since_seconds: float) -> list[Feedback]:
        """Return what was said of a camera's events that started at or after `since`, in order."""
        rows = self._rows(feedback_rows.SINCE, (camera, since_seconds))
        return [feedback_rows.feedback_of(row) for row in rows]

    def evidence(self, event_id: str) -> EvidenceRow | None:
        """Return what is on disk of an event, or None."""
        return self.evidence_of([event_id]).get(event_id)

    def evidence_of(self, event_ids: Sequence[str]) -> dict[str, EvidenceRow]:
        """Return by event what is on disk of these."""
        rows = self._rows(evidence_rows.OF_EVENTS, (json.dumps(list(event_ids)),))
        return {row[0]: evidence_rows.evidence_of(row) for row in rows}

    def evidence_oldest(self, limit: int) -> list[EvidenceRow]:
        """Return the oldest evidence that is not protected, oldest first."""
        rows = self._rows(evidence_rows.OLDEST, (limit,))
        return [evidence_rows.evidence_of(row) for row in rows]

    def evidence_in_state(self, state: str) -> list[EvidenceRow]:
        """Return all evidence in this state, oldest first; at a start, what a crash left."""
        rows = self._rows(evidence_rows.IN_STATE, (state,))
        return [evidence_rows.evidence_of(row) for row in rows]

    def evidence_bytes(self) -> int:
        """Return the size of all evidence together, protected or not."""
        return int(self._rows("SELECT coalesce(sum(size_bytes), 0) FROM evidence")[0][0])

    def setting_changes(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[SettingChange]:
        """Return the changes of a camera's settings within [since, until), in order."""
        rows = self._rows(setting_rows.BETWEEN, (camera, since_seconds, until_seconds))
        return [setting_rows.change_of(row) for row in rows]

    def settings_at(self, camera: CameraName, at_seconds: float) -> dict[str, SettingChange]:
        """Return by key the last change of a camera's settings up to a moment."""
        rows = self._rows(setting_rows.IN_FORCE, {"camera": camera, "at": at_seconds})
        return {change.key: change for change in map(setting_rows.change_of, rows)}

    def drills(self, camera: str | None = None, limit: int = 20) -> list[DrillResult]:
        """Return the newest fire drills, newest first; None: of every camera."""
        rows = self._rows(drill_rows.NEWEST, {"camera": camera, "limit": limit})
        return [drill_rows.result_of(text) for (text,) in rows]

    def last_drills(self) -> dict[str, DrillResult]:
        """Return by camera its newest fire drill."""
        found = [drill_rows.result_of(text) for (text,) in self._rows(drill_rows.LATEST)]
        return {one.camera: one for one in found}

    def drills_passed(self) -> dict[str, float]:
        """Return by camera the Unix time at which its newest drill that passed began."""
        return dict(self._rows(drill_rows.PASSED))

    def setting(self, key: str) -> str | None:
        """Return what an operator set at run time, or None."""
        rows = self._rows("SELECT value FROM settings WHERE key = ?", (key,))
        return str(rows[0][0]) if rows else None

    def _rows(self, statement: str, values: Sequence[object] | dict[str, object] = ()) -> list[Any]:
        try:
            return self._database.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise StoreError(self._database.trouble(error)) from error


def open_readonly(path: Path, *, busy_seconds: float = 2.0) -> Records:
    """Open a database for reading while its daemon writes, or while none runs.

    Raises StoreError naming the file and the cure.
    """
    return Records(Database.readonly(path, busy_seconds=busy_seconds))
