"""Commands that come in on MQTT: what an operator may change while the service runs."""

from __future__ import annotations

import structlog

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.messages import command_value
from edgewatch.pipeline.types import CameraName

log = structlog.get_logger(__name__)


class Commands:
    """Carries out `enabled`, `threshold` and `snooze_seconds` of a camera, and answers each.

    What is set holds until it is set again or the service ends; the file is not touched.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._flow: Flow | None = None
        self._chronicle: Chronicle | None = None

    def serve(self, flow: Flow, chronicle: Chronicle) -> None:
        """Carry out commands on this flow from now on; until then they are ignored."""
        self._flow = flow
        self._chronicle = chronicle

    def take(self, camera: str, key: str, payload: bytes) -> str | None:
        """Carry out one command; a bad one changes nothing and is answered with its error.

        Returns that error, None if it was carried out.
        """
        if self._flow is None or self._chronicle is None:
            return "the service is still starting"
        watch = self._flow.watch(CameraName(camera))
        if watch is None or not watch.feed.live:
            log.warning("command ignored", camera=camera, key=key, reason="no such camera")
            return "no such camera"
        try:
            value = command_value(key, payload)
        except ValueError as error:
            log.warning("command refused", camera=camera, key=key, reason=str(error))
            self._chronicle.settings(watch, error=str(error))
            return str(error)
        log.info("command carried out", camera=camera, key=key, value=value)
        match key:
            case "enabled":
                watch.enabled = bool(value)
            case "threshold":
                watch.threshold = float(value)
            case "snooze_seconds":
                watch.snoozed_until_seconds = self._clock.wall_seconds() + float(value)
        self._flow.refresh(watch)
        return None
