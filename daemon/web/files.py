"""Evidence files: an event's video, thumbnail and JSON, by the event's id alone."""

from __future__ import annotations

import stat
from pathlib import Path
from uuid import UUID

from aiohttp import web

from edgewatch.daemon.web.context import WebContext
from edgewatch.pipeline.evidence.gone import GONE, is_gone

TYPES = {"mp4": "video/mp4", "jpg": "image/jpeg", "json": "application/json"}


def routes(context: WebContext) -> list[web.RouteDef]:
    """Return `/evidence/<event_id>.<mp4|jpg|json>`; 410 once quota or age took it."""
    store = context.pipeline.store
    root = context.settings.service.data_dir / "evidence"

    async def serve(request: web.Request) -> web.StreamResponse:
        event_id, kind = request.match_info["event_id"], request.match_info["kind"]
        if not is_event_id(event_id):
            raise web.HTTPNotFound(text="this is no event's id")
        row = await store.evidence(event_id)
        if row is None:
            event = await store.event(event_id)
            if event is not None and is_gone(event, row):
                raise web.HTTPGone(text=GONE)
            raise web.HTTPNotFound(text="of this event no evidence was kept, or it is gone by now")
        path = file_below(root, Path(row.folder) / f"{event_id}.{kind}")
        if path is None:
            raise web.HTTPNotFound(text=_absence(row.state, row.detail))
        headers = {
            "Content-Type": TYPES[kind],
            # A thumbnail changes while its event goes on: ask each time, by its tag.
            "Cache-Control": "private, no-cache",
            "Content-Disposition": f'inline; filename="{row.camera}-{event_id}.{kind}"',
        }
        return web.FileResponse(path, headers=headers)

    return [web.get(r"/evidence/{event_id:[0-9A-Fa-f-]{1,64}}.{kind:mp4|jpg|json}", serve)]


def is_event_id(text: str) -> bool:
    """Whether it is a UUID as events have them: in lower case, with its hyphens."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def file_below(root: Path, relative: Path) -> Path | None:
    """Return a regular file below a folder; None if there is none, or it lies elsewhere.

    No link leads out: what counts is where a path really ends.
    """
    try:
        real_root = root.resolve(strict=True)
        path = (real_root / relative).resolve(strict=True)
        regular = stat.S_ISREG(path.stat().st_mode)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        return None
    return path if regular and path.is_relative_to(real_root) else None


def _absence(state: str, detail: str) -> str:
    match state:
        case "recording":
            return "this is still being recorded"
        case "failed":
            return f"this could not be kept: {detail}"
    return "this was not kept, or it is gone by now"
