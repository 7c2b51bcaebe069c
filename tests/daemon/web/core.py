"""The whole page as it is served: real guard, real store and flow; fake cameras and engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.reports import Reports
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.server import application
from edgewatch.pipeline.watch import live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled
from tests.fakes.camera import FakeCameras
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine

TOKEN = "the token of this test"
CAMERA = '[[cameras]]\nname = "front"\nurl = "rtsp://10.0.0.9/front"\n'

Client = TestClient[web.Request, web.Application]


@dataclass
class Core:
    """The page, a client without cookies of its own, and what stands behind it."""

    client: Client
    pipeline: Pipeline
    context: WebContext
    clock: ManualClock
    cameras: FakeCameras

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        cookie: str | None = None,
        data: Any = None,
    ) -> aiohttp.ClientResponse:
        """Send one request, and read the answer to its end; redirects are not followed."""
        sent = dict(headers or {})
        if cookie is not None:
            sent["Cookie"] = cookie
        answer = await self.client.request(
            method, path, headers=sent, data=data, allow_redirects=False
        )
        await answer.read()
        return answer

    async def log_in(self, **headers: str) -> tuple[str, str]:
        """Log in as a browser does; returns the cookie and what forms must send back."""
        answer = await self.ask("POST", "/login", data={"token": TOKEN}, headers=headers)
        assert answer.status == 303, await answer.text()
        cookie = answer.headers["Set-Cookie"].partition(";")[0]
        page = await (await self.ask("GET", "/status", headers=headers, cookie=cookie)).text()
        csrf = page.partition('name="csrf" content="')[2].partition('"')[0]
        assert csrf
        return cookie, csrf


def settings_for(
    folder: Path, web_keys: str = "", *, token: str | None = TOKEN, rest: str = CAMERA
) -> Settings:
    """Load settings from a file, with the token in one of its own."""
    if token is not None:
        (folder / "web.token").write_text(token + "\n")
        (folder / "web.token").chmod(0o600)
        web_keys += '\ntoken_file = "web.token"'
    file = folder / "edgewatch.toml"
    file.write_text(f'[service]\ndata_dir = "data"\n[web]\n{web_keys}\n{rest}')
    return load_settings(file, {})


@asynccontextmanager
async def core(settings: Settings, engine: FakeEngine | None = None) -> AsyncIterator[Core]:
    """Serve the page of these settings, on loopback and a free port."""
    clock, cameras = ManualClock(), FakeCameras()
    async with assembled(
        settings,
        engine or FakeEngine(),
        clock=clock,
        store_path=settings.service.data_dir / "edgewatch.db",
        publish="live",
        open_camera=cameras,
    ) as pipeline:
        for plan in settings.plans():
            pipeline.flow.add(live_feed(plan))
        context = WebContext(pipeline, Reports(pipeline, clock), clock, settings)
        server = TestServer(application(context, Live(context)))
        async with TestClient(server, cookie_jar=aiohttp.DummyCookieJar()) as client:
            yield Core(client, pipeline, context, clock, cameras)
