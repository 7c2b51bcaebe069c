"""What the flow counts: clips, latencies, drops by reason. Pure; snapshots are frozen."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from edgewatch.pipeline.types import CameraName, Event

RATE_WINDOW_SECONDS = 60.0
LATENCIES_KEPT = 2048
LATENCY_BOUNDS_SECONDS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
"""Upper ends of the classes that latencies are counted in; what is longer is in none of them."""


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """What was judged of one live camera since it was added."""

    clips_judged: int
    judged_seconds: float
    """When the newest verdict came, on the monotonic clock."""
    score: float
    """Of that verdict."""


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
    events_sent: int
    """Events that became alerts."""
    events_suppressed: Mapping[str, int]
    """Events that opened without an alert, by why: cooldown, snooze."""
    latency_counts: tuple[int, ...]
    """Verdicts that took at most each of LATENCY_BOUNDS_SECONDS, each class with those before."""
    latency_sum_seconds: float
    """Of all verdicts."""
    uncertain: int
    """Verdicts for which the engine's answer hardly was one."""
    cameras: Mapping[CameraName, CameraFigures]
    drill_clips: int = 0
    """Clips of fire drills that were judged; they count nowhere else."""
    pairs_dropped: int = 0
    """Pairs of frames that newer ones took the place of before the engine could foresee them."""


class Stats:
    """Counters of one flow."""

    def __init__(self) -> None:
        self.events_opened = 0
        self.words_given_up = 0
        self.engine_restarts = 0
        self.drill_clips = 0
        self._pairs_dropped = 0
        self._clips = 0
        self._uncertain = 0
        self._events_sent = 0
        self._events_suppressed: Counter[str] = Counter()
        self._latency_classes = [0] * (len(LATENCY_BOUNDS_SECONDS) + 1)
        self._latency_sum_ms = 0.0
        self._cameras: dict[CameraName, CameraFigures] = {}
        self._drops: Counter[str] = Counter()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._judged_seconds: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def judged(
        self,
        latency_ms: float,
        now_seconds: float,
        *,
        uncertain: bool = False,
        camera: CameraName | None = None,
        score: float = 0.0,
    ) -> None:
        """Count one verdict; `now_seconds` is monotonic, `camera` a live one or None."""
        self._clips += 1
        self._uncertain += uncertain
        self._latencies_ms.append(latency_ms)
        self._latency_sum_ms += latency_ms
        self._latency_classes[bisect_left(LATENCY_BOUNDS_SECONDS, latency_ms / 1000.0)] += 1
        self._judged_seconds.append(now_seconds)
        if camera is not None:
            before = self._cameras.get(camera)
            count = before.clips_judged + 1 if before else 1
            self._cameras[camera] = CameraFigures(count, now_seconds, score)

    def camera(self, camera: CameraName) -> CameraFigures | None:
        """Return what was judged of a live camera; None if nothing was yet."""
        return self._cameras.get(camera)

    def forget(self, camera: CameraName) -> None:
        """Drop the figures of a camera that is gone."""
        self._cameras.pop(camera, None)

    def event(self, event: Event) -> None:
        """Count an event's step where it opens or becomes an alert."""
        if event.type != "new":
            return
        self.events_opened += event.revision == 1  # one that is sent later is `new` again
        if event.suppressed_by:
            self._events_suppressed[event.suppressed_by] += 1
        else:
            self._events_sent += 1

    def dropped(self, reason: str) -> None:
        """Count one clip that was not judged."""
        self._drops[reason] += 1

    def pair_dropped(self) -> None:
        """Count two frames that the engine was not given beforehand, as newer ones came."""
        self._pairs_dropped += 1

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
            events_sent=self._events_sent,
            events_suppressed=dict(self._events_suppressed),
            latency_counts=tuple(accumulate(self._latency_classes[:-1])),
            latency_sum_seconds=self._latency_sum_ms / 1000.0,
            uncertain=self._uncertain,
            cameras=dict(self._cameras),
            drill_clips=self.drill_clips,
            pairs_dropped=self._pairs_dropped,
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
