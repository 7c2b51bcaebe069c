"""Why an alert was not delivered, sorted by what to do about it. No text holds an address's path.

Trouble           the way is closed: every message waits
  TryAgain          it may mend by itself
  Shut              somebody has to change settings, here or there: tried seldom
MessageRefused    this one message will never be taken: the others go on
"""

from __future__ import annotations

from edgewatch.pipeline.errors import DeliveryError


class Trouble(DeliveryError):
    """The way is closed for now; the text is one sentence, with the cure if there is one."""

    wait_seconds: float | None = None
    """What the receiver asked us to wait."""


class TryAgain(Trouble):
    """The receiver is away or busy."""

    def __init__(self, message: str, wait_seconds: float | None = None) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class Shut(Trouble):
    """The receiver does not want us: wrong address, secret or token."""


class MessageRefused(DeliveryError):
    """The receiver takes messages, but not this one."""
