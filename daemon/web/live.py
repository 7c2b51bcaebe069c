"""Live: keeps every open page up to date by server-sent events, and costs nothing without one."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict

import structlog
from aiohttp import web

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.fragments import Fragments
from edgewatch.daemon.web.hub import Hub, HubFull, Page, sse
from edgewatch.daemon.web.pictures import Pictures
from edgewatch.daemon.web.recent import Recent
from edgewatch.daemon.web.templating import assets_digest, environment
from edgewatch.daemon.web.timeline import HOURS
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import CameraName, Event

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""How often what pages show is looked at; a step of an event is told at once."""
PICTURE_SECONDS = 1.0
BEAT_SECONDS = 5.0
"""Longest silence on a stream; a page that hears nothing for three of them says so."""
WRITE_SECONDS = 20.0
"""A page that takes nothing for so long is gone."""
RETRY_MS = 2000


class Live:
    """The streams of all pages. `run` keeps them fed, and listens to every live camera."""

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._wake = asyncio.Event()
        self._pictured_seconds = float("-inf")
        self._cameras: tuple[str, ...] | None = None
        self.hub = Hub()
        self.pictures = Pictures()
        self.recent = Recent(self._on_step)
        self.fragments = Fragments(context, self.recent, self.figures)

    def figures(self) -> dict[str, int]:
        """Count what the pages cost, for the status and for metrics."""
        return {**asdict(self.hub.figures), "pictures_encoded": self.pictures.encoded}

    async def run(self) -> None:
        """Feed the open pages until cancelled."""
        environment()
        await self._adopt()
        await self.recent.prime_events(self._context.pipeline.store)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
            self._wake.clear()
            await self._adopt()
            if self.hub.figures.pages:
                await self._look()
                await self._show_pictures()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /live`: the whole state first, then what changes."""
        waiting = asyncio.Event()
        keys, cameras = self._wanted(request)
        try:
            page = self.hub.join(keys, cameras, waiting.set)
        except HubFull:
            text = "Too many pages are open; close one."
            return web.Response(status=503, text=text, headers={"Retry-After": "30"})
        try:
            response = web.StreamResponse(
                headers={
                    "Content-Type": "text/event-stream",
                    "Cache-Control": "no-store",
                    "X-Accel-Buffering": "no",
                }
            )
            await response.prepare(request)
            hello = sse("hello", {"assets": assets_digest()})
            await response.write(f"retry: {RETRY_MS}\n\n".encode() + hello)
            await self._welcome(page)
            await self._feed(page, waiting, response)
        except (ConnectionError, TimeoutError):
            log.debug("page gone", remote=request.remote)
        finally:
            self.hub.leave(page)
            self.fragments.forget(self.hub.keys)
            self.pictures.forget(frozenset(map(CameraName, self.hub.cameras)))
        return response

    async def _feed(self, page: Page, waiting: asyncio.Event, response: web.StreamResponse) -> None:
        """Write what waits for a page until it is gone, or too slow for the news."""
        while not page.cut:
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    await waiting.wait()
            waiting.clear()
            message = page.take() or sse("beat", round(self._context.clock.wall_seconds(), 3))
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(message)

    async def _welcome(self, page: Page) -> None:
        """Give a page that has just come all that it shows."""
        for key in sorted(page.keys):
            with suppress(StoreError):
                html = await self.fragments.html(key)
                if html is not None:
                    self.hub.patch(key, html, newcomer=page)
        for watch in self.fragments.watches:
            frame = watch.thread.latest_frame if watch.thread else None
            if watch.camera in page.cameras and frame is not None:
                if message := self.pictures.message(frame):
                    self.hub.picture(watch.camera, message)  # it is new to the others as well
                else:
                    page.put_picture(watch.camera, self.pictures.last_message(watch.camera))
                await asyncio.sleep(0)

    def _wanted(self, request: web.Request) -> tuple[set[str], set[str]]:
        """Read from a page's address what it shows."""
        query = request.query
        names = [str(watch.camera) for watch in self.fragments.watches]
        keys = {"summary"}
        match query.get("view"):
            case "wall":
                keys |= {
                    "recent",
                    *(f"{kind}:{one}" for kind in ("tile", "coverage") for one in names),
                }
                return keys, set(names)
            case "camera" if query.get("name") in names:
                name, hours = query["name"], query.get("hours")
                keys |= {f"tile:{name}"} | (
                    {f"timeline:{name}:{hours}"} if hours in HOURS else set()
                )
                return keys, {name}
            case "event" if len(query.get("id", "")) == 36:
                keys |= {f"event:{query['id']}", f"video:{query['id']}"}
            case "status":
                keys.add("status")
        return keys, set()

    async def _look(self) -> None:
        for key in self.hub.keys:
            try:
                html = await self.fragments.html(key)
            except StoreError as error:
                log.debug("part of a page not made", key=key, reason=str(error))
                continue
            if html is not None:
                self.hub.patch(key, html)

    async def _show_pictures(self) -> None:
        now_seconds = self._context.clock.monotonic_seconds()
        if now_seconds - self._pictured_seconds < PICTURE_SECONDS:
            return
        self._pictured_seconds = now_seconds
        wanted = self.hub.cameras
        for watch in self.fragments.watches:
            frame = watch.thread.latest_frame if watch.thread else None
            if watch.camera in wanted and frame is not None:
                if message := self.pictures.message(frame):
                    self.hub.picture(watch.camera, message)
                await asyncio.sleep(0)  # a picture takes a fraction of a millisecond: let others in

    async def _adopt(self) -> None:
        """Listen to cameras that came since the last look, and tell the pages of them."""
        for watch in self.fragments.watches:
            if self.recent not in watch.observers:
                watch.observers = (*watch.observers, self.recent)
        names = tuple(str(watch.camera) for watch in self.fragments.watches)
        if names == self._cameras:
            return
        known, self._cameras = self._cameras, names
        now_seconds = self._context.clock.wall_seconds()
        for name in names:
            if known is None or name not in known:
                await self.recent.prime(self._context.pipeline.store, CameraName(name), now_seconds)
        if known is not None:
            self.hub.news(sse("cameras", names))

    def _on_step(self, event: Event) -> None:
        self.fragments.expire(event.event_id)
        self.hub.news(
            sse(
                "event",
                {
                    "event_id": event.event_id,
                    "camera": event.camera,
                    "type": event.type,
                    "suppressed": event.suppressed_by is not None,
                },
            )
        )
        self._wake.set()
