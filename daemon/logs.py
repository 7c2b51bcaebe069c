"""Logs: key=value for people on a terminal, JSON lines for everything else."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, WrappedLogger

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

PER_CLIP = frozenset({"clip judged"})
"""Lines that come with every clip: for a person who looks on, too many for a journal."""


def configure_logs(
    *, default: str = "info", stream: TextIO | None = None, level: str | None = None
) -> None:
    """Set up structlog for this process; called once, by the command that runs.

    `level`: debug, info, warning or error; None takes EDGEWATCH_LOG, else `default`. An unknown
    level counts as `default` and is said. `stream`: standard output unless given.
    """
    out = cast(TextIO, _Lenient(stream or sys.stdout))
    wanted = (level or os.environ.get("EDGEWATCH_LOG") or default).lower()
    number = LEVELS.get(wanted, LEVELS[default])
    person = out.isatty()
    structlog.configure(
        processors=_processors(person=person, per_clip=person or number <= logging.DEBUG),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # Libraries speak up only when something is wrong, and in their own words.
    logging.basicConfig(level=logging.ERROR, stream=out, format="%(name)s: %(message)s")
    if wanted not in LEVELS:
        structlog.get_logger(__name__).warning(
            "unknown log level", given=wanted, known=sorted(LEVELS), used=default
        )


def let_go_of_output() -> None:
    """Give up lines that nobody takes: at the exit, Python would fail over them (status 120)."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class _Lenient(io.TextIOBase):
    """A stream that loses lines rather than raise: a full disk or a closed pipe behind the log
    must not end the service."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str, /) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def _processors(*, person: bool, per_clip: bool) -> list[structlog.typing.Processor]:
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
    ]
    if not per_clip:
        shared.append(_drop_per_clip)
    if person:
        return [
            *shared,
            _drop_empty,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(
                pad_event_to=16,
                sort_keys=False,
                # Never one that prints local variables: an address with its password is one.
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    return [
        *shared,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,  # text alone: no local variables, no secrets
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _drop_per_clip(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if event["event"] in PER_CLIP:
        raise structlog.DropEvent
    return event


def _drop_empty(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Leave out what says nothing, so that a line fits a terminal."""
    return {key: value for key, value in event.items() if value not in (None, "", False)}
