"""What the flow counts: clips, latencies, drops by reason. Pure; snapshots are frozen."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

RATE_WINDOW_SECONDS = 60.0
LATENCIES_KEPT = 2048


@dataclass(frozen=True, slots=True)
class StatsSnapshot:
    """Figures since the start, and the newest latencies."""

    clips_judged: int
    clips_per_second: float
    """Over the last minute."""
    latency_ms: Mapping[str, float]
    """p50, p95, p99 from the end of the footage to the verdict; empty before the first."""
    drops: Mapping[str, int]
    """Clips not judged, by reason."""
    events_opened: int
    words_given_up: int
    engine_restarts: int
    uncertain_share: float
    """Of all verdicts, those for which the engine's answer hardly was one."""


class Stats:
    """Counters of one flow."""

    def __init__(self) -> None:
        self.events_opened = 0
        self.words_given_up = 0
        self.engine_restarts = 0
        self._clips = 0
        self._uncertain = 0
        self._drops: Counter[str] = Counter()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._judged_seconds: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def judged(self, latency_ms: float, now_seconds: float, *, uncertain: bool = False) -> None:
        """Count one verdict; `now_seconds` is monotonic."""
        self._clips += 1
        self._uncertain += uncertain
        self._latencies_ms.append(latency_ms)
        self._judged_seconds.append(now_seconds)

    def dropped(self, reason: str) -> None:
        """Count one clip that was not judged."""
        self._drops[reason] += 1

    def snapshot(self, now_seconds: float) -> StatsSnapshot:
        """Return the figures; `now_seconds` is monotonic."""
        return StatsSnapshot(
            clips_judged=self._clips,
            clips_per_second=round(self._rate(now_seconds), 3),
            latency_ms=self._quantiles(),
            drops=dict(self._drops),
            events_opened=self.events_opened,
            words_given_up=self.words_given_up,
            engine_restarts=self.engine_restarts,
            uncertain_share=round(self._uncertain / max(1, self._clips), 4),
        )

    def _rate(self, now_seconds: float) -> float:
        recent = [at for at in self._judged_seconds if now_seconds - at <= RATE_WINDOW_SECONDS]
        if len(recent) < 2:
            return len(recent) / RATE_WINDOW_SECONDS
        # A full deque reaches back less than the window: divide by what it really spans.
        full = len(self._judged_seconds) == LATENCIES_KEPT
        span_seconds = now_seconds - recent[0] if full else RATE_WINDOW_SECONDS
        return len(recent) / max(span_seconds, 1e-3)

    def _quantiles(self) -> dict[str, float]:
        if not self._latencies_ms:
            return {}
        values = np.percentile(np.asarray(self._latencies_ms), [50, 95, 99])
        return {
            name: round(float(value), 1)
            for name, value in zip(("p50", "p95", "p99"), values, strict=True)
        }
