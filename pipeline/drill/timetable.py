"""The timetable: when a camera is due for a fire drill. Pure; all times are local and naive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

WINDOW: Final = timedelta(hours=2)
"""How long after its time a drill may still begin: another was under way, or an event was open."""


@dataclass(frozen=True, slots=True)
class Timetable:
    """A time of day, and every how many days; `at` None: nothing is scheduled."""

    at: time | None
    every_days: int

    def is_due(self, now: datetime, last: datetime | None) -> bool:
        """Whether a camera whose last drill was then is to be drilled now."""
        begins = self._begins_before(now)
        return begins is not None and now < begins + WINDOW and self._is_for(begins, last)

    def next(self, now: datetime, last: datetime | None) -> datetime | None:
        """Return when the next drill is due, which may be a little ago; None: never."""
        begins = self._begins_before(now)
        if begins is None:
            return None
        if now >= begins + WINDOW:
            begins += timedelta(days=1)
        while not self._is_for(begins, last):
            begins += timedelta(days=1)
        return begins

    def _begins_before(self, now: datetime) -> datetime | None:
        if self.at is None:
            return None
        begins = datetime.combine(now.date(), self.at)
        return begins if begins <= now else begins - timedelta(days=1)

    def _is_for(self, begins: datetime, last: datetime | None) -> bool:
        """Whether no drill was since the time of `every_days - 1` days before."""
        return last is None or last < begins - timedelta(days=self.every_days - 1)
