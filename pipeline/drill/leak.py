"""The leak guard: a drill's message goes to the drill's topics, and nothing else does. Pure.

It stands at the last place before a message is kept or sent, whoever made it: `Announcer` refuses
to make a wrong one, `Chronicle` to hand it to the outbox, `Drain` and `Publisher` to send it.
"""

from __future__ import annotations

import json
from typing import Final

import structlog

from edgewatch.pipeline.backlog import MQTT

MARK: Final = b'"drill":true'
"""As `messages.encode` writes it. Within a text it would have backslashes before its quotes."""

log = structlog.get_logger(__name__)


def is_drill_payload(payload: bytes) -> bool:
    """Whether a payload says of itself that it is a drill's."""
    if MARK not in payload:
        return False  # nearly always: nothing is parsed then
    try:
        told = json.loads(payload)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("drill") is True


class LeakGuard:
    """Lets messages pass that are where they belong; counts and logs those that are not."""

    def __init__(self, base: str) -> None:
        """`base`: the base topic."""
        self._below = f"{base}/drill/"
        self.leaks = 0
        """Messages that were stopped, since the start."""

    def lets_pass(self, topic: str, payload: bytes, channel: str = MQTT) -> bool:
        """Whether a message may be kept or sent; an empty one makes a broker forget its topic.

        A drill's payload may go to MQTT's drill topics alone, and no other payload may go there.
        """
        if not payload:
            return True
        drill_topic = channel == MQTT and topic.startswith(self._below)
        if is_drill_payload(payload) == drill_topic:
            return True
        self.leaked(topic=topic, channel=channel)
        return False

    def leaked(self, **where: object) -> None:
        """Count and log a message that was stopped."""
        self.leaks += 1
        log.error("drill leak", cure="it was stopped; report this as a fault of edgewatch", **where)
