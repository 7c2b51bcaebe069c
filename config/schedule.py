"""When a camera is judged: weekly windows of local time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Window:
    """Hours on some days of the week. One that ends before it starts runs past midnight."""

    days: frozenset[int]
    """Days on which it starts; Monday is 0."""
    start_minute: int
    """Minutes since midnight; included."""
    end_minute: int
    """Excluded; 24:00 is 1440."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "Mon-Fri 08:00-18:00", "Sat,Sun 22:00-06:00", "Sun" or "07:00-24:00" (every day).

        Raises ValueError, whose text says which part cannot be read.
        """
        match = re.fullmatch(r"(?P<days>[^\d]*)(?P<hours>\d.*)?", text.strip())
        if match is None or not text.strip():
            raise ValueError(f'"{text}" is no schedule')
        start, end = _hours(match["hours"]) if match["hours"] else (0, DAY_MINUTES)
        return cls(_days(match["days"]) if match["days"] else frozenset(range(7)), start, end)

    def covers(self, local: datetime) -> bool:
        """Whether a local time lies in the window."""
        minute = local.hour * 60 + local.minute
        today = local.weekday() in self.days
        if self.start_minute < self.end_minute:
            return today and self.start_minute <= minute < self.end_minute
        started_yesterday = (local.weekday() - 1) % 7 in self.days
        return (today and minute >= self.start_minute) or (
            started_yesterday and minute < self.end_minute
        )


@dataclass(frozen=True, slots=True)
class Schedule:
    """All windows of one camera; without any, it is always judged."""

    windows: tuple[Window, ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> Self:
        """Read the `schedule` of a camera. Raises ValueError."""
        return cls(tuple(Window.parse(text) for text in texts))

    def covers(self, local: datetime) -> bool:
        """Whether the camera is judged at a local time."""
        return not self.windows or any(window.covers(local) for window in self.windows)


def _days(text: str) -> frozenset[int]:
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                f'"{part.strip()}" is no day of the week (Mon, Tue, Wed, Thu, Fri, Sat, Sun)'
            )
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        days.update((start + offset) % 7 for offset in range(length + 1))
    return frozenset(days)


def _hours(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", text)
    if match is None:
        raise ValueError(f'"{text}" are no hours such as 08:00-18:00')
    start_hour, start_minute, end_hour, end_minute = (int(part) for part in match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if max(start_minute, end_minute) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise ValueError(f'"{text}" holds a time that no clock shows')
    if start == end:
        raise ValueError(f'"{text}" starts and ends at the same time')
    return start, end
