"""A thread that takes urgent work first: an alert overtakes a page's questions on its way."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class UrgentThread(Executor):
    """Runs calls one after the other in one thread of its own; those of `urgent` before all others.

    Within each of the two they keep the order in which they came. What runs is never interrupted.
    """

    def __init__(self, name: str) -> None:
        self.urgent: Executor = _Urgent(self)
        """The same thread, for what may not wait behind other calls."""
        self._urgent: deque[Callable[[], None]] = deque()
        self._rest: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a call run when nothing urgent waits; from any thread. Raises RuntimeError."""
        return self._put(self._rest, call, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more; what was submitted is still run, unless `cancel_futures`. Idempotent."""
        with self._changed:
            self._over = True
            if cancel_futures:
                self._urgent.clear()
                self._rest.clear()
            self._changed.notify()
        if wait:
            self._thread.join()

    def _put(
        self,
        lane: deque[Callable[[], None]],
        call: Callable[P, T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whoever waits for it decides
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._changed:
            if self._over:
                raise RuntimeError("this thread takes no more work")
            lane.append(work)
            self._changed.notify()
        return future

    def _run(self) -> None:
        while work := self._next():
            work()

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while not (self._urgent or self._rest):
                if self._over:
                    return None
                self._changed.wait()
            return (self._urgent or self._rest).popleft()


class _Urgent(Executor):
    """The lane of an UrgentThread that goes first, as an executor."""

    def __init__(self, thread: UrgentThread) -> None:
        self._thread = thread

    def submit(self, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return self._thread._put(self._thread._urgent, call, *args, **kwargs)
