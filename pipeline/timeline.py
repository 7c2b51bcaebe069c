"""The timeline: a camera's scores over time, many clips to a bucket. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from edgewatch.pipeline.types import CameraName, ScoreBucket
from edgewatch.pipeline.verdict_rows import MINUTE_SECONDS

SINGLE_SCORES_SECONDS = 2 * 3600.0
"""Up to this length single scores are read where whole minutes are too coarse."""

SCORES = """
SELECT end_seconds, score, threshold FROM verdicts INDEXED BY verdict_scores
WHERE camera = ? AND end_seconds >= ? AND end_seconds < ? ORDER BY end_seconds"""

SPANS = """
SELECT start_seconds, end_seconds, score, threshold FROM verdicts INDEXED BY verdict_scores
WHERE camera = ? AND end_seconds >= ? AND end_seconds < ? ORDER BY end_seconds"""

_OF_SCORES = """
SELECT CAST((end_seconds - :since) / :step AS INTEGER) AS number,
    max(score), min(score), avg(score), max(threshold), count(*)
FROM verdicts INDEXED BY verdict_scores
WHERE camera = :camera AND end_seconds >= :since AND end_seconds < :until AND score IS NOT NULL
GROUP BY number ORDER BY number"""

_OF_MINUTES = f"""
SELECT (minute - :since / {MINUTE_SECONDS}) / (:step / {MINUTE_SECONDS}) AS number,
    max(highest), min(lowest), sum(total) / sum(clips), max(threshold), sum(clips)
FROM score_minutes
WHERE camera = :camera AND minute >= :since / {MINUTE_SECONDS}
  AND minute < :until / {MINUTE_SECONDS}
GROUP BY number ORDER BY number"""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the buckets of a timeline lie: from `since`, each `step` long; Unix times."""

    since_seconds: float
    until_seconds: float
    step_seconds: float
    of_minutes: bool
    """Whether sums by the minute do; every edge is then a whole minute."""

    @classmethod
    def of(cls, since_seconds: float, until_seconds: float, buckets: int) -> Grid:
        """Cut [since, until) into at most so many stretches of equal length.

        Long timelines are cut at whole minutes: the last stretch, and the first, may then reach
        up to a stretch beyond what was asked for. Raises ValueError for no time or no buckets.
        """
        if until_seconds <= since_seconds or buckets < 1:
            raise ValueError("a timeline needs time, and at least one bucket")
        length_seconds = until_seconds - since_seconds
        step_seconds = length_seconds / buckets
        if step_seconds < MINUTE_SECONDS and length_seconds <= SINGLE_SCORES_SECONDS:
            return cls(since_seconds, until_seconds, step_seconds, of_minutes=False)
        since = math.floor(since_seconds / MINUTE_SECONDS) * MINUTE_SECONDS
        until = math.ceil(until_seconds / MINUTE_SECONDS) * MINUTE_SECONDS
        step = math.ceil((until - since) / buckets / MINUTE_SECONDS) * MINUTE_SECONDS
        return cls(since, until, step, of_minutes=True)

    def query(self, camera: CameraName) -> tuple[str, dict[str, object]]:
        """Return the statement whose rows `bucket` reads, and its values."""
        values: dict[str, object] = {
            "camera": camera,
            "since": self.since_seconds,
            "until": self.until_seconds,
            "step": self.step_seconds,
        }
        return (_OF_MINUTES if self.of_minutes else _OF_SCORES), values

    def bucket(self, row: tuple[Any, ...]) -> ScoreBucket:
        """Return the bucket of a row."""
        number, highest, lowest, mean, threshold, clips = row
        start_seconds = self.since_seconds + number * self.step_seconds
        end_seconds = start_seconds + self.step_seconds
        return ScoreBucket(start_seconds, end_seconds, highest, lowest, mean, threshold, clips)
