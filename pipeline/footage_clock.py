"""The time of footage: how a stream's own count stands to the camera's time, and to ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST_DRIFT_SECONDS = 30.0
"""A camera's clock this far off ours is tied anew; more than any stall that is survived."""


@dataclass(frozen=True, slots=True)
class Now:
    """One moment on both of our clocks."""

    wall_seconds: float
    """Unix time."""
    monotonic_seconds: float


@dataclass(frozen=True, slots=True)
class _Anchor:
    origin_seconds: float
    """Unix time of media time 0."""
    paced_media_seconds: float
    paced_monotonic_seconds: float


class FootageClock:
    """Ties media time (seconds since a stream's first picture) to the camera's own time.

    A recording that is replayed keeps the time it was recorded at; a live camera's picture is
    from now. Times don't step back over a seam, unless our own clock was set back. Pure.
    """

    def __init__(self, fps: float, *, replay: bool) -> None:
        self._step_seconds = 1.0 / fps
        self._replay = replay
        self._anchor: _Anchor | None = None
        self._last_seconds: float | None = None
        self._is_finite = False

    def begin(
        self, media_seconds: float, started_seconds: float | None, now: Now, *, is_finite: bool
    ) -> None:
        """Tie a new connection, whose first picture is at `media_seconds`.

        `started_seconds`: Unix time of a recording's first picture, if it tells. `is_finite`: it
        is a recording.
        """
        self._is_finite = is_finite
        replayed = self._replay and started_seconds is not None
        time_seconds = now.wall_seconds
        if replayed and started_seconds is not None:
            time_seconds = started_seconds + media_seconds
        self._tie(media_seconds, time_seconds, now)

    def jump(self, media_seconds: float, now: Now) -> None:
        """Tie the stream anew behind a jump of its count; a replay's goes on as it was."""
        if self._anchor is None:
            raise RuntimeError("a stream jumps only after it began")
        replayed_seconds = self._anchor.origin_seconds + media_seconds
        self._tie(media_seconds, replayed_seconds if self._replay else now.wall_seconds, now)

    def has_drifted(self, media_seconds: float, now: Now) -> bool:
        """Whether a live camera's time is so far off ours that it must be tied anew."""
        return not self._is_finite and abs(self._ahead(media_seconds, now)) > MOST_DRIFT_SECONDS

    def excess_seconds(self, media_seconds: float, now: Now) -> float:
        """Return by how much a live picture would be from the future; 0.0 if it is not.

        The first ones of a connection come in a burst, held back since the camera was asked: they
        are older than their arrival says, and so are all frames since the connection began.
        """
        return 0.0 if self._is_finite else max(0.0, self._ahead(media_seconds, now))

    def set_back(self, seconds: float) -> None:
        """Move the stream's time, and that of the last frame, back."""
        if self._anchor is not None and self._last_seconds is not None:
            origin_seconds = self._anchor.origin_seconds - seconds
            self._anchor = replace(self._anchor, origin_seconds=origin_seconds)
            self._last_seconds -= seconds

    def frame(self, media_seconds: float) -> float:
        """Return a frame's Unix time; the next connection's come after it."""
        if self._anchor is None:
            raise RuntimeError("a frame comes only after its stream began")
        self._last_seconds = self._anchor.origin_seconds + media_seconds
        return self._last_seconds

    def due_seconds(self, media_seconds: float, speed: float) -> float:
        """Return when a recording's picture is due, on the monotonic clock."""
        if self._anchor is None:
            raise RuntimeError("a picture is due only after its stream began")
        played_seconds = (media_seconds - self._anchor.paced_media_seconds) / speed
        return self._anchor.paced_monotonic_seconds + played_seconds

    def _tie(self, media_seconds: float, time_seconds: float, now: Now) -> None:
        if self._last_seconds is not None:
            earliest_seconds = self._last_seconds + self._step_seconds
            if self._is_finite or time_seconds > earliest_seconds - MOST_DRIFT_SECONDS:
                time_seconds = max(time_seconds, earliest_seconds)
        # A seam that was pushed back is also played later, or a looping file would run ever further
        # ahead of the clock.
        late_seconds = 0.0 if self._replay else max(0.0, time_seconds - now.wall_seconds)
        self._anchor = _Anchor(
            origin_seconds=time_seconds - media_seconds,
            paced_media_seconds=media_seconds,
            paced_monotonic_seconds=now.monotonic_seconds + late_seconds,
        )

    def _ahead(self, media_seconds: float, now: Now) -> float:
        if self._anchor is None:
            return 0.0
        return self._anchor.origin_seconds + media_seconds - now.wall_seconds
