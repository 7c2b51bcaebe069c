"""The model's own thread: one job at a time, urgent ones first."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar, cast

from edgewatch.pipeline.errors import EngineBusy, EngineFailed

R = TypeVar("R")


class Turn:
    """A job's side of its turn: whether it should end before it is done."""

    def __init__(self, worker: Worker, *, urgent: bool) -> None:
        self.urgent = urgent
        self._worker = worker
        self._left = False

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits for the job."""
        return not self._left and not self._worker.stopping

    @property
    def overtaken(self) -> bool:
        """Whether an urgent job waits behind this one, which is not."""
        return not self.urgent and self._worker.urgent_waits

    def give_way(self) -> None:
        """Raise EngineBusy if the job, a description, should end before it is done."""
        if self.overtaken:
            raise EngineBusy("the description was given up: clips wait to be scored")
        if not self.wanted:
            raise EngineBusy("the description was given up: nobody waits for it")

    def leave(self) -> None:
        """Say that nobody waits any more."""
        self._left = True


class _Job:
    def __init__(
        self, work: Callable[[Turn], Any], turn: Turn, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.turn = turn
        self.done: asyncio.Future[Any] = loop.create_future()
        self._work = work
        self._loop = loop

    def run(self) -> None:
        """Do the work in the calling thread and hand over what came of it."""
        try:
            result, error = self._work(self.turn), None
        except Exception as caught:  # noqa: BLE001 - handed to whoever awaits it
            result, error = None, caught
        self.hand_over(result, error)

    def hand_over(self, result: Any, error: Exception | None) -> None:
        """Let the caller have a result or an error; any thread may call."""
        try:
            self._loop.call_soon_threadsafe(self._settle, result, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    def _settle(self, result: Any, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        else:
            self.done.set_result(result)


class Worker:
    """One thread from `start` to `stop`; not started again. Methods belong to one event loop."""

    def __init__(self, name: str) -> None:
        # A daemon: a kernel that hangs must not keep the program from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._changed = threading.Condition()
        self._urgent: deque[_Job] = deque()
        self._other: deque[_Job] = deque()
        self._stopping = False
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Whether it was told to end; any thread may ask."""
        return self._stopping

    @property
    def urgent_waits(self) -> bool:
        """Whether an urgent job waits for its turn; any thread may ask."""
        return bool(self._urgent)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def run(self, work: Callable[[Turn], R], *, urgent: bool = True) -> R:
        """Have work done and return its result, or raise its error.

        Cancelled before its turn, it is not done; cancelled later, its turn says so. Raises
        EngineFailed if the thread is told to end before the work's turn.
        """
        job = _Job(work, Turn(self, urgent=urgent), self._loop)
        with self._changed:
            if self._stopping:
                raise EngineFailed("the engine is being closed")
            (self._urgent if urgent else self._other).append(job)
            self._changed.notify()
        try:
            return cast(R, await job.done)
        except asyncio.CancelledError:
            job.turn.leave()
            raise

    async def stop(self, within_seconds: float) -> bool:
        """End the thread after the job under way, dropping the others; False if it still runs."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if not self.alive:
            return True
        try:
            async with asyncio.timeout(within_seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        self._thread.join()
        return True

    def _run(self) -> None:
        while (job := self._next()) is not None:
            if job.turn.wanted:
                job.run()
        for job in (*self._urgent, *self._other):
            job.hand_over(None, EngineFailed("the engine was closed"))
        try:
            self._loop.call_soon_threadsafe(self._ended.set)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._urgent or self._other)
            if self._stopping:
                return None
            return (self._urgent or self._other).popleft()
