"""Words about suspects: found at lower priority, after the event was sent."""

from __future__ import annotations

import asyncio

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.types import Clip, Event
from edgewatch.pipeline.watch import Watch

SUSPECTS_WAITING = 8


class Words:
    """Describes the clip that opened an event; the words go out as its `update`."""

    def __init__(self, *, judge: Judge, chronicle: Chronicle, wanted: bool) -> None:
        self._judge = judge
        self._chronicle = chronicle
        self._wanted = wanted
        self._suspects: asyncio.Queue[tuple[Watch, Event, Clip] | None] = asyncio.Queue()

    async def want(self, watch: Watch, event: Event, clip: Clip) -> None:
        """Ask for words about an event; given up, and counted, when too many wait."""
        if not self._wanted:
            return
        if not watch.feed.live:
            # A replay finds them at once, in order, so that it says the same each time.
            await self._describe(watch, event, clip)
        elif self._suspects.qsize() < SUSPECTS_WAITING:
            self._suspects.put_nowait((watch, event, clip))
        else:
            self._chronicle.stats.words_given_up += 1

    def end(self) -> None:
        """Let `run` return when what waits has been described."""
        self._suspects.put_nowait(None)

    async def run(self) -> None:
        """Describe suspects until the end."""
        while (suspect := await self._suspects.get()) is not None:
            await self._describe(*suspect)

    async def _describe(self, watch: Watch, event: Event, clip: Clip) -> None:
        words = await self._judge.describe(clip)
        async with watch.recording:
            await self._chronicle.events(watch, watch.policy.describe(event.event_id, words))
