"""The rows of the table `coverage`: disjoint, and as few as tell the same.

All functions run inside a transaction of the caller and raise sqlite3.Error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edgewatch.pipeline.types import CameraName, Coverage, Interval

OVERLAPPING = """
SELECT start_ms, end_ms, coverage FROM coverage
WHERE camera = :camera AND start_ms < :until AND end_ms > :since AND start_ms >= coalesce(
    (SELECT max(start_ms) FROM coverage WHERE camera = :camera AND start_ms <= :since), :since)
ORDER BY start_ms"""
"""Rows are disjoint, so only the last one that starts before `since` may reach into it."""

LEAST_RECOVERED_MS = 1_000
"""A clip ends a sampling period after its last frame, so it may outlast a clean stop that much."""

_PREVIOUS = """
SELECT start_ms, end_ms, coverage FROM coverage WHERE camera = ? AND start_ms < ?
ORDER BY start_ms DESC LIMIT 1"""

# The newest row of each camera with verdicts, without reading the others.
_LAST_COVERED = """
WITH RECURSIVE names(name) AS (
    SELECT min(camera) FROM verdicts
    UNION ALL
    SELECT (SELECT min(camera) FROM verdicts WHERE camera > name) FROM names WHERE name NOT NULL)
SELECT name, coalesce(
    (SELECT end_ms FROM coverage WHERE camera = name ORDER BY start_ms DESC LIMIT 1), 0)
FROM names WHERE name NOT NULL"""

_JUDGED_SINCE = """
SELECT start_seconds, end_seconds FROM verdicts
WHERE camera = ? AND end_seconds > ? AND NOT replay ORDER BY end_seconds"""


def add(db: sqlite3.Connection, intervals: Sequence[Interval]) -> None:
    """Write intervals; what is covered already stays as it is, equal rows that touch become one."""
    for interval in intervals:
        for start_ms, end_ms in _uncovered(db, interval):
            _insert_merged(db, interval.camera, start_ms, end_ms, interval.coverage)


def recover(db: sqlite3.Connection) -> None:
    """Cover what verdicts tell of the time after each camera's last row.

    A process that is killed has written its verdicts, but not what its ledger had yet to settle.
    Only what was judged can be known; the rest of that time stays uncovered.
    """
    for camera, covered_ms in db.execute(_LAST_COVERED).fetchall():
        spans = db.execute(_JUDGED_SINCE, (camera, covered_ms / 1000)).fetchall()
        spans_ms = [(max(covered_ms, round(a * 1000)), round(b * 1000)) for a, b in spans]
        if spans_ms and spans_ms[-1][1] - covered_ms >= LEAST_RECOVERED_MS:
            add(db, [Interval(camera, *span, "judged") for span in spans_ms])


def _uncovered(db: sqlite3.Connection, interval: Interval) -> list[tuple[int, int]]:
    """Return the parts of an interval that no row covers yet, as (start, end)."""
    span = {"camera": interval.camera, "since": interval.start_ms, "until": interval.end_ms}
    parts = []
    start_ms = interval.start_ms
    for known_start_ms, known_end_ms, _ in db.execute(OVERLAPPING, span).fetchall():
        if start_ms < known_start_ms:
            parts.append((start_ms, known_start_ms))
        start_ms = max(start_ms, known_end_ms)
    if start_ms < interval.end_ms:
        parts.append((start_ms, interval.end_ms))
    return parts


def _insert_merged(
    db: sqlite3.Connection, camera: CameraName, start_ms: int, end_ms: int, coverage: Coverage
) -> None:
    """Write a stretch that no row covers, as one row with equal rows that touch it."""
    touching = db.execute(
        "DELETE FROM coverage WHERE camera = ? AND start_ms = ? AND coverage = ? RETURNING end_ms",
        (camera, end_ms, coverage),
    ).fetchone()
    if touching:
        end_ms = touching[0]
    previous = db.execute(_PREVIOUS, (camera, start_ms)).fetchone()
    if previous and previous[1:] == (start_ms, coverage):
        start_ms = previous[0]
    db.execute(
        "INSERT OR REPLACE INTO coverage VALUES (?, ?, ?, ?)", (camera, start_ms, end_ms, coverage)
    )
