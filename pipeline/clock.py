"""The clock every stage is given: wall time and monotonic time, so that tests bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time, callable from any thread."""

    def wall_seconds(self) -> float:
        """Unix time; may be set back or forth by the system."""

    def monotonic_seconds(self) -> float:
        """Time that only grows; for delays and latencies."""


class SystemClock:
    """The machine's own clocks."""

    def wall_seconds(self) -> float:
        """Return Unix time."""
        return time.time()

    def monotonic_seconds(self) -> float:
        """Return the monotonic clock, in seconds from an arbitrary start."""
        return time.monotonic()
