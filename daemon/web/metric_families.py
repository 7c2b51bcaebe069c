"""Metric families: the figures of a running service as Prometheus wants them. Pure.

Labels are bounded: cameras that are configured now, and words of fixed lists; a word beyond its
list counts as `other`. Source of names and units: Prometheus, "Metric and label naming".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from edgewatch.daemon.web.metric_values import (
    BrokerMetrics,
    CameraMetrics,
    ServiceMetrics,
    WayMetrics,
)
from edgewatch.pipeline.drill.result import STAGES
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.stats import LATENCY_BOUNDS_SECONDS, StatsSnapshot
from edgewatch.pipeline.types import Coverage, HealthState

ENGINE_STATES: Final = ("starting", "ready", "down")
HEALTH_STATES: Final = get_args(HealthState)
CAMERA_STATES: Final = ("normal", "anomaly", "unknown")
DROP_REASONS: Final = ("overload", "engine_down", "corrupt", "too_short", "other")
SUPPRESSED_BY: Final = ("cooldown", "snooze")
EVIDENCE_STATES: Final = ("on", "paused", "off")
EVIDENCE_OUTCOMES: Final = ("ready", "failed", "refused")


def families(service: ServiceMetrics) -> Iterator[Metric]:
    """Yield every family; those of what is not there (no broker, no camera) without a sample."""
    yield from _of_service(service)
    yield from _of_engine(service.engine_figures)
    yield from _of_judging(service.stats)
    yield from _of_events(service)
    yield from _of_broker(service.broker)
    yield from _of_store(service)
    yield from _of_page(service.page)
    yield from _of_ways(service.ways)
    yield from _of_cameras(service.cameras)
    yield from _of_drills(service)


def _of_service(service: ServiceMetrics) -> Iterator[Metric]:
    yield InfoMetricFamily(
        "edgewatch_build", "Which edgewatch runs.", value={"version": service.version}
    )
    yield _gauge("edgewatch_uptime_seconds", "Since the start.", service.uptime_seconds)
    yield _gauge(
        "edgewatch_resident_memory_bytes", "Resident memory of the process.", service.memory_bytes
    )
    yield _gauge(
        "edgewatch_healthy", "Whether judging is going on, as /healthz says.", service.healthy
    )
    yield InfoMetricFamily(
        "edgewatch_engine", "Which engine judges.", value={"name": service.engine}
    )
    yield _states(
        "edgewatch_engine_state",
        "What the engine does; exactly one state is 1.",
        (),
        ENGINE_STATES,
        [((), service.engine_state)],
    )
    yield _counter(
        "edgewatch_engine_restarts", "Restarts of the engine.", service.stats.engine_restarts
    )
    yield _gauge(
        "edgewatch_flow_stuck_seconds",
        "How long clips have waited without any being judged; 0 while none waits.",
        service.stuck_seconds,
    )


def _of_engine(figures: EngineFigures) -> Iterator[Metric]:
    """Yield what an engine counts since its model was started: a restart begins at 0 again."""
    yield _counter(
        "edgewatch_engine_sight_hits",
        "Pairs of frames of judged clips that had been seen before.",
        figures.sight_hits,
    )
    yield _counter(
        "edgewatch_engine_sight_misses",
        "Pairs of frames of judged clips that had to be seen.",
        figures.sight_misses,
    )
    yield _counter(
        "edgewatch_engine_sights_foreseen",
        "Pairs of frames seen before their clip was complete.",
        figures.sight_foreseen,
    )
    yield _counter(
        "edgewatch_engine_sights_evicted",
        "Sights of pairs of frames given up for want of room.",
        figures.sight_evicted,
    )
    yield _gauge("edgewatch_engine_sight_bytes", "Sights held on the device.", figures.sight_bytes)
    yield _counter("edgewatch_engine_words_tokens", "Tokens of descriptions.", figures.words_tokens)


def _of_judging(stats: StatsSnapshot) -> Iterator[Metric]:
    yield HistogramMetricFamily(
        "edgewatch_verdict_latency_seconds",
        "From the end of a clip's footage to its verdict.",
        buckets=[
            *(
                (f"{bound:g}", count)
                for bound, count in zip(LATENCY_BOUNDS_SECONDS, stats.latency_counts, strict=True)
            ),
            ("+Inf", stats.clips_judged),
        ],
        sum_value=stats.latency_sum_seconds,
    )
    yield _counter(
        "edgewatch_verdicts_uncertain",
        "Verdicts for which the engine's answer hardly was one.",
        stats.uncertain,
    )
    yield _counter("edgewatch_words_given_up", "Descriptions not made.", stats.words_given_up)
    known = dict.fromkeys(DROP_REASONS, 0)
    for reason, count in stats.drops.items():
        if reason != "event_unstored":
            known[reason if reason in known else "other"] += count
    dropped = CounterMetricFamily(
        "edgewatch_clips_dropped", "Clips not judged, by why.", labels=["reason"]
    )
    for reason, count in known.items():
        dropped.add_metric([reason], count)
    yield dropped


def _of_events(service: ServiceMetrics) -> Iterator[Metric]:
    stats = service.stats
    yield _counter("edgewatch_events_opened", "Events, sent or not.", stats.events_opened)
    yield _counter("edgewatch_events_sent", "Events that became alerts.", stats.events_sent)
    suppressed = CounterMetricFamily(
        "edgewatch_events_suppressed",
        "Events that opened without an alert, by why.",
        labels=["reason"],
    )
    for reason in SUPPRESSED_BY:
        suppressed.add_metric([reason], stats.events_suppressed.get(reason, 0))
    yield suppressed
    yield _counter(
        "edgewatch_events_unstored",
        "Steps of events that neither disk nor memory could take.",
        stats.drops.get("event_unstored", 0),
    )


def _of_broker(broker: BrokerMetrics | None) -> Iterator[Metric]:
    yield _gauge(
        "edgewatch_broker_connected",
        "Whether the MQTT broker is connected.",
        broker.connected if broker else None,
    )
    yield _counter(
        "edgewatch_broker_reconnects",
        "Connections to the broker after the first.",
        broker.reconnects if broker else None,
    )
    yield _counter(
        "edgewatch_broker_published",
        "Messages of the outbox that the broker acknowledged.",
        broker.published if broker else None,
    )
    dropped = CounterMetricFamily(
        "edgewatch_broker_messages_dropped",
        "Live messages (QoS 0) not sent: no connection (away), or a slow one (full).",
        labels=["reason"],
    )
    if broker:
        dropped.add_metric(["away"], broker.dropped_away)
        dropped.add_metric(["full"], broker.dropped_full)
    yield dropped
    yield _counter(
        "edgewatch_broker_commands_ignored",
        "Commands that were malformed, too long or retained.",
        broker.commands_ignored if broker else None,
    )
    yield _gauge(
        "edgewatch_outbox_messages",
        "Messages that the broker has still to acknowledge.",
        broker.waiting if broker else None,
    )


def _of_store(service: ServiceMetrics) -> Iterator[Metric]:
    yield _gauge(
        "edgewatch_store_trouble",
        "1 while the database can take nothing.",
        service.store_in_trouble,
    )
    yield _gauge(
        "edgewatch_store_events_waiting",
        "Events in memory that the disk has yet to take.",
        service.events_waiting,
    )
    yield _counter(
        "edgewatch_store_verdicts_dropped",
        "Verdicts that the database could not take.",
        service.verdicts_unstored,
    )
    yield from _of_evidence(service)


def _of_evidence(service: ServiceMetrics) -> Iterator[Metric]:
    figures = service.evidence
    state = str(figures.get("state", "off"))
    yield _states(
        "edgewatch_evidence_state",
        "Whether evidence is kept; paused while the disk is full. Exactly one state is 1.",
        (),
        EVIDENCE_STATES,
        [((), state)],
    )
    yield _gauge("edgewatch_evidence_bytes", "Evidence on disk.", figures.get("bytes", 0))
    yield _gauge(
        "edgewatch_evidence_limit_bytes",
        "Setting evidence.max_bytes.",
        service.evidence_limit_bytes,
    )
    yield _gauge(
        "edgewatch_evidence_recording",
        "Events whose evidence is being recorded.",
        figures.get("recording", 0),
    )
    events = CounterMetricFamily(
        "edgewatch_evidence_events",
        "Events whose evidence is kept (ready), could not be (failed) or was not begun (refused).",
        labels=["outcome"],
    )
    for outcome in EVIDENCE_OUTCOMES:
        events.add_metric([outcome], figures.get(outcome, 0))
    yield events
    yield _counter(
        "edgewatch_evidence_removed",
        "Events whose evidence gave way to quota or age.",
        figures.get("removed", 0),
    )
    yield _counter(
        "edgewatch_evidence_left_out",
        "Pieces of video and pictures that evidence could not take in.",
        figures.get("left_out", 0),
    )


def _of_page(page: Mapping[str, int]) -> Iterator[Metric]:
    yield _gauge("edgewatch_page_streams", "Pages that are open.", page.get("pages"))
    yield _counter(
        "edgewatch_page_pictures_dropped",
        "Live pictures that a slow page was not shown.",
        page.get("pictures_dropped"),
    )


def _of_ways(ways: Iterable[WayMetrics]) -> Iterator[Metric]:
    labels = ["way"]
    up = GaugeMetricFamily("edgewatch_notify_up", "1 unless the last try failed.", labels=labels)
    waiting = GaugeMetricFamily(
        "edgewatch_notify_messages", "Messages still to be delivered.", labels=labels
    )
    delivered = CounterMetricFamily(
        "edgewatch_notify_delivered", "Messages that the receiver took.", labels=labels
    )
    given_up = CounterMetricFamily(
        "edgewatch_notify_given_up", "Messages too old to go on trying.", labels=labels
    )
    refused = CounterMetricFamily(
        "edgewatch_notify_refused", "Messages that the receiver would never take.", labels=labels
    )
    for way in ways:
        up.add_metric([way.name], way.up)
        waiting.add_metric([way.name], way.waiting)
        delivered.add_metric([way.name], way.delivered)
        given_up.add_metric([way.name], way.given_up)
        refused.add_metric([way.name], way.refused)
    yield from (up, waiting, delivered, given_up, refused)


def _of_cameras(cameras: Sequence[CameraMetrics]) -> Iterator[Metric]:
    label = ("camera",)
    yield _states(
        "edgewatch_camera_health",
        "Whether a camera is watched; exactly one state of a camera is 1.",
        label,
        HEALTH_STATES,
        [((one.name,), one.health) for one in cameras],
    )
    yield _states(
        "edgewatch_camera_state",
        "What a camera's verdicts say; exactly one state of a camera is 1.",
        label,
        CAMERA_STATES,
        [((one.name,), one.state) for one in cameras],
    )
    for name, what, values in (
        ("enabled", "Whether it is switched on.", [one.enabled for one in cameras]),
        ("scheduled", "Whether its schedule covers now.", [one.scheduled for one in cameras]),
        ("snoozed", "Whether its alerts are held back.", [one.snoozed for one in cameras]),
        ("threshold", "P(anomaly) from which a clip counts.", [one.threshold for one in cameras]),
        ("queue_clips", "Clips that wait to be judged.", [one.waiting_clips for one in cameras]),
        ("score", "P(anomaly) of the newest clip.", [one.score for one in cameras]),
        (
            "last_verdict_timestamp_seconds",
            "Unix time of the newest verdict.",
            [one.verdict_timestamp_seconds for one in cameras],
        ),
    ):
        gauge = GaugeMetricFamily(f"edgewatch_camera_{name}", what, labels=label)
        for camera, value in zip(cameras, values, strict=True):
            if value is not None:
                gauge.add_metric([camera.name], value)
        yield gauge
    judged = CounterMetricFamily(
        "edgewatch_camera_clips_judged", "Clips judged since the start.", labels=label
    )
    coverage = GaugeMetricFamily(
        "edgewatch_camera_coverage_seconds",
        "Of the last 24 hours: seconds judged, and by reason not judged; they add up.",
        labels=[*label, "coverage"],
    )
    for one in cameras:
        judged.add_metric([one.name], one.clips_judged)
        for reason in get_args(Coverage) if one.coverage_seconds else ():
            coverage.add_metric([one.name, reason], one.coverage_seconds.get(reason, 0.0))
    yield from (judged, coverage)


def _of_drills(service: ServiceMetrics) -> Iterator[Metric]:
    label = ["camera"]
    passed = GaugeMetricFamily(
        "edgewatch_drill_passed", "Whether a camera's last fire drill passed.", labels=label
    )
    last = GaugeMetricFamily(
        "edgewatch_drill_last_pass_timestamp_seconds",
        "Unix time of the last fire drill that passed.",
        labels=label,
    )
    days = GaugeMetricFamily(
        "edgewatch_drill_days", "Whole days since the last fire drill.", labels=label
    )
    stages = GaugeMetricFamily(
        "edgewatch_drill_stage_seconds",
        "Of the last fire drill: from its start to each stage that it reached.",
        labels=[*label, "stage"],
    )
    for one in service.cameras:
        standing = one.drill
        if standing is None or standing.last is None:
            continue
        passed.add_metric([one.name], standing.last.passed)
        days.add_metric([one.name], standing.days or 0)
        if standing.passed_seconds is not None:
            last.add_metric([one.name], standing.passed_seconds)
        for stage in STAGES:
            if stage in standing.last.stages:
                stages.add_metric([one.name, stage], standing.last.stages[stage])
    yield from (passed, last, days, stages)
    yield _counter(
        "edgewatch_drill_clips", "Clips judged for fire drills.", service.stats.drill_clips
    )
    yield _counter(
        "edgewatch_drill_leaks",
        "Messages of drills that were stopped on their way to where real alerts go.",
        service.drill_leaks,
    )


def _gauge(name: str, what: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, what)
    if value is not None:
        family.add_metric([], value)
    return family


def _counter(name: str, what: str, value: float | None) -> Metric:
    """Make a counter; its name gets `_total` where it is written."""
    family = CounterMetricFamily(name, what)
    if value is not None:
        family.add_metric([], value)
    return family


def _states(
    name: str,
    what: str,
    labels: Sequence[str],
    states: Sequence[str],
    holds: Iterable[tuple[Sequence[str], str]],
) -> Metric:
    """Make a state set: of each thing one sample a state, 1 for the one that holds."""
    family = GaugeMetricFamily(name, what, labels=[*labels, "state"])
    for values, state in holds:
        for one in states:
            family.add_metric([*values, one], one == state)
    return family
