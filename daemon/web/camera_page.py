"""A camera's page: its picture, its timeline, why a moment was as it was, and its settings."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from aiohttp import web

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.templating import page, render
from edgewatch.daemon.web.timeline import HOUR_SECONDS, HOURS, timeline_of
from edgewatch.pipeline.explain import Explanation, explain
from edgewatch.pipeline.inquiry import Inquiry, gather
from edgewatch.pipeline.records import Records
from edgewatch.pipeline.types import CameraName

LONGEST_AT = 40
_EARLIEST_SECONDS, _LATEST_SECONDS = 0.0, 253_402_300_000.0
"""What a calendar can show: 1970 to 9999."""
SNOOZES = ((600, "10 minutes"), (3600, "1 hour"), (8 * 3600, "8 hours"))


def routes(context: WebContext, live: Live) -> list[web.RouteDef]:
    """Return the routes below /cameras/<name> that only show."""
    cameras = CameraPage(context, live)
    return [
        web.get("/cameras/{name}", cameras.show),
        web.get("/cameras/{name}/why", cameras.why),
        web.get("/cameras/{name}/picture.jpg", cameras.picture),
    ]


class CameraPage:
    """Shows one camera."""

    def __init__(self, context: WebContext, live: Live) -> None:
        self._context = context
        self._live = live

    async def show(self, request: web.Request) -> web.Response:
        """Show a camera, also one that is no longer configured but has a past."""
        return await self._page(request, await self._known(request))

    async def why(self, request: web.Request) -> web.Response:
        """Explain a moment: as a whole page, or with `part=1` the explanation alone."""
        camera = await self._known(request)
        at_seconds = moment_of(request.query.get("at", ""))
        if at_seconds is None:
            text = "That is no time: pick a date and a time of day."
            if "part" in request.query:
                return web.Response(status=400, text=text)
            return page(request, "fault.html", status=400, title="No such time", sentence=text)
        explanation = await self._explain(camera, at_seconds)
        html = render("_why.html", {"it": explanation, "camera": camera, "at": at_seconds})
        if "part" in request.query:
            headers = {"Cache-Control": "no-store"}
            return web.Response(text=html, content_type="text/html", headers=headers)
        return await self._page(request, camera, at_seconds=at_seconds, why=html)

    async def picture(self, request: web.Request) -> web.Response:
        """Return the camera's newest picture as JPEG."""
        watch = self._live.fragments.watch(request.match_info["name"])
        frame = watch.thread.latest_frame if watch and watch.thread else None
        if frame is None:
            raise web.HTTPNotFound(text="There is no picture of this camera now.")
        jpeg = self._live.pictures.of(frame).jpeg
        return web.Response(
            body=jpeg, content_type="image/jpeg", headers={"Cache-Control": "no-store"}
        )

    async def _page(
        self,
        request: web.Request,
        camera: CameraName,
        *,
        at_seconds: float | None = None,
        why: str | None = None,
    ) -> web.Response:
        fragments = self._live.fragments
        watch = fragments.watch(camera)
        hours = request.query.get("hours", "24")
        hours = hours if hours in HOURS else "24"
        until_seconds = moment_of(request.query.get("until", ""))
        now_seconds = self._context.clock.wall_seconds()
        length_seconds = float(hours) * HOUR_SECONDS
        if at_seconds is not None and until_seconds is None:
            beyond = now_seconds - at_seconds > length_seconds
            until_seconds = at_seconds + length_seconds / 2 if beyond else None
        if until_seconds is not None and until_seconds >= now_seconds:
            until_seconds = None
        key = f"timeline:{camera}:{hours}"
        if until_seconds is None:
            timeline = await fragments.html(key)
        else:
            drawn = await timeline_of(
                self._context,
                camera,
                hours,
                threshold=watch.threshold if watch else None,
                until_seconds=until_seconds,
            )
            timeline = render("_timeline.html", {"it": drawn})
        return page(
            request,
            "camera.html",
            summary=await fragments.html("summary"),
            camera=camera,
            watch=watch,
            pictured=bool(watch and watch.thread and watch.thread.latest_frame),
            tile=await fragments.html(f"tile:{camera}"),
            timeline=timeline,
            timeline_key=key if until_seconds is None else None,
            hours=hours,
            all_hours=HOURS,
            until=until_seconds,
            now=now_seconds,
            length_seconds=length_seconds,
            at=at_seconds,
            why=why,
            snoozes=SNOOZES,
            snoozed=bool(
                watch and watch.snoozed_until_seconds and watch.snoozed_until_seconds > now_seconds
            ),
        )

    async def _explain(self, camera: CameraName, at_seconds: float) -> Explanation:
        context = self._context
        now_seconds = context.clock.wall_seconds()

        def ask(records: Records) -> Inquiry:
            return gather(records, context.settings, camera, at_seconds, now_seconds)

        inquiry = await context.pipeline.store.ask(ask)
        if watch := self._live.fragments.watch(camera):
            inquiry = replace(inquiry, threshold=watch.threshold)
        return explain(inquiry)

    async def _known(self, request: web.Request) -> CameraName:
        """Return the camera that the address names. Raises HTTPNotFound."""
        name = CameraName(request.match_info["name"])
        if self._live.fragments.watch(name) is not None:
            return name
        if name in await self._context.pipeline.store.cameras():
            return name
        raise web.HTTPNotFound(text="There is no camera of this name.")


def moment_of(text: str) -> float | None:
    """Return the Unix time that a form or link names: seconds, or a local or full ISO 8601."""
    if not text or len(text) > LONGEST_AT:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            return None
    within = math.isfinite(seconds) and _EARLIEST_SECONDS <= seconds <= _LATEST_SECONDS
    return seconds if within else None
