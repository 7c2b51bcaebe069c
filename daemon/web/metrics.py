"""`/metrics`: the figures of the running service, gathered at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

import edgewatch
from edgewatch.daemon.reports import resident_bytes
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.health import health_of
from edgewatch.daemon.web.metric_families import families
from edgewatch.daemon.web.metric_values import (
    BrokerMetrics,
    CameraMetrics,
    ServiceMetrics,
    WayMetrics,
)
from edgewatch.pipeline.backlog import MQTT
from edgewatch.pipeline.engines import figures_of
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.notify.notices import WAYS
from edgewatch.pipeline.watch import Watch

PageFigures = Callable[[], Mapping[str, int]]


def routes(context: WebContext, page_figures: PageFigures = dict) -> list[web.RouteDef]:
    """Return `/metrics`; `page_figures` counts what open pages cost."""

    async def serve(request: web.Request) -> web.Response:
        text = exposition(await service_metrics(context, page_figures()))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return [web.get("/metrics", serve)]


def exposition(service: ServiceMetrics) -> bytes:
    """Write the metrics in Prometheus' text format, version 0.0.4."""
    return generate_latest(_Collected(service))


async def service_metrics(context: WebContext, page: Mapping[str, int]) -> ServiceMetrics:
    """Gather everything as it is now. A database in trouble leaves its own figures at 0."""
    pipeline, reports, clock = context.pipeline, context.reports, context.clock
    store = pipeline.store.health
    counts = await _counted(context)
    return ServiceMetrics(
        version=edgewatch.__version__,
        uptime_seconds=reports.uptime_seconds,
        memory_bytes=resident_bytes(),
        healthy=health_of(context).healthy,
        engine=pipeline.judge.engine.name,
        engine_state=pipeline.judge.state.state,
        stats=pipeline.stats.snapshot(clock.monotonic_seconds()),
        stuck_seconds=pipeline.flow.stuck_seconds,
        broker=_broker(context, counts),
        store_in_trouble=store.trouble is not None or not counts.readable,
        events_waiting=store.events_waiting,
        verdicts_unstored=store.verdicts_dropped,
        evidence_limit_bytes=context.settings.evidence.max_bytes,
        evidence=pipeline.evidence.figures() if pipeline.evidence else {},
        cameras=[_camera(context, one) for one in pipeline.flow.watches if one.feed.live],
        ways=_ways(context, counts),
        drill_leaks=pipeline.drills.leaks if pipeline.drills is not None else 0,
        engine_figures=figures_of(pipeline.judge.engine) or EngineFigures(),
        page=page,
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """What only the database knows."""

    readable: bool
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Messages in the outbox, by channel."""


async def _counted(context: WebContext) -> _Counts:
    store = context.pipeline.store
    try:
        return _Counts(
            readable=True,
            waiting={channel: await store.outbox_size(channel) for channel in (MQTT, *WAYS)},
        )
    except StoreError:
        return _Counts(readable=False)


def _broker(context: WebContext, counts: _Counts) -> BrokerMetrics | None:
    publisher = context.pipeline.publisher
    if publisher is None:
        return None
    status = publisher.status()
    return BrokerMetrics(
        connected=status.connected,
        reconnects=status.reconnects,
        published=status.published,
        dropped_away=status.dropped_away,
        dropped_full=status.dropped_full,
        commands_ignored=status.commands_ignored,
        waiting=counts.waiting.get(MQTT, 0),
    )


def _ways(context: WebContext, counts: _Counts) -> list[WayMetrics]:
    return [
        WayMetrics(
            name=status.name,
            up=not status.trouble,
            waiting=counts.waiting.get(status.name, 0),
            delivered=status.delivered,
            given_up=status.given_up,
            refused=status.refused,
        )
        for status in (drain.status() for drain in context.pipeline.notify)
    ]


def _camera(context: WebContext, watch: Watch) -> CameraMetrics:
    clock, drills = context.clock, context.pipeline.drills
    wall_seconds = clock.wall_seconds()
    figures = context.pipeline.stats.camera(watch.camera)
    snoozed_until_seconds = watch.snoozed_until_seconds or 0.0
    totals_ms = context.reports.coverage.get(watch.camera, {})
    return CameraMetrics(
        name=watch.camera,
        health=watch.health.state,
        state=watch.policy.state.state,
        enabled=watch.enabled,
        scheduled=watch.schedule.covers(datetime.fromtimestamp(wall_seconds)),
        snoozed=snoozed_until_seconds > wall_seconds,
        threshold=watch.threshold,
        waiting_clips=watch.waiting_clips,
        clips_judged=figures.clips_judged if figures else 0,
        score=figures.score if figures else None,
        verdict_timestamp_seconds=(
            wall_seconds - (clock.monotonic_seconds() - figures.judged_seconds) if figures else None
        ),
        coverage_seconds={name: total_ms / 1000 for name, total_ms in totals_ms.items()},
        drill=drills.standing(watch.camera) if drills is not None else None,
    )


class _Collected(Collector):
    """What was gathered, in the form in which the library writes it."""

    def __init__(self, service: ServiceMetrics) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        return families(self._service)
