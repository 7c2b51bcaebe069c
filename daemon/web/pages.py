"""The pages: which address shows what; here the wall and the status."""

from __future__ import annotations

from aiohttp import web

from edgewatch.daemon.web import camera_page, changes, event_pages
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.fragments import Fragments
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.templating import page


def routes(context: WebContext, live: Live) -> list[web.RouteDef]:
    """Return the routes of all pages, and of the stream that keeps them up to date."""
    overview = Overview(live.fragments)
    return [
        web.get("/", overview.wall),
        web.get("/status", overview.status),
        web.get("/live", live.stream, allow_head=False),
        *camera_page.routes(context, live),
        *event_pages.routes(context, live.fragments),
        *changes.routes(context, live.fragments),
    ]


class Overview:
    """Shows what concerns all cameras."""

    def __init__(self, fragments: Fragments) -> None:
        self._fragments = fragments

    async def wall(self, request: web.Request) -> web.Response:
        """Show every camera."""
        fragments = self._fragments
        cameras = [
            {
                "name": watch.camera,
                "pictured": bool(watch.thread and watch.thread.latest_frame),
                "tile": await fragments.html(f"tile:{watch.camera}"),
                "coverage": await fragments.html(f"coverage:{watch.camera}"),
            }
            for watch in fragments.watches
        ]
        return page(
            request,
            "wall.html",
            summary=await fragments.html("summary"),
            cameras=cameras,
            recent=await fragments.html("recent"),
        )

    async def status(self, request: web.Request) -> web.Response:
        """Show how the service itself fares."""
        return page(
            request,
            "status.html",
            summary=await self._fragments.html("summary"),
            facts=await self._fragments.html("status"),
        )
