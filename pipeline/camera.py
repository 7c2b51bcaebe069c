"""The life of one camera: connecting, online, offline with a reason, backing off."""

from __future__ import annotations

from collections.abc import Callable

from edgewatch.pipeline.errors import CameraError, CameraRejected
from edgewatch.pipeline.types import CameraName, Health, HealthState

RETRY_FIRST_SECONDS = 1.0
RETRY_LONGEST_SECONDS = 30.0
RETRY_SHORTEST_SECONDS = 0.2
REJECTED_FIRST_SECONDS = 60.0
REJECTED_LONGEST_SECONDS = 300.0
STEADY_SECONDS = 30.0
"""Online for this long, a camera's earlier failures are forgotten."""


class CameraLife:
    """Says how a camera fares, and after a failure how long to wait before the next attempt.

    Pure: told what happened and when (`now_seconds`, Unix time), it answers with the new Health
    where that changed. While it retries, a camera stays `offline` with the reason of its last
    failure: it is `connecting` only before its first attempt ended.
    """

    def __init__(self, camera: CameraName, *, random: Callable[[], float]) -> None:
        """`random` gives numbers in [0, 1): cameras behind one recorder must not retry in step."""
        self._camera = camera
        self._random = random
        self._health: Health | None = None
        self._failures = 0
        self._rejections = 0
        self._online_since: float | None = None
        self._retry_delay_seconds = 0.0

    @property
    def retry_delay_seconds(self) -> float:
        """How long to wait before the next attempt; drawn once at each failure."""
        return self._retry_delay_seconds

    def connecting(self, now_seconds: float) -> Health | None:
        """Note that an attempt begins."""
        if self._health is not None:
            return None
        return self._become("connecting", now_seconds)

    def picture(self, now_seconds: float) -> Health | None:
        """Note that a picture was decoded: only this makes a camera `online`."""
        if self._online_since is None:
            self._online_since = now_seconds
        # Not at once: a camera that dies after each first picture must not be retried at full pace
        if now_seconds - self._online_since >= STEADY_SECONDS:
            self._failures = self._rejections = 0
        return self._become("online", now_seconds)

    def failed(self, error: CameraError, now_seconds: float) -> Health | None:
        """Note that an attempt or a connection failed; draws the delay before the next."""
        self._online_since = None
        if isinstance(error, CameraRejected):
            # Never sooner than the full minute: cameras lock accounts after a few wrong passwords
            longest = min(REJECTED_LONGEST_SECONDS, REJECTED_FIRST_SECONDS * 2**self._rejections)
            self._rejections = min(self._rejections + 1, 16)
            self._retry_delay_seconds = longest * (1.0 + 0.2 * self._random())
        else:
            longest = min(RETRY_LONGEST_SECONDS, RETRY_FIRST_SECONDS * 2**self._failures)
            self._failures = min(self._failures + 1, 16)
            self._retry_delay_seconds = max(RETRY_SHORTEST_SECONDS, longest * self._random())
        return self._become("offline", now_seconds, error.reason, str(error))

    def ended(self, now_seconds: float) -> Health | None:
        """Note that a recording was played to its end and nothing more will come."""
        self._online_since = None
        return self._become("offline", now_seconds, "ended", "The recording was played to its end.")

    def _become(
        self, state: HealthState, now_seconds: float, reason: str = "", detail: str = ""
    ) -> Health | None:
        before = self._health
        if before and (before.state, before.reason, before.detail) == (state, reason, detail):
            return None
        since = before.since_seconds if before and before.state == state else now_seconds
        self._health = Health(self._camera, state, since, reason, detail)
        return self._health
