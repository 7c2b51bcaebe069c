"""The web server: the application built of its parts, and served until cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import structlog
from aiohttp import web

from edgewatch.daemon.web import files, health, login, metrics, pages
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.faults import answer_faults
from edgewatch.daemon.web.guard import BODY_SECONDS, Door, Guard
from edgewatch.daemon.web.headers import add_headers
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.static import static_routes

log = structlog.get_logger(__name__)

STATIC = Path(__file__).parent / "static"
MAX_BODY_BYTES = 64 * 1024
MOST_CONNECTIONS = 256
"""Each open page holds one or two; beyond it, who comes is sent away at once."""
IDLE_SECONDS = 60.0
"""A connection that asks nothing for so long is closed."""
SHUTDOWN_SECONDS = 0.5
"""What requests in hand get at the stop; streams of events are cut off then."""
RETRY_SECONDS = 30.0
"""A port that was taken may become free; a fault of the page may pass."""


def application(
    context: WebContext, live: Live, *, body_seconds: float = BODY_SECONDS
) -> web.Application:
    """Build the application: every request passes faults, then guard, then its handler.

    `body_seconds`: what the body of a request may take to arrive.
    """
    settings = context.settings
    door = Door(
        token=settings.web_token,
        on_loopback=settings.web.on_loopback,
        host=settings.web.host,
        port=settings.web.port,
        public_url=settings.web.public_url,
    )
    guard = Guard(door, context.clock, body_seconds=body_seconds)
    app = web.Application(
        middlewares=[answer_faults, guard.middleware()], client_max_size=MAX_BODY_BYTES
    )
    app.on_response_prepare.append(add_headers)
    app.add_routes(
        [
            *login.routes(guard),
            *health.routes(context),
            *metrics.routes(context, live.figures),
            *files.routes(context),
            *static_routes(STATIC),
            *pages.routes(context, live),
        ]
    )
    return app


class WebServer:
    """Serves an application at one address."""

    def __init__(self, app: web.Application, *, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self.listening = asyncio.Event()
        """Set while connections are taken."""

    async def run(self) -> None:
        """Serve until cancelled. A port that cannot be had is said, and tried again."""
        runner = web.AppRunner(
            self._app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_SECONDS,
            keepalive_timeout=IDLE_SECONDS,
            # A page that was closed wants no answer.
            handler_cancellation=True,
        )
        await runner.setup()
        server = None
        try:
            server = await self._listen(runner)
            self.listening.set()
            await asyncio.Event().wait()
        finally:
            self.listening.clear()
            if server is not None:
                server.close()
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        said = False
        while True:
            try:
                server = await asyncio.get_running_loop().create_server(
                    lambda: _protocol(runner), self._host, self._port
                )
            except OSError as error:
                say = log.debug if said else log.warning
                said = True
                say(
                    "no page",
                    host=self._host,
                    port=self._port,
                    reason=error.strerror or str(error),
                    cure="set web.port to a free one, or to 0 for no page",
                )
                await asyncio.sleep(RETRY_SECONDS)
            else:
                host = f"[{self._host}]" if ":" in self._host else self._host
                port = server.sockets[0].getsockname()[1]
                log.info("page", url=f"http://{host}:{port}/")
                return server


async def kept_going(run: Callable[[], Awaitable[None]], name: str) -> None:
    """Run a part of the page until cancelled; a fault of it ends nothing else, and is tried again.

    Who watches cameras must not stop because a page cannot be shown.
    """
    while True:
        try:
            await run()
        except Exception:  # the border between showing and watching
            log.exception("page fault", part=name, retry_seconds=RETRY_SECONDS)
        await asyncio.sleep(RETRY_SECONDS)


class _TurnedAway(asyncio.Protocol):
    """Answers a connection too many, and closes it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say that there are too many, without reading what is asked."""
        stream = cast(asyncio.Transport, transport)
        stream.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )
        stream.close()


def _protocol(runner: web.AppRunner) -> asyncio.BaseProtocol:
    server = runner.server
    if server is None or len(server.connections) >= MOST_CONNECTIONS:
        return _TurnedAway()
    return cast(asyncio.BaseProtocol, server())
