"""Clocks that tests advance: for pure code and threads, and an event loop on virtual time."""

from __future__ import annotations

import asyncio
import selectors
import threading


class ManualClock:
    """A clock that moves only when it is told to; wall and monotonic time move together."""

    def __init__(
        self, wall_seconds: float = 1_700_000_000.0, monotonic_seconds: float = 1_000.0
    ) -> None:
        self._lock = threading.Lock()
        self._wall = wall_seconds
        self._monotonic = monotonic_seconds

    def wall_seconds(self) -> float:
        with self._lock:
            return self._wall

    def monotonic_seconds(self) -> float:
        with self._lock:
            return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("time does not go back; see set_wall for a clock that is set")
        with self._lock:
            self._wall += seconds
            self._monotonic += seconds

    def set_wall(self, wall_seconds: float) -> None:
        """Set the wall clock, forth or back, as an operator or NTP may."""
        with self._lock:
            self._wall = wall_seconds


class ManualSignal:
    """A stop signal whose waits pass at once, on a ManualClock; each wait is kept in `waits`."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._event = threading.Event()
        self.waits: list[float] = []

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is None:
            return self._event.wait()
        if not self._event.is_set():
            self.waits.append(timeout)
            self._clock.advance(timeout)
        return self._event.is_set()


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer whenever nothing else is ready.

    Hours pass at once. Only where no thread, process or socket of the outside takes part: they
    would be overtaken. Use: `asyncio.Runner(loop_factory=VirtualTimeLoop)`.
    """

    def __init__(self) -> None:
        self._virtual_seconds = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._virtual_seconds

    def jump(self, seconds: float) -> None:
        """Let time pass; called by the selector."""
        self._virtual_seconds += seconds


class _JumpingSelector(selectors.DefaultSelector):
    """Polls; what it would have waited is added to the loop's time instead."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits for something that virtual time cannot bring")
        self._loop.jump(timeout)
        return ready
