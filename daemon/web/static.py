"""The page's own files: few and small, read once, served from memory by exact name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}
"""What may be served at all; anything else in the folder is not."""
_TEXTS = frozenset({".css", ".js", ".svg", ".webmanifest"})


class _File(NamedTuple):
    body: bytes
    content_type: str
    charset: str | None
    etag: str


def static_routes(folder: Path) -> list[web.RouteDef]:
    """Return the route of `/static/<name>`; names are looked up, never joined to a path."""
    files = {
        path.relative_to(folder).as_posix(): _read(path)
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }

    async def serve(request: web.Request) -> web.Response:
        file = files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        headers = {"Cache-Control": "no-cache", "ETag": f'"{file.etag}"'}
        known = request.if_none_match or ()
        if any(tag.value in (file.etag, "*") for tag in known):
            return web.Response(status=304, headers=headers)
        return web.Response(
            body=file.body, content_type=file.content_type, charset=file.charset, headers=headers
        )

    return [web.get("/static/{name:.+}", serve)]


def _read(path: Path) -> _File:
    body = path.read_bytes()
    charset = "utf-8" if path.suffix in _TEXTS else None
    return _File(body, TYPES[path.suffix], charset, hashlib.sha256(body).hexdigest()[:16])
