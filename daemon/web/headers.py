"""Headers that every answer carries, whatever it is: what a browser may do with it."""

from __future__ import annotations

from aiohttp import web

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing from anywhere but here, nothing inline. Source: W3C Content Security Policy Level 3."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add them; a signal handler, so that files, streams and errors get them too."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    # Whoever shares the machine's browser or proxy is not to find yesterday's pictures there.
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers["Server"] = "edgewatch"
