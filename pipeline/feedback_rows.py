"""The rows of the table `feedback`: what people said of events. Pure."""

from __future__ import annotations

from typing import Any

from edgewatch.pipeline.types import Feedback

COLUMNS = "event_id, camera, correct, note, given_by, given_seconds"

SAVE = f"INSERT OR REPLACE INTO feedback ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"

OF_EVENTS = f"SELECT {COLUMNS} FROM feedback WHERE event_id IN (SELECT value FROM json_each(?))"

# By the event's time, not the answer's: tuning wants the events of the scores it has.
SINCE = f"""
SELECT {COLUMNS} FROM (
    SELECT event_id, start_seconds FROM events INDEXED BY events_by_camera
    WHERE camera = ? AND start_seconds >= ?) AS found
CROSS JOIN feedback USING (event_id) ORDER BY start_seconds, event_id"""

FORGET = "DELETE FROM feedback WHERE event_id IN (SELECT value FROM json_each(?))"


def feedback_row(feedback: Feedback) -> tuple[object, ...]:
    """Return the values in the order of COLUMNS."""
    return (
        feedback.event_id,
        feedback.camera,
        feedback.correct,
        feedback.note,
        feedback.given_by,
        feedback.given_seconds,
    )


def feedback_of(row: tuple[Any, ...]) -> Feedback:
    """Return the feedback of a row of COLUMNS."""
    return Feedback(row[0], row[1], bool(row[2]), *row[3:])
