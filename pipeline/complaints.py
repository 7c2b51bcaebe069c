"""Complaints about what others send: said in the log, but never more often than a log can bear."""

from __future__ import annotations

from collections.abc import Callable

import structlog

MOST_LINES = 20
PER_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Complaints:
    """Logs warnings, at most `most` in any stretch of `per_seconds`; the rest is counted.

    How many were left out is said with the first one of the next stretch.
    """

    def __init__(
        self,
        now_seconds: Callable[[], float],
        *,
        most: int = MOST_LINES,
        per_seconds: float = PER_SECONDS,
    ) -> None:
        self._now_seconds = now_seconds
        self._most = most
        self._per_seconds = per_seconds
        self._began_seconds = float("-inf")
        self._said = 0
        self._left_out = 0

    def say(self, phrase: str, **keys: object) -> None:
        """Log a warning, or count it."""
        now_seconds = self._now_seconds()
        if now_seconds - self._began_seconds >= self._per_seconds:
            if self._left_out:
                log.warning("more of these not logged", phrase=phrase, count=self._left_out)
            self._began_seconds, self._said, self._left_out = now_seconds, 0, 0
        if self._said >= self._most:
            self._left_out += 1
            return
        self._said += 1
        log.warning(phrase, **keys)
