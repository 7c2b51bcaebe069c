"""Settings and a running service to its fire drills."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from edgewatch.config.settings import Settings
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.drill.drills import Drills, Rules
from edgewatch.pipeline.drill.incidents import incident_maker
from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.drill.surroundings import Delivery, Surroundings
from edgewatch.pipeline.drill.witness import Witness
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import BrokerAddress
from edgewatch.pipeline.notify.setup import notices_of
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import DrillMark


def drills_of(
    settings: Settings,
    address: BrokerAddress,
    *,
    flow: Flow,
    judge: Judge,
    stats: Stats,
    store: StoreThread,
    publisher: Publisher,
    guard: LeakGuard,
    clock: Clock,
) -> Drills:
    """Make the drills of a service; the publisher tells them from now on what the broker has."""
    topics = Topics(settings.mqtt.base_topic)
    around = Surroundings(
        flow=flow,
        judge=judge,
        clock=clock,
        delivery=partial(_delivery, store, publisher),
        leaks=lambda: guard.leaks,
        witness=partial(_witness, settings, address, topics, publisher, clock),
        incident=incident_maker,
    )
    told = settings.drill
    drills = Drills(
        around,
        store,
        rules=Rules.of(
            kind=told.kind,
            at=told.at,
            every_days=told.every_days,
            remind=told.remind_after_days,
            margin=told.margin_seconds,
        ),
        speaker=publisher,
        topics=topics,
        stats=stats,
        notices=notices_of(settings),
    )
    publisher.listen(drills.acknowledged)
    return drills


def _delivery(store: StoreThread, publisher: Publisher) -> Delivery:
    status = publisher.status()
    return Delivery(store.health.trouble or "", status.connected, status.detail)


def _witness(
    settings: Settings,
    address: BrokerAddress,
    topics: Topics,
    publisher: Publisher,
    clock: Clock,
    camera: str,
    mark: DrillMark,
    on_change: Callable[[], None],
) -> Witness:
    return Witness(
        address,
        topics,
        client_id=f"edgewatch-{settings.service.id}-witness",
        version=publisher.status().version,
        clock=clock,
        camera=camera,
        mark=mark,
        on_change=on_change,
    )
