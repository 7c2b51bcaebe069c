"""The life of one camera: connecting, online, offline with a reason, backing off."""

from __future__ import annotations

from collections.abc import Callable

from edgewatch.pipeline.errors import CameraError, CameraRejected
from edgewatch.pipeline.types import CameraName, Health, HealthState

RETRY_FIRST_SECONDS = 1.0
RETRY_LONGEST_SECONDS = 30.0
RETRY_SHORTEST_SECONDS = 0.2
RETRY_AWAY_SHARE = 0.25
"""The next attempt comes no later than this share of the time a camera has been away."""
BOOTING_SECONDS = 180.0
"""So long a camera that starts may answer that it knows no such path."""
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
        self._away_since: float | None = None
        self._rejections = 0
        self._online_since: float | None = None
        self._condition: tuple[HealthState, str, str] = ("online", "", "")
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
        """Note that a picture was decoded: only this makes a camera `online`, or what it shows."""
        if self._online_since is None:
            self._online_since = now_seconds
        # Not at once: a camera that dies after each first picture must not be retried at full pace
        if now_seconds - self._online_since >= STEADY_SECONDS:
            self._away_since = None
            self._rejections = 0
        state, reason, detail = self._condition
        return self._become(state, now_seconds, reason, detail)

    def condition(
        self, state: HealthState, now_seconds: float, reason: str, detail: str
    ) -> Health | None:
        """Note what a connected camera's picture is like: "online" if it is of use, else why not.

        It holds until the next such note, also over a reconnect.
        """
        self._condition = state, reason, detail
        return (
            None if self._online_since is None else self._become(state, now_seconds, reason, detail)
        )

    def failed(self, error: CameraError, now_seconds: float) -> Health | None:
        """Note that an attempt or a connection failed; draws the delay before the next.

        What may come back by itself is tried again soon after short outages, and within half a
        minute after long ones. So is, at first, a path that is not found: a camera that starts
        may not know it yet; later once a minute. Any other refusal, so a wrong password: never
        within a minute, and ever more rarely.
        """
        self._online_since = None
        if self._away_since is None or self._away_since > now_seconds:  # or the clock was set back
            self._away_since = now_seconds
        away_seconds = now_seconds - self._away_since
        not_found = error.reason == "not_found"
        if not isinstance(error, CameraRejected) or (not_found and away_seconds < BOOTING_SECONDS):
            self._retry_delay_seconds = self._soon(away_seconds)
        else:
            self._retry_delay_seconds = self._later(0 if not_found else self._rejections)
            self._rejections = min(self._rejections + 1, 16)
        return self._become("offline", now_seconds, error.reason, str(error))

    def ended(self, now_seconds: float) -> Health | None:
        """Note that a recording was played to its end and nothing more will come."""
        self._online_since = None
        return self._become("offline", now_seconds, "ended", "The recording was played to its end.")

    def _soon(self, away_seconds: float) -> float:
        """Draw from the whole length, so that cameras that were lost at once come back apart."""
        longest = max(RETRY_FIRST_SECONDS, RETRY_AWAY_SHARE * away_seconds)
        spread = min(RETRY_LONGEST_SECONDS, longest) - RETRY_SHORTEST_SECONDS
        return RETRY_SHORTEST_SECONDS + spread * self._random()

    def _later(self, rejections: int) -> float:
        """Never sooner than the full minute: cameras lock accounts after a few wrong passwords."""
        shortest = min(REJECTED_LONGEST_SECONDS, REJECTED_FIRST_SECONDS * 2.0**rejections)
        return shortest * (1.0 + 0.2 * self._random())

    def _become(
        self, state: HealthState, now_seconds: float, reason: str = "", detail: str = ""
    ) -> Health | None:
        before = self._health
        if before and (before.state, before.reason, before.detail) == (state, reason, detail):
            return None
        since = before.since_seconds if before and before.state == state else now_seconds
        self._health = Health(self._camera, state, since, reason, detail)
        return self._health
