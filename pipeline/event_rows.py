"""The rows of the table `events`: how they are written, searched and paged through. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from edgewatch.pipeline.types import CameraName, DrillMark, Event

FeedbackFilter = Literal["true", "false", "none", "any"]
"""Only events found right, found false, without an answer, or with one."""

MOST_WALKS = 100
"""Walks along an index in one query; SQLite allows some hundreds."""

SAVE = (
    "INSERT OR REPLACE INTO events "
    "(event_id, camera, start_seconds, end_seconds, change, snapshot, suppressed) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)

SENT, RECORDED, DRILLED = 0, 1, 2
"""What `suppressed` holds: an alert; one that was recorded and not sent; a fire drill's event,
which is in no list, count or search of events. It stands there as every index has it."""

Query = tuple[str, dict[str, object]]
"""A statement and its values."""

_FEEDBACK = {
    "true": "event_id IN (SELECT event_id FROM feedback WHERE correct)",
    "false": "event_id IN (SELECT event_id FROM feedback WHERE NOT correct)",
    "none": "NOT EXISTS (SELECT 1 FROM feedback AS f WHERE f.event_id = events.event_id)",
    "any": "event_id IN (SELECT event_id FROM feedback)",
}


def event_row(event: Event, snapshot: str, change: int) -> tuple[object, ...]:
    """Return an event's values in the order of SAVE; `snapshot`: as `encode_event` has it."""
    return (
        event.event_id,
        event.camera,
        event.start_seconds,
        event.end_seconds,
        change,
        snapshot,
        DRILLED if event.drill else RECORDED if event.suppressed_by else SENT,
    )


def encode_event(event: Event) -> str:
    """Return the whole event as JSON, in ASCII (a model's words may hold anything)."""
    return json.dumps(asdict(event))


def decode_event(snapshot: str) -> Event:
    """Return the event that `encode_event` wrote."""
    values = json.loads(snapshot)
    if values.get("drill"):
        values["drill"] = DrillMark(**values["drill"])
    return Event(**values)


@dataclass(frozen=True, slots=True)
class EventSearch:
    """Which events are asked for; None stands for no such limit."""

    cameras: Sequence[CameraName] | None = None
    since_seconds: float | None = None
    """Events that start at or after this Unix time."""
    until_seconds: float | None = None
    """Events that start before it."""
    suppressed: bool | None = None
    """True: only those that were recorded and not sent; False: only the others."""
    feedback: FeedbackFilter | None = None

    def page(self, before: tuple[float, str] | None, limit: int) -> Query:
        """Return the query of the newest events that start before one, newest first.

        `before`: start and id of the last event of the page before.
        """
        values = {**self._values(), "limit": limit}
        conditions = self._conditions()
        if before is not None:
            conditions.append("(start_seconds, event_id) < (:before_start, :before_id)")
            values["before_start"], values["before_id"] = before
        # One walk along an index for each camera, so that a quiet one costs no search among the
        # others' events; rows are looked up for what is on the page alone.
        newest = " UNION ALL ".join(
            "SELECT * FROM (SELECT start_seconds, event_id FROM events INDEXED BY "
            f"{index}{_where([*conditions, *camera])} "
            "ORDER BY start_seconds DESC, event_id DESC LIMIT :limit)"
            for index, camera in self._walks()
        )
        return (
            f"SELECT snapshot FROM (SELECT * FROM ({newest}) "
            "ORDER BY start_seconds DESC, event_id DESC LIMIT :limit) AS page "
            "JOIN events USING (event_id) "
            "ORDER BY page.start_seconds DESC, page.event_id DESC",
            values,
        )

    def count(self) -> Query:
        """Return the query of how many there are."""
        counts = " UNION ALL ".join(
            f"SELECT count(*) AS found FROM events INDEXED BY {index}"
            f"{_where([*self._conditions(), *camera])}"
            for index, camera in self._walks()
        )
        return f"SELECT coalesce(sum(found), 0) FROM ({counts})", self._values()

    def _walks(self) -> list[tuple[str, list[str]]]:
        """Return (index, condition on the camera) for each index walked."""
        if self.cameras is None:
            return [("events_by_start", [])]
        if not self.cameras:
            return [("events_by_start", ["0"])]
        count = len(set(self.cameras))
        if count > MOST_WALKS:
            return [("events_by_start", ["camera IN (SELECT value FROM json_each(:cameras))"])]
        return [("events_by_camera", [f"camera = :camera_{number}"]) for number in range(count)]

    def _conditions(self) -> list[str]:
        conditions = []
        if self.since_seconds is not None:
            conditions.append("start_seconds >= :since")
        if self.until_seconds is not None:
            conditions.append("start_seconds < :until")
        wanted = "= :suppressed" if self.suppressed is not None else f"< {DRILLED}"
        conditions.append(f"suppressed {wanted}")
        if self.feedback is not None:
            conditions.append(_FEEDBACK[self.feedback])
        return conditions

    def _values(self) -> dict[str, object]:
        cameras = dict.fromkeys(self.cameras or ())
        return {
            **{f"camera_{number}": camera for number, camera in enumerate(cameras)},
            "cameras": json.dumps(list(cameras)),
            "since": self.since_seconds,
            "until": self.until_seconds,
            "suppressed": self.suppressed,
        }


def overlapping(
    camera: CameraName | None,
    since_seconds: float | None,
    until_seconds: float | None,
    limit: int,
    *,
    drills: bool = False,
) -> Query:
    """Return the query of the newest events going on within [since, until), newest first.

    `drills`: those of fire drills instead of all others.
    """
    conditions = [_told(drills)]
    if camera is not None:
        conditions.append("camera = :camera")
    if since_seconds is not None:
        conditions.append("(end_seconds IS NULL OR end_seconds >= :since)")
    if until_seconds is not None:
        conditions.append("start_seconds < :until")
    values: dict[str, object] = {
        "camera": camera,
        "since": since_seconds,
        "until": until_seconds,
        "limit": limit,
    }
    index = "events_by_start" if camera is None else "events_by_camera"
    return (
        "SELECT snapshot FROM (SELECT start_seconds, event_id FROM events INDEXED BY "
        f"{index}{_where(conditions)} ORDER BY start_seconds DESC, event_id DESC LIMIT :limit) "
        "AS found JOIN events USING (event_id) "
        "ORDER BY found.start_seconds DESC, found.event_id DESC",
        values,
    )


def with_prefix(prefix: str, limit: int) -> tuple[str, Sequence[object]]:
    """Return the query of the events whose id begins so, in order of their ids."""
    # Ids are ASCII: the highest code point ends the range of all that begin with the prefix
    return (
        "SELECT snapshot FROM events WHERE event_id >= ? AND event_id < ? "
        f"AND {_told(drills=False)} ORDER BY event_id LIMIT ?",
        (prefix, prefix + "\U0010ffff", limit),
    )


def changed(after_change: int, limit: int, *, drills: bool = False) -> tuple[str, Sequence[object]]:
    """Return the query of (change, snapshot) of what changed after that, in order of change."""
    return (
        f"SELECT change, snapshot FROM events WHERE change > ? AND {_told(drills)} "
        "ORDER BY change LIMIT ?",
        (after_change, limit),
    )


def _told(drills: bool) -> str:
    return f"suppressed {'=' if drills else '<'} {DRILLED}"


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""
