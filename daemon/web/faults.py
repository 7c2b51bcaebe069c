"""Faults: whatever goes wrong becomes an answer that says what, and never how it came about."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog
from aiohttp import hdrs, web

from edgewatch.daemon.web.guard import Handler
from edgewatch.daemon.web.templating import page
from edgewatch.pipeline.errors import EdgewatchError

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 30.0
"""What an answer may take to begin; streams have no end and files none that we set."""
STREAMS = frozenset({"/live"})
_SENTENCES = {
    404: "there is nothing at this address",
    405: "this address does not take such a request",
    413: "the request is too large",
}
_KEPT_HEADERS = (hdrs.ALLOW, "Retry-After", hdrs.WWW_AUTHENTICATE)


@web.middleware
async def answer_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer for a handler that could not."""
    limit_seconds = None if request.path in STREAMS else ANSWER_SECONDS
    try:
        async with asyncio.timeout(limit_seconds):
            return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _fault(request, error.status, _sentence(error), error)
    except TimeoutError:
        log.error("page took too long", path=request.path[:200], limit_seconds=limit_seconds)
        return _fault(request, 503, "this took too long: try again")
    except EdgewatchError as error:
        log.warning("page not served", path=request.path[:200], reason=str(error))
        return _fault(request, 503, str(error))
    except ConnectionResetError:
        raise
    except Exception:  # a fault of ours: its traceback belongs into the log, not on the page
        log.exception("page fault", path=request.path[:200])
        return _fault(request, 500, "a fault of edgewatch itself: its log says more")


def _sentence(error: web.HTTPException) -> str:
    # aiohttp's own text is "404: Not Found", or repeats sizes and methods.
    own = error.text is not None and not error.text.startswith(str(error.status))
    if own and error.status not in (405, 413):
        return error.text or ""
    return _SENTENCES.get(error.status, HTTPStatus(error.status).phrase.lower())


def _fault(
    request: web.Request, status: int, sentence: str, error: web.HTTPException | None = None
) -> web.Response:
    if "text/html" in request.headers.get(hdrs.ACCEPT, ""):
        title = HTTPStatus(status).phrase
        response = page(request, "fault.html", status=status, title=title, sentence=sentence)
    else:
        response = web.Response(text=f"{sentence}\n", status=status)
    for name in _KEPT_HEADERS:
        if error is not None and name in error.headers:
            response.headers[name] = error.headers[name]
    if status in (408, 413, 415):
        response.force_close()  # what is left of its body is not waited for
    return response
