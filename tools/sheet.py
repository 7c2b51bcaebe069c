"""Sheet: a report as one HTML file that needs nothing else, dark or light as its reader's system.

`sheet.html` holds the head and the look that every such page shares; a page extends it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from edgewatch.pipeline.messages import iso_utc
from edgewatch.tools.results import offset


def render_sheet(
    template: str,
    values: Mapping[str, Any],
    filters: Mapping[str, Callable[..., Any]] | None = None,
) -> str:
    """Fill a page's template: everything escaped, a forgotten value an error.

    `template`: its path below tools/. `filters`: what this page writes in its own way, beside
    `offset`, `clock`, `tick`, `span` and `jpeg`.
    """
    environment = Environment(
        loader=FunctionLoader(_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "offset": offset,
        "clock": clock,
        "tick": _tick,
        "span": _span,
        "jpeg": _data_uri,
    }
    environment.filters |= dict(filters or {})
    return environment.get_template(template).render(values)


def minute(unix_seconds: float) -> str:
    """Write a moment for a page's head: 2026-11-21 23:34 UTC."""
    return iso_utc(unix_seconds)[:16].replace("T", " ") + " UTC"


def clock(seconds: float) -> str:
    """Write a stretch of time: 8.4 s, 12 min 05 s, 3 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _template(name: str) -> str:
    return resources.files("edgewatch.tools").joinpath(name).read_text("utf-8")


def _tick(seconds: float) -> str:
    return offset(seconds).removesuffix(".0")


def _span(span: tuple[float, float]) -> str:
    return f"{offset(span[0])} to {offset(span[1])}"


def _data_uri(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
