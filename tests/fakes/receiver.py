"""The other side of a webhook or a push server: a real HTTP server that answers as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    status: int
    """What it was answered."""


Answer = Callable[[int, bytes], int | tuple[int, dict[str, str]]]
"""Number of the request from 0, and its body, to a status and perhaps headers."""


class Receiver:
    """Keeps what came, in order. `hold` makes it answer nothing while it is set."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Answer = lambda number, body: 200
        self.port = 0
        self.held = 0
        self.hold = False
        self._free = asyncio.Event()
        self._changed = asyncio.Condition()

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def taken(self) -> list[Got]:
        """The requests that were answered 2xx."""
        return [one for one in self.got if 200 <= one.status < 300]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what came. Raises AssertionError."""
        try:
            async with asyncio.timeout(WAIT_SECONDS), self._changed:
                await self._changed.wait_for(holds)
        except TimeoutError:
            raise AssertionError(f"did not come; so far: {self.got}") from None

    def let_go(self) -> None:
        """Answer what was held."""
        self.hold = False
        self._free.set()

    async def handle(self, request: web.Request) -> web.Response:
        """Take a request in."""
        body = await request.read()
        if self.hold:
            async with self._changed:
                self.held += 1
                self._changed.notify_all()
            await self._free.wait()
        answered = self.answer(len(self.got), body)
        status, headers = answered if isinstance(answered, tuple) else (answered, {})
        named = {name.lower(): value for name, value in request.headers.items()}
        async with self._changed:
            self.got.append(Got(request.method, request.path, named, body, status))
            self._changed.notify_all()
        return web.Response(status=status, headers=headers)


@asynccontextmanager
async def receiver(
    one: Receiver | None = None, *, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Listen on loopback as long as the block lasts; on a free port unless one is given."""
    one = one or Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True, ssl_context=tls)
    await site.start()
    one.port = runner.addresses[0][1]
    try:
        yield one
    finally:
        one.let_go()
        await runner.cleanup()
