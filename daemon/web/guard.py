"""The guard: who may read and who may change, decided once for every request.

Bound to loopback, reading is free and changing needs the token; from anywhere else (another
address, or passed on by a proxy) all but a sign of life needs it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import structlog
from aiohttp import hdrs, web

from edgewatch.daemon.web.attempts import Attempts
from edgewatch.daemon.web.context import CSRF, MAY_WRITE, SESSION
from edgewatch.daemon.web.sessions import Session, Sessions, same
from edgewatch.pipeline.clock import Clock

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
FORMS = frozenset({"application/x-www-form-urlencoded", "application/json"})
"""The bodies that are taken. JSON needs the header X-CSRF-Token, which no foreign form can set."""
BODY_SECONDS = 10.0
"""What a body of at most 64 kB may take to arrive."""
CSRF_HEADER = "X-CSRF-Token"
_PASSED_ON = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
_FREE = ("/healthz", "/login")
_FREE_BELOW = "/static/"


@dataclass(frozen=True, slots=True)
class Door:
    """Where the page is and what opens it."""

    token: str | None = field(repr=False)
    """None: nothing can be changed, and `on_loopback` holds."""
    on_loopback: bool
    host: str
    port: int
    public_url: str | None = None
    """The address under which others reach it, through a proxy; None: nobody does."""

    @property
    def reading_is_free(self) -> bool:
        """Whether a request that comes straight from this machine may read without a token."""
        return self.on_loopback and self.public_url is None

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; cookies know no ports, so it holds ours."""
        return f"edgewatch_{self.port}"

    def serves(self, authority: str) -> bool:
        """Whether a Host header names us; any other on loopback is a page's trick (DNS rebinding).

        A page elsewhere can have its own name resolve to 127.0.0.1, but not change that name.
        """
        if not self.on_loopback:
            return True
        host = _host_of(authority)
        if host is None:
            return False
        if host == "localhost" or host.endswith(".localhost") or host == self.host.lower():
            return True
        if self.public_url is not None and host == _host_of(urlsplit(self.public_url).netloc):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def is_own_origin(self, origin: str, authority: str) -> bool:
        """Whether an Origin header is that of our own pages."""
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if origin.lower() == f"{parts.scheme}://{parts.netloc}".lower():
                return True
        return origin.lower() in (f"http://{authority}".lower(), f"https://{authority}".lower())

    def is_encrypted(self, request: web.Request) -> bool:
        """Whether the browser speaks TLS, with us or with the proxy before us."""
        if request.secure:
            return True
        if self.public_url is None or not self.public_url.startswith("https://"):
            return False
        return _host_of(request.host) == _host_of(urlsplit(self.public_url).netloc) or _passed_on(
            request
        )


