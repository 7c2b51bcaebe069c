"""An aiohttp server with a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web


@contextmanager
def served(*apps: web.Application) -> Iterator[tuple[int, ...]]:
    """Serve apps on loopback and yield their ports; all connections are closed at the end."""
    ready: list[tuple[int, ...]] = []
    begun, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        runners = [
            web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.0) for app in apps
        ]
        try:
            for runner in runners:
                await runner.setup()
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            ready.append(tuple(runner.addresses[0][1] for runner in runners))
            begun.set()
            await stop.wait()
        finally:
            begun.set()
            for runner in runners:
                await runner.cleanup()

    def serve() -> None:
        try:
            loop.run_until_complete(run())
        finally:
            loop.close()

    thread = threading.Thread(target=serve, name="fake server", daemon=True)
    thread.start()
    begun.wait(20)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
