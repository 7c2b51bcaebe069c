"""Login: the token for a session, and its end."""

from __future__ import annotations

import structlog
from aiohttp import web

from edgewatch.daemon.web.context import SESSION
from edgewatch.daemon.web.guard import Guard
from edgewatch.daemon.web.templating import page

log = structlog.get_logger(__name__)

LONGEST_TOKEN = 4096


def routes(guard: Guard) -> list[web.RouteDef]:
    """Return `/login` and `/logout`."""

    async def show(request: web.Request) -> web.StreamResponse:
        goes_to = local_path(request.query.get("next", "/"))
        if request[SESSION]:
            raise web.HTTPSeeOther(goes_to)
        return _form(request, guard, goes_to)

    async def begin(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        token, goes_to = form.get("token", ""), form.get("next", "/")
        goes_to = local_path(goes_to if isinstance(goes_to, str) else "/")
        # A token copied from a terminal often brings its line's end along.
        token = token.strip() if isinstance(token, str) else ""
        if len(token) > LONGEST_TOKEN or not guard.check_token(request, token):
            return _form(request, guard, goes_to, status=403, wrong=True)
        key, _ = guard.sessions.begin(guard.now_seconds())
        log.info("logged in", address=request.remote)
        answer = web.Response(status=303, headers={"Location": goes_to})
        answer.set_cookie(
            guard.door.cookie,
            key,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=guard.door.is_encrypted(request),
        )
        return answer

    async def end(request: web.Request) -> web.StreamResponse:
        guard.sessions.end(request.cookies.get(guard.door.cookie, ""))
        answer = web.Response(status=303, headers={"Location": "/"})
        answer.del_cookie(guard.door.cookie, path="/", httponly=True, samesite="Strict")
        return answer

    return [web.get("/login", show), web.post("/login", begin), web.post("/logout", end)]


def local_path(path: str) -> str:
    """Return a path of this page, `/` for anything that a browser might take elsewhere."""
    if not path.startswith("/") or path[1:2] in ("/", "\\") or len(path) > 2000:
        return "/"
    return path if path.isprintable() and path.isascii() else "/"


def _form(
    request: web.Request, guard: Guard, goes_to: str, *, status: int = 200, wrong: bool = False
) -> web.Response:
    return page(
        request,
        "login.html",
        status=status,
        enabled=guard.door.token is not None,
        goes_to=goes_to,
        wrong=wrong,
    )
