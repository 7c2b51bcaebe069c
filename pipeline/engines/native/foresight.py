"""Pairs of frames that wait to be seen before their clips are asked about.

They are seen while no clip is under way, so that an engine with much to do loses nothing to clips
that may never be asked about: their pairs are then seen with them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.errors import EngineFailed

log = structlog.get_logger(__name__)

MOST_WAITING = 64
"""Pairs; the oldest give way."""
AT_ONCE = 8
"""Pairs seen in one go: a clip that comes meanwhile waits no longer than for these."""


class Foresight:
    """The pairs of one model. All methods belong to one event loop."""

    def __init__(self, see: Callable[[Sequence[AskedClip]], Awaitable[None]]) -> None:
        """`see` returns when the device is through with pairs; may raise EngineFailed."""
        self._see = see
        self._waiting: deque[AskedClip] = deque()
        self._asked = 0
        """Batches under way."""
        self._seeing: asyncio.Task[None] | None = None
        self.forgone = 0
        """Pairs that were let go."""

    def offer(self, pairs: Sequence[AskedClip]) -> None:
        """Take pairs; returns at once."""
        self._waiting.extend(pairs)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self.forgone += 1
        self._go_on()

    @contextmanager
    def held_back(self, clips: Sequence[AskedClip]) -> Iterator[None]:
        """See nothing beforehand while clips are under way, and of these nothing at all."""
        named = {(clip.camera, time) for clip in clips for time in clip.times}
        self._let_go(lambda pair: (pair.camera, pair.times[0]) in named)
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1
            self._go_on()

    def forget(self, camera: str) -> None:
        """Let go of a camera's pairs."""
        self._let_go(lambda pair: pair.camera == camera)

    def close(self) -> None:
        """Let go of all pairs; idempotent."""
        self._waiting.clear()
        if self._seeing is not None:
            self._seeing.cancel()
            self._seeing = None

    def _let_go(self, unwanted: Callable[[AskedClip], bool]) -> None:
        left = [pair for pair in self._waiting if not unwanted(pair)]
        self.forgone += len(self._waiting) - len(left)
        self._waiting = deque(left)

    def _go_on(self) -> None:
        idle = self._seeing is None or self._seeing.done()
        if idle and self._waiting and not self._asked:
            self._seeing = asyncio.get_running_loop().create_task(self._see_all(), name="foresee")

    async def _see_all(self) -> None:
        while self._waiting and not self._asked:
            pairs = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            try:
                await self._see(pairs)
            except EngineFailed as error:
                # If the device is broken, the next clip says so to somebody who can help.
                self.forgone += len(pairs)
                log.warning("pairs not seen beforehand", pairs=len(pairs), reason=str(error))
                return
