"""Templating: HTML in which nothing that came from outside can be anything but text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import edgewatch
from edgewatch.daemon.web.context import CSRF, MAY_WRITE, SESSION
from edgewatch.pipeline.messages import iso_utc
from edgewatch.pipeline.types import Evidence

HERE = Path(__file__).parent
STATIC = HERE / "static"

_UNPRINTABLE = dict.fromkeys((*range(0x09), *range(0x0B, 0x20), *range(0x7F, 0xA0)))
"""Control characters but tab and line feed."""
_TURNING = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x061C, 0x200E, 0x200F))
"""Marks that turn the direction of writing: with them a text can show what it does not say.
Source: Unicode Standard Annex 9, section 2."""
_HIDDEN = dict.fromkeys((0x200B, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080)))
_TAMED = _UNPRINTABLE | _TURNING | _HIDDEN


def tame(value: object) -> object:
    """Take from a text what a person cannot see or would see in the wrong place.

    Markup made by a template is a `str` as well, and loses nothing by it.
    """
    if type(value) is str:
        text = value.translate(_TAMED)
        # Half a surrogate pair, which words of a model may hold, is no UTF-8.
        return text.encode("utf-8", errors="replace").decode("utf-8")
    return value


@cache
def environment() -> Environment:
    """Return the templates: everything escaped, a forgotten value an error.

    The first call takes about a tenth of a second.
    """
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=tame,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "iso": iso_utc,
        "time": time_of_day,
        "moment": moment,
        "day": day,
        "score": score,
        "percent": percent,
        "lasting": lasting,
        "bytes": size,
        "reason": reason,
        "spoken": spoken,
        "camera_url": camera_url,
    }
    made.globals |= {
        "asset": asset,
        "assets_digest": assets_digest,
        "version": edgewatch.__version__,
    }
    for name in made.list_templates():  # compiled now, so that no visitor waits for it
        made.get_template(name)
    return made


def render(name: str, values: Mapping[str, Any]) -> str:
    """Fill a template that needs nothing of the request."""
    return environment().get_template(name).render(values)


def page(request: web.Request, name: str, *, status: int = 200, **values: Any) -> web.Response:
    """Answer with a whole page; it knows whether this request may change anything."""
    known = {
        "may_write": bool(request.get(MAY_WRITE, False)),
        "csrf": str(request.get(CSRF, "")),
        "session": bool(request.get(SESSION, False)),
        "path": request.path_qs,
    }
    text = render(name, known | values)
    return web.Response(
        text=text, status=status, content_type="text/html", headers={"Cache-Control": "no-store"}
    )


@cache
def asset(name: str) -> str:
    """Return the address of a static file, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


@cache
def assets_digest() -> str:
    """Return what changes when the page's own files do: a page from before is to load anew."""
    digest = hashlib.sha256(edgewatch.__version__.encode())
    for file in sorted((*STATIC.iterdir(), *(HERE / "templates").iterdir())):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


# -- filters ----------------------------------------------------------------------------------


def time_of_day(seconds: float) -> str:
    """Write Unix time as the server's time of day: 14:20:15."""
    return f"{datetime.fromtimestamp(seconds):%H:%M:%S}"


def moment(seconds: float) -> str:
    """Write Unix time as the server's date and time: 21 Nov 14:20:15."""
    return f"{datetime.fromtimestamp(seconds):%-d %b %H:%M:%S}"


def day(seconds: float) -> str:
    """Write Unix time as the server's date: Sat 21 Nov 2026."""
    return f"{datetime.fromtimestamp(seconds):%a %-d %b %Y}"


def score(value: float) -> str:
    """Write a probability with two decimals; one below 1 is never rounded up to it."""
    return f"{min(value, 0.99) if value < 1.0 else value:.2f}"


def percent(share: float) -> str:
    """Write a share; 100 % only if all of it is there."""
    value = 100.0 * share
    return "100 %" if share >= 1.0 else f"{min(value, 99.9):.1f} %"


def lasting(seconds: float) -> str:
    """Write a stretch of time: 8.4 s, 12 min, 3 h 07 min, 2 d 4 h."""
    if seconds < 60:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Write a number of bytes: 812 kB, 1.4 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def reason(evidence: Evidence) -> str:
    """Write one reason behind a score: "impact, lower left (3.1 times the usual motion)"."""
    place = f", {evidence.where}" if evidence.where else ""
    detail = f" ({evidence.detail})" if evidence.detail else ""
    return spoken(evidence.kind) + place + detail


def camera_url(camera: str) -> str:
    """Return the address of a camera's page; of a recording the name may hold anything."""
    return f"/cameras/{quote(camera, safe='')}"


def spoken(name: str) -> str:
    """Write a fixed short name as words: not_found becomes "not found"."""
    return name.replace("_", " ")
