"""The pause: why nothing is kept at present, and when to try again."""

from __future__ import annotations

import structlog

from edgewatch.pipeline.clock import Clock

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 30.0
"""A disk that took nothing is not tried again before."""


class Pause:
    """Begins with trouble, and ends some time after the last one."""

    def __init__(self, clock: Clock) -> None:
        self.why: str | None = None
        """What is the matter, with the cure; None while all is well."""
        self._clock = clock
        self._since_seconds = 0.0

    def begin(self, why: str) -> bool:
        """Begin, or go on for another reason; False if it was on already."""
        is_news = self.why is None
        self.why, self._since_seconds = why, self._clock.monotonic_seconds()
        if is_news:
            log.error("evidence paused", reason=why)
        return is_news

    def end_if_over(self) -> bool:
        """End if the last trouble is long enough ago; False if it goes on, or was not on."""
        over_seconds = self._since_seconds + PAUSE_SECONDS
        if self.why is None or self._clock.monotonic_seconds() <= over_seconds:
            return False
        log.info("evidence goes on", was=self.why)
        self.why = None
        return True
