"""The figures of a flow."""

from __future__ import annotations

from edgewatch.pipeline.stats import LATENCIES_KEPT, Stats


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
