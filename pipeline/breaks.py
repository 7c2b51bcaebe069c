"""Breaks in a camera's footage that no window spans, and why."""

from __future__ import annotations

from typing import NamedTuple

from edgewatch.pipeline.frames import gap_seconds
from edgewatch.pipeline.types import Coverage


class Break(NamedTuple):
    """Time of which nothing is judged."""

    since_seconds: float
    """Unix time."""
    until_seconds: float
    why: Coverage


class Breaks:
    """Finds the breaks of one camera from the times of its frames. Pure."""

    def __init__(self, *, fps: float, seconds: float) -> None:
        """`seconds`: length of a window."""
        self._step_seconds = 1.0 / fps
        self._seconds = seconds
        self._gap_seconds = gap_seconds(fps)
        self._seen_until_seconds: float | None = None
        self._corrupt = 0

    def frame(self, time_seconds: float, corrupt: int) -> Break | None:
        """Take a frame's Unix time and how many packets of its connection were corrupt so far."""
        since_seconds, was_corrupt = self._seen_until_seconds, corrupt > self._corrupt
        self._seen_until_seconds = time_seconds + self._step_seconds
        self._corrupt = corrupt
        if since_seconds is None or time_seconds <= since_seconds:
            return None
        missing_seconds = time_seconds - since_seconds
        if missing_seconds + self._step_seconds <= self._gap_seconds:
            return None
        quiet: Coverage = "offline" if missing_seconds >= self._seconds else "too_short"
        return Break(since_seconds, time_seconds, "corrupt" if was_corrupt else quiet)

    def end(self, reason: str | None, now_seconds: float) -> Break | None:
        """Close a connection that ended now: well (None), or by an error of that `reason`.

        Nothing came since its last frame, though it took a while to see that (a stall).
        """
        since_seconds = self._seen_until_seconds
        self._seen_until_seconds, self._corrupt = None, 0
        if reason is None or since_seconds is None or since_seconds >= now_seconds:
            return None
        why: Coverage = "corrupt" if reason == "corrupt" else "offline"
        return Break(since_seconds, now_seconds, why)
