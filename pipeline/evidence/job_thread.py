"""The thread in which the small files of evidence are written, one job after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from edgewatch.pipeline.evidence.trouble import EvidenceFailed

log = structlog.get_logger(__name__)

T = TypeVar("T")

MOST_JOBS = 512
"""Jobs that wait; more are left out."""
MOST_BYTES = 256_000_000
"""Of pictures that jobs hold while they wait, say for a disk that hangs."""


class JobThread:
    """Does jobs in order. `on_trouble(error)` is called on it when the disk took no file."""

    def __init__(self, *, on_trouble: Callable[[EvidenceFailed], None]) -> None:
        self.left_out = 0
        """Jobs that were not taken in."""
        self._on_trouble = on_trouble
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="evidence-files")
        self._jobs = self._bytes = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None], *, holds_bytes: int = 0, must: bool = False) -> bool:
        """Hand over a job; False, and counted, if too much waits already.

        `must`: however much waits. For jobs of which others bound the number.
        """
        with self._lock:
            full = self._jobs >= MOST_JOBS or self._bytes + holds_bytes > MOST_BYTES
            if full and not must:
                self.left_out += 1
                return False
            self._jobs += 1
            self._bytes += holds_bytes
        try:
            self._executor.submit(self._run, job, holds_bytes)
        except RuntimeError:  # closed
            self._done(holds_bytes)
            return False
        return True

    async def do(self, work: Callable[[], T]) -> T:
        """Wait for work that is done after what was handed over before, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        """Take no more, and wait for nothing; idempotent."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Callable[[], None], holds_bytes: int) -> None:
        try:
            job()
        except EvidenceFailed as error:
            if error.disk:
                self._on_trouble(error)
        except Exception:
            log.exception("evidence not written")
        finally:
            self._done(holds_bytes)

    def _done(self, holds_bytes: int) -> None:
        with self._lock:
            self._jobs -= 1
            self._bytes -= holds_bytes
