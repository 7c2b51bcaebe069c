"""Seats: who may ask a server now; words give theirs up when clips wait for one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from edgewatch.pipeline.engines.remote.servers import Server, Servers
from edgewatch.pipeline.errors import EngineBusy


class Seats:
    """Gives out the servers' slots within one event loop."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._changed = asyncio.Event()
        self._lent: list[asyncio.Timeout] = []

    async def take(self) -> Server:
        """Wait for a slot and take it; `give_back` must follow.

        Raises EngineFailed when no server is well.
        """
        loop = asyncio.get_running_loop()
        while True:
            now_seconds = loop.time()
            server = self._servers.pick(now_seconds)
            if server is not None:
                server.outstanding += 1
                return server
            if not self._servers.any_well:
                raise self._servers.failure()
            if self._lent:
                self._lent.pop().reschedule(now_seconds)
            await self.change(self._servers.rest_ends_seconds(now_seconds))

    def give_back(self, server: Server) -> None:
        """Free a slot."""
        server.outstanding -= 1
        self.tell_change()

    @contextmanager
    def lent(self, until: asyncio.Timeout) -> Iterator[Server]:
        """Lend a slot for as long as the block lasts, or until a clip needs it: `until` expires.

        Raises EngineBusy when none is free.
        """
        server = self._servers.pick(asyncio.get_running_loop().time())
        if server is None:
            raise EngineBusy("every slot of the servers is taken by clips to be scored")
        server.outstanding += 1
        self._lent.append(until)
        try:
            yield server
        finally:
            if until in self._lent:
                self._lent.remove(until)
            self.give_back(server)

    def tell_change(self) -> None:
        """Let everybody who waits look again: a slot is free, or a server is well or left out."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, until_seconds: float | None) -> None:
        """Wait until something has changed, or the loop's time has come."""
        try:
            async with asyncio.timeout_at(until_seconds):
                await self._changed.wait()
        except TimeoutError:
            return
