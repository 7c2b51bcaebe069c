"""The pages over a real store and flow, with fake cameras and a fake engine; no guard before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from edgewatch.config.settings import Settings
from edgewatch.daemon.reports import Reports
from edgewatch.daemon.web import pages
from edgewatch.daemon.web.context import CSRF, MAY_WRITE, SESSION, WebContext
from edgewatch.daemon.web.live import Live
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.types import Clip
from edgewatch.pipeline.watch import live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled
from tests.fakes.camera import FakeCamera, FakeCameras
from tests.fakes.engine import FakeEngine

Client = TestClient[web.Request, web.Application]
WAIT_SECONDS = 10.0


@dataclass
class Site:
    """A page somebody can look at, and what stands behind it."""

    client: Client
    pipeline: Pipeline
    live: Live
    cameras: FakeCameras
    rights: dict[str, bool]

    async def text(self, path: str, *, status: int = 200) -> str:
        answer = await self.client.get(path)
        text = await answer.text()
        assert answer.status == status, text
        return text

    def see(self, name: str, *, seconds_ago: float = 0.0) -> Clip:
        """Have a camera hand over a clip of just now."""
        camera: FakeCamera = self.cameras[name]
        clock = SystemClock()
        start_seconds = clock.wall_seconds() - 1.0 - seconds_ago
        return camera.see(start_seconds, clock.monotonic_seconds())

    async def until(self, holds: Callable[[], bool | Awaitable[bool]]) -> None:
        """Wait until something holds; a step of the loop at a time."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                found = holds()
                if found if isinstance(found, bool) else await found:
                    return
                await asyncio.sleep(0.01)


@asynccontextmanager
async def site(
    *names: str,
    answers: Callable[[Clip], float] = lambda clip: 0.1,
    store_path: Path | None = None,
    may_write: bool = True,
) -> AsyncIterator[Site]:
    """Serve the pages of cameras of these names, all online, each opening an event at once."""
    cameras = FakeCameras()
    settings = Settings.model_validate(
        {
            "events": {"open_after": 1, "open_within": 1},
            "cameras": tuple({"name": name, "url": f"rtsp://10.0.0.9/{name}"} for name in names),
        }
    )
    rights = {"may_write": may_write}

    @web.middleware
    async def let_in(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        request[MAY_WRITE], request[CSRF], request[SESSION] = rights["may_write"], "a-token", False
        return await handler(request)

    async with assembled(
        settings,
        FakeEngine(answers),
        clock=SystemClock(),
        store_path=store_path,
        publish=None,
        open_camera=cameras,
    ) as pipeline:
        for plan in settings.plans():
            pipeline.flow.add(live_feed(plan))
            cameras[plan.name].online(SystemClock().wall_seconds())
        context = WebContext(pipeline, Reports(pipeline, SystemClock()), SystemClock(), settings)
        live = Live(context)
        app = web.Application(middlewares=[let_in])
        app.add_routes(pages.routes(context, live))
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(pipeline.run())
            feeding = tasks.create_task(live.run())
            async with TestClient(TestServer(app)) as client:
                served = Site(client, pipeline, live, cameras, rights)
                watches = pipeline.flow.watches
                await served.until(lambda: all(live.recent in one.observers for one in watches))
                yield served
            feeding.cancel()
            pipeline.flow.stop()
            await running
