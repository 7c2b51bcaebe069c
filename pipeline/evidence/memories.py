"""What the engine knew before it judged a clip: asked for as long as it remembers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

from edgewatch.pipeline.errors import EngineError
from edgewatch.pipeline.types import CameraName

log = structlog.get_logger(__name__)

MOST_WANTED = 64
ANSWER_SECONDS = 5.0
"""An engine that is busy for longer has forgotten by then."""


class Remembers(Protocol):
    """An engine, as far as its memory is evidence."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return what was known of a camera when a recent clip was judged."""


class WantedMemories:
    """Memories that were asked for and did not come yet."""

    def __init__(self, engine: Remembers, *, on_change: Callable[[], None]) -> None:
        self.left_out = 0
        self._engine = engine
        self._on_change = on_change
        self._wanted: dict[tuple[CameraName, str], Callable[[bytes], None]] = {}

    def want(self, camera: CameraName, clip_id: str, take: Callable[[bytes], None]) -> None:
        """Have `take` called with the memory of a clip, if there is any."""
        if len(self._wanted) >= MOST_WANTED:
            self.left_out += 1
            return
        self._wanted[camera, clip_id] = take
        self._on_change()

    async def ask(self) -> None:
        """Ask the engine for all; gives up on all when it lets us wait."""
        while self._wanted:
            camera, clip_id = next(iter(self._wanted))
            take = self._wanted.pop((camera, clip_id))
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    memory = await self._engine.memory_of(camera, clip_id)
            except EngineError as error:
                log.info("engine's memory not kept", camera=camera, reason=str(error))
                continue
            except TimeoutError:
                self._give_up()
                return
            if memory is not None:
                take(memory)

    def _give_up(self) -> None:
        given_up = 1 + len(self._wanted)
        self._wanted.clear()
        self.left_out += given_up
        log.warning("engine's memories not kept", clips=given_up, waited_seconds=ANSWER_SECONDS)
