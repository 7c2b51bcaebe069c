"""The figures of a flow."""

from __future__ import annotations

from dataclasses import replace

from edgewatch.pipeline.stats import LATENCIES_KEPT, LATENCY_BOUNDS_SECONDS, Stats
from edgewatch.pipeline.types import CameraName
from tests.fakes.events import make_event


def test_figures_before_the_first_clip_are_empty() -> None:
    snapshot = Stats().snapshot(0.0)
    assert (snapshot.clips_judged, snapshot.clips_per_second, snapshot.latency_ms) == (0, 0.0, {})


def test_rate_counts_the_last_minute_only() -> None:
    stats = Stats()
    for second in range(120):
        stats.judged(10.0, float(second))
    assert stats.snapshot(120.0).clips_per_second == 1.0
    assert stats.snapshot(500.0).clips_per_second == 0.0


def test_rate_is_right_when_more_came_than_is_kept() -> None:
    stats = Stats()
    for number in range(LATENCIES_KEPT * 2):
        stats.judged(1.0, number / 100.0)
    rate = stats.snapshot(LATENCIES_KEPT * 2 / 100.0).clips_per_second
    assert abs(rate - 100.0) < 1.0


def test_latency_quantiles_are_those_of_the_clips() -> None:
    stats = Stats()
    for latency_ms in range(1, 102):
        stats.judged(float(latency_ms), 0.0)
    assert stats.snapshot(0.0).latency_ms == {"p50": 51.0, "p95": 96.0, "p99": 100.0}


def test_drops_are_counted_by_reason() -> None:
    stats = Stats()
    for reason in ("overload", "overload", "engine_down"):
        stats.dropped(reason)
    assert stats.snapshot(0.0).drops == {"overload": 2, "engine_down": 1}


def test_latencies_are_counted_in_classes_each_with_those_before() -> None:
    stats = Stats()
    for latency_ms in (50.0, 50.1, 700.0, 60_000.0):
        stats.judged(latency_ms, 0.0)
    snapshot = stats.snapshot(0.0)
    counts = dict(zip(LATENCY_BOUNDS_SECONDS, snapshot.latency_counts, strict=True))
    assert (counts[0.05], counts[0.1], counts[0.75], counts[30.0]) == (1, 2, 3, 3)
    assert snapshot.clips_judged == 4
    assert abs(snapshot.latency_sum_seconds - 60.8001) < 1e-9


def test_an_event_is_opened_once_and_sent_once_whenever_that_is() -> None:
    stats = Stats()
    new = make_event("a")
    stats.event(replace(new, suppressed_by="cooldown"))
    stats.event(replace(new, type="update", revision=2, suppressed_by="cooldown"))
    stats.event(replace(new, revision=3))
    stats.event(replace(new, type="end", revision=4))
    stats.event(replace(make_event("b"), suppressed_by="snooze"))
    snapshot = stats.snapshot(0.0)
    assert (snapshot.events_opened, snapshot.events_sent) == (2, 1)
    assert snapshot.events_suppressed == {"cooldown": 1, "snooze": 1}


def test_live_cameras_have_figures_of_their_own_until_they_are_gone() -> None:
    stats, front = Stats(), CameraName("front")
    stats.judged(10.0, 1.0, camera=front, score=0.2)
    stats.judged(10.0, 2.0, camera=front, score=0.7)
    stats.judged(10.0, 3.0)
    figures = stats.camera(front)
    assert figures is not None
    assert (figures.clips_judged, figures.judged_seconds, figures.score) == (2, 2.0, 0.7)
    stats.forget(front)
    stats.forget(front)
    assert stats.camera(front) is None
    assert stats.snapshot(3.0).clips_judged == 3
