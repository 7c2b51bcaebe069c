"""The pace of an engine: how long a batch of so many clips takes, learnt from those judged. Pure.

A line through the batches that were judged, later ones counting more: what a call costs, and what
each clip adds. An engine that takes the same time for any batch (several servers, several GPUs) and
one that takes twice the time for twice the clips are thus told apart.
"""

from __future__ import annotations

_KEPT = 0.9
"""What a batch counts when the next one is learnt: the last ten or so make the line."""
_FLAT = 0.01
"""Sizes that vary less than this (in clips squared) tell nothing of what one clip adds."""


class Pace:
    """Learns from batches; knows nothing before the first one."""

    def __init__(self) -> None:
        self._weight = 0.0
        self._clips = self._seconds = 0.0
        self._clips_squared = self._clips_seconds = 0.0
        """Sums over batches, each weighted by its age."""

    def learn(self, clips: int, seconds: float) -> None:
        """Take what a batch of so many clips took."""
        self._weight = _KEPT * self._weight + 1.0
        self._clips = _KEPT * self._clips + clips
        self._seconds = _KEPT * self._seconds + seconds
        self._clips_squared = _KEPT * self._clips_squared + clips * clips
        self._clips_seconds = _KEPT * self._clips_seconds + clips * seconds

    def expected_seconds(self, clips: int) -> float:
        """Return how long a batch is expected to take; 0 while nothing is known."""
        call_seconds, clip_seconds = self._line()
        return call_seconds + clips * clip_seconds

    def most_clips(self, within_seconds: float, most: int) -> int:
        """Return the largest batch, of `most` at most, expected to be through within a time.

        If that is too short for a single clip, it cannot be kept at all, and the engine had better
        do as much as it can: `most`.
        """
        call_seconds, clip_seconds = self._line()
        if self.expected_seconds(most) <= within_seconds:
            return most
        if clip_seconds <= 0.0 or call_seconds + clip_seconds > within_seconds:
            return most
        return min(most, int((within_seconds - call_seconds) / clip_seconds))

    def _line(self) -> tuple[float, float]:
        """Return seconds of a call and of a clip, both at least 0: weighted least squares."""
        if not self._weight:
            return 0.0, 0.0
        clips, seconds = self._clips / self._weight, self._seconds / self._weight
        variance = self._clips_squared / self._weight - clips * clips
        if variance < _FLAT:
            return 0.0, seconds / clips
        slope = (self._clips_seconds / self._weight - clips * seconds) / variance
        slope = min(max(slope, 0.0), seconds / clips)
        return seconds - slope * clips, slope
