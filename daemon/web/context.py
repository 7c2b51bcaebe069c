"""What every part of the page is given, and the keys under which a request carries its rights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from edgewatch.config.settings import Settings
from edgewatch.daemon.reports import Reports
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.wiring import Pipeline

MAY_WRITE: Final = web.RequestKey("may_write", bool)
"""`request[MAY_WRITE]`, set by the guard: whether this request may change anything."""
CSRF: Final = web.RequestKey("csrf", str)
"""`request[CSRF]`, set by the guard: what a form of this session must send back as `csrf`,
a script of the page as the header X-CSRF-Token; empty where there is no session."""
SESSION: Final = web.RequestKey("session", bool)
"""`request[SESSION]`, set by the guard: whether somebody is logged in by cookie."""


@dataclass(frozen=True, slots=True)
class WebContext:
    """A running service, as the page sees it."""

    pipeline: Pipeline
    reports: Reports
    clock: Clock
    settings: Settings