class Guard:
    """Lets a request through with its rights, or answers it itself."""

    def __init__(self, door: Door, clock: Clock, *, body_seconds: float = BODY_SECONDS) -> None:
        self.door = door
        self.sessions = Sessions()
        self._attempts = Attempts()
        self._clock = clock
        self._body_seconds = body_seconds

    def now_seconds(self) -> float:
        """Return the monotonic time that sessions and attempts count by."""
        return self._clock.monotonic_seconds()

    def middleware(self) -> web.middleware:  # type: ignore[valid-type]  # aiohttp names no type
        """Return what aiohttp calls around each handler."""

        @web.middleware
        async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
            await self._admit(request)
            return await handler(request)

        return admit

    async def _admit(self, request: web.Request) -> None:
        request[MAY_WRITE], request[CSRF], request[SESSION] = False, "", False
        if not self.door.serves(request.host):
            raise web.HTTPForbidden(
                text=f"this page goes by another name: open http://{self.door.host}:"
                f"{self.door.port}/, or set web.public_url to the address that you use"
            )
        if request.method not in READING | {hdrs.METH_POST}:
            raise web.HTTPMethodNotAllowed(request.method, [*sorted(READING), hdrs.METH_POST])
        by_token = self._shows_token(request)
        session = None if by_token else self._session(request)
        request[MAY_WRITE] = by_token or session is not None
        if session:
            request[CSRF], request[SESSION] = session.csrf, True
        if request.method in READING:
            self._admit_reading(request)
        else:
            await self._admit_changing(request, session)

    def check_token(self, request: web.Request, token: str) -> bool:
        """Hold a token against ours; wrong ones are counted. Raises HTTPTooManyRequests."""
        if self.door.token is None:
            return False
        now_seconds, address = self.now_seconds(), self._address(request)
        if wait_seconds := self._attempts.wait_seconds(address, now_seconds):
            raise web.HTTPTooManyRequests(
                text="too many wrong tokens: wait, then try again",
                headers={"Retry-After": str(int(wait_seconds) + 1)},
            )
        if same(token, self.door.token):
            return True
        self._attempts.failed(address, now_seconds)
        log.warning("wrong token", address=address, path=request.path[:200])
        return False

    def _shows_token(self, request: web.Request) -> bool:
        """Whether a script shows the token. Raises HTTPUnauthorized if it shows a wrong one."""
        given = request.headers.get(hdrs.AUTHORIZATION)
        if given is None:
            return False
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not self.check_token(request, token.strip()):
            raise _unauthorized("this token is not the one in web.token_file")
        return True

    def _session(self, request: web.Request) -> Session | None:
        key = request.cookies.get(self.door.cookie)
        return self.sessions.find(key, self.now_seconds()) if key else None

    def _admit_reading(self, request: web.Request) -> None:
        path = request.path
        if request[MAY_WRITE] or path in _FREE or path.startswith(_FREE_BELOW):
            return
        if self.door.reading_is_free and not _passed_on(request):
            return
        if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='')}")
        raise _unauthorized("log in, or send the token as `Authorization: Bearer TOKEN`")

    async def _admit_changing(self, request: web.Request, session: Session | None) -> None:
        logs_in = request.path == "/login"
        if self.door.token is None:
            raise web.HTTPForbidden(
                text="nothing can be changed here: set web.token_file to enable it"
            )
        if not (request[MAY_WRITE] or logs_in):
            raise _unauthorized("log in first")
        if request.can_read_body and request.content_type not in FORMS:
            raise web.HTTPUnsupportedMediaType(text=f"send one of {', '.join(sorted(FORMS))}")
        if request.headers.get(hdrs.AUTHORIZATION) is None:
            self._refuse_foreign(request)
        # Read here, within its time: handlers find it read.
        try:
            async with asyncio.timeout(self._body_seconds):
                await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the request came too slowly") from None
        if session and not same(await _csrf(request), session.csrf):
            raise web.HTTPForbidden(text="this form is out of date: reload the page, then again")

    def _refuse_foreign(self, request: web.Request) -> None:
        """Raise HTTPForbidden for what another site's page sends with our visitor's cookies."""
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get(hdrs.ORIGIN)
        foreign = site is not None and site not in ("same-origin", "none")
        if origin is not None and not self.door.is_own_origin(origin, request.host):
            foreign = True
        if foreign:
            log.warning(
                "cross-site request refused", origin=(origin or "")[:200], path=request.path
            )
            raise web.HTTPForbidden(text="this came from another site's page and was refused")

    def _address(self, request: web.Request) -> str:
        """Return who asks: behind a proxy of ours, the address that the proxy saw."""
        peer = request.remote or "unknown"
        if self.door.public_url is not None and (
            passed_on := request.headers.get("X-Forwarded-For")
        ):
            try:
                if ipaddress.ip_address(peer).is_loopback:
                    return passed_on.rpartition(",")[2].strip()
            except ValueError:
                return peer
        return peer


async def _csrf(request: web.Request) -> str:
    if header := request.headers.get(CSRF_HEADER):
        return header
    if request.content_type != "application/x-www-form-urlencoded":
        return ""
    value = (await request.post()).get("csrf", "")
    return value if isinstance(value, str) else ""


def _unauthorized(text: str) -> web.HTTPUnauthorized:
    return web.HTTPUnauthorized(text=text, headers={"WWW-Authenticate": 'Bearer realm="edgewatch"'})


def _passed_on(request: web.Request) -> bool:
    """Whether a proxy says that it passes the request on for somebody else."""
    return any(name in request.headers for name in _PASSED_ON)


def _host_of(authority: str) -> str | None:
    """Take the host out of `host:port` or `[host]:port`; None if it is neither."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None
