"""Pruning: records that are too old are deleted, a bounded part at a time.

Events whose evidence a person protects stay, with what was said of them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from edgewatch.pipeline import feedback_rows, setting_rows
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.verdict_rows import MINUTE_SECONDS

PRUNE_ROWS = 2_000
"""Most rows of a table, of all cameras together, that one call deletes: no event waits for it
long."""

_VERDICTS = """
DELETE FROM verdicts WHERE camera = ? AND (end_seconds, clip_id) IN (
    SELECT end_seconds, clip_id FROM verdicts WHERE camera = ? AND end_seconds < ?
    ORDER BY end_seconds LIMIT ?)"""
_MINUTES = """
DELETE FROM score_minutes WHERE camera = ? AND minute IN (
    SELECT minute FROM score_minutes WHERE camera = ? AND minute < ? ORDER BY minute LIMIT ?)"""
_COVERAGE = """
DELETE FROM coverage WHERE camera = ? AND start_ms IN (
    SELECT start_ms FROM coverage WHERE camera = ? AND end_ms < ? ORDER BY start_ms LIMIT ?)"""
_EVENTS = """
DELETE FROM events WHERE event_id IN (
    SELECT event_id FROM events WHERE end_seconds < ?
    AND event_id NOT IN (SELECT event_id FROM evidence WHERE protected)
    ORDER BY start_seconds LIMIT ?)
RETURNING event_id"""


def delete(
    db: sqlite3.Connection,
    cameras: Sequence[CameraName],
    *,
    records_before_seconds: float,
    events_before_seconds: float,
) -> int:
    """Delete what ended before, and what was said of the events that go; return the rows deleted.

    Runs inside a transaction of the caller and raises sqlite3.Error.
    """
    deleted = 0
    for statement, before in (
        (_VERDICTS, records_before_seconds),
        (_MINUTES, int(records_before_seconds // MINUTE_SECONDS)),
        (_COVERAGE, int(records_before_seconds * 1000)),
    ):
        left = PRUNE_ROWS
        for camera in cameras:
            left -= db.execute(statement, (camera, camera, before, left)).rowcount
            if left <= 0:
                break
        deleted += PRUNE_ROWS - left
    gone = db.execute(_EVENTS, (events_before_seconds, PRUNE_ROWS)).fetchall()
    db.execute(feedback_rows.FORGET, (json.dumps([event_id for (event_id,) in gone]),))
    changes = (records_before_seconds, records_before_seconds, PRUNE_ROWS)
    return deleted + len(gone) + db.execute(setting_rows.PRUNE, changes).rowcount
