"""The child's log, line by line to the parent, which has the one log."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import cast

import structlog
from structlog.typing import EventDict, WrappedLogger

from edgewatch.pipeline.engines.child.messages import Level, Log, cut, encode
from edgewatch.pipeline.engines.child.output import shown

MOST_KEYS = 24
MOST_VALUE = 1_000
_LEVELS = {"debug", "info", "warning", "error"}


def relay_logs(channel: socket.socket) -> None:
    """Send what is logged in this process over a channel that does not block.

    A line is lost where the parent reads too slowly: the answers matter more.
    """

    def relay(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        level = cast(Level, method if method in _LEVELS else "error")
        text = shown(str(event.pop("event", "")).encode())
        keys = {str(key): _plain(value) for key, value in list(event.items())[:MOST_KEYS]}
        with suppress(OSError, ValueError):
            channel.send(encode(Log(level, text, keys)))
        raise structlog.DropEvent

    structlog.configure(
        processors=[structlog.processors.format_exc_info, relay],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )


def _plain(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool | int | float):
        return value
    return cut(str(value), MOST_VALUE)
