"""The rows of the table `evidence`: what is on disk of each event. Pure."""

from __future__ import annotations

from typing import Any

from edgewatch.pipeline.types import EvidenceRow

COLUMNS = "event_id, camera, state, detail, folder, size_bytes, created_seconds, protected"

# A row that is there keeps its protection: whoever writes the files does not know of it.
SAVE = f"""
INSERT INTO evidence ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO UPDATE SET
    camera = excluded.camera, state = excluded.state, detail = excluded.detail,
    folder = excluded.folder, size_bytes = excluded.size_bytes,
    created_seconds = excluded.created_seconds"""

PROTECT = "UPDATE evidence SET protected = ? WHERE event_id = ?"

OF_EVENTS = f"SELECT {COLUMNS} FROM evidence WHERE event_id IN (SELECT value FROM json_each(?))"

OLDEST = f"""
SELECT {COLUMNS} FROM evidence WHERE NOT protected
ORDER BY created_seconds, event_id LIMIT ?"""

IN_STATE = f"SELECT {COLUMNS} FROM evidence WHERE state = ? ORDER BY created_seconds, event_id"


def evidence_row(row: EvidenceRow) -> tuple[object, ...]:
    """Return the values in the order of COLUMNS."""
    return (
        row.event_id,
        row.camera,
        row.state,
        row.detail,
        row.folder,
        row.size_bytes,
        row.created_seconds,
        row.protected,
    )


def evidence_of(row: tuple[Any, ...]) -> EvidenceRow:
    """Return what a row of COLUMNS says."""
    event_id, camera, state, detail, folder, size_bytes, created_seconds, protected = row
    return EvidenceRow(
        event_id, camera, state, detail, folder, size_bytes, created_seconds, bool(protected)
    )
