"""Opening what may hang: FFmpeg cannot be called back, so a stop does not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_LOOK_SECONDS = 0.1


class Closable(Protocol):
    """What was opened."""

    def close(self) -> None:
        """Close it; once only."""


T = TypeVar("T", bound=Closable)


def opened(open_it: Callable[[], T], *, stopped: Callable[[], bool]) -> T | None:
    """Return what `open_it` opens, or None as soon as `stopped` says so; raises what it raises.

    `open_it` runs in a thread of its own for as long as it takes. What it opens after a stop it
    closes itself: a container is never closed while another thread is inside it.
    """
    opening = _Opening(open_it)
    # A daemon: a call of FFmpeg that hangs must not keep the process from exiting
    threading.Thread(target=opening.run, name="open", daemon=True).start()
    while not opening.done.wait(_LOOK_SECONDS):
        if stopped():
            opening.abandon()
            return None
    return opening.result()


class _Opening(Generic[T]):
    def __init__(self, open_it: Callable[[], T]) -> None:
        self.done = threading.Event()
        self._open_it = open_it
        self._lock = threading.Lock()
        self._is_abandoned = False
        self._it: T | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._it = self._open_it()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
        with self._lock:
            if self._is_abandoned and self._it is not None:
                self._it.close()
            self.done.set()

    def abandon(self) -> None:
        """Leave it to its thread; what has just been opened is closed here."""
        with self._lock:
            self._is_abandoned = True
            if self.done.is_set() and self._it is not None:
                self._it.close()

    def result(self) -> T | None:
        error, self._error = self._error, None  # or it would lie in a circle with its own frames
        try:
            if error is not None:
                raise error
            return self._it
        finally:
            del error
