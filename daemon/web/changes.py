"""Changes: what a person sets or says on the page. The guard has let only those in who may."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from edgewatch.daemon.web.context import MAY_WRITE, WebContext
from edgewatch.daemon.web.fragments import Fragments
from edgewatch.daemon.web.templating import camera_url, page
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.types import Feedback

KEYS = ("enabled", "threshold", "snooze_seconds")
MOST_VALUE = 40
MOST_NOTE = 500


def routes(context: WebContext, fragments: Fragments) -> list[web.RouteDef]:
    """Return the routes that change something."""
    changes = Changes(context, fragments)
    return [
        web.post("/cameras/{name}/set", changes.set_camera),
        web.post("/events/{event_id}/feedback", changes.give_feedback),
        web.post("/events/{event_id}/protect", changes.protect),
    ]


class Changes:
    """Carries out forms; a script gets JSON, a plain form is led back to its page."""

    def __init__(self, context: WebContext, fragments: Fragments) -> None:
        self._context = context
        self._fragments = fragments

    async def set_camera(self, request: web.Request) -> web.Response:
        """Set one thing of a camera, as a command over MQTT would."""
        form = await self._form(request)
        name, key, value = request.match_info["name"], form.get("key", ""), form.get("value", "")
        if key not in KEYS or len(value) > MOST_VALUE:
            return _answer(request, camera_url(name), "There is no such setting.")
        error = self._context.pipeline.commands.take(name, key, value.encode(), by="page")
        return _answer(request, camera_url(name), error)

    async def give_feedback(self, request: web.Request) -> web.Response:
        """Keep whether an event was rightly one; with nothing chosen, forget what was said."""
        form = await self._form(request)
        event_id = request.match_info["event_id"]
        said = form.get("correct", "")
        if said not in ("true", "false", ""):
            return _answer(request, f"/events/{quote(event_id)}", "Say true or false.")
        error = await self._keep(event_id, said, form.get("note", ""))
        if error:
            return _answer(request, f"/events/{quote(event_id)}", error)
        self._fragments.expire(event_id)
        return _answer(request, f"/events/{quote(event_id)}", None)

    async def protect(self, request: web.Request) -> web.Response:
        """Keep an event's evidence from quota and age, or no longer."""
        form = await self._form(request)
        event_id = request.match_info["event_id"]
        try:
            found = await self._context.pipeline.store.protect_evidence(
                event_id, form.get("protected") == "true"
            )
        except StoreError as trouble:
            return _answer(request, f"/events/{quote(event_id)}", f"It was not kept: {trouble}")
        self._fragments.expire(event_id)
        error = None if found else "There is no evidence of this event."
        return _answer(request, f"/events/{quote(event_id)}", error)

    async def _keep(self, event_id: str, said: str, note: str) -> str | None:
        """Keep or forget what is said of an event; returns why it was not done."""
        store = self._context.pipeline.store
        try:
            event = await store.event(event_id)
            if event is None:
                return "There is no such event."
            if not said:
                await store.clear_feedback(event_id)
                return None
        except StoreError as trouble:
            return f"It was not kept: {trouble}"
        feedback = Feedback(
            event_id,
            event.camera,
            said == "true",
            note.strip()[:MOST_NOTE],
            "page",
            self._context.clock.wall_seconds(),
        )
        return await self._context.pipeline.commands.feedback(feedback)

    async def _form(self, request: web.Request) -> dict[str, str]:
        """Read a form. Raises HTTPForbidden: the guard should not have let the request in."""
        if not request.get(MAY_WRITE, False):
            raise web.HTTPForbidden(text="Log in to change anything.")
        form = await request.post()
        return {key: value for key, value in form.items() if isinstance(value, str)}


def _answer(request: web.Request, back: str, error: str | None) -> web.Response:
    """Say what came of a change."""
    if "application/json" in request.headers.get("Accept", ""):
        return web.json_response({"error": error}, status=400 if error else 200)
    if error:
        return page(request, "fault.html", status=400, title="Nothing was changed", sentence=error)
    return web.Response(status=303, headers={"Location": back})
