"""Metric values: the running service at one moment, as the metric families need it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgewatch.pipeline.drill.standing import Standing
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.stats import StatsSnapshot


@dataclass(frozen=True, slots=True)
class CameraMetrics:
    """One live camera."""

    name: str
    health: str
    state: str
    enabled: bool
    scheduled: bool
    snoozed: bool
    threshold: float
    waiting_clips: int
    clips_judged: int
    score: float | None
    """Of the newest verdict; None before the first; likewise the next."""
    verdict_timestamp_seconds: float | None
    coverage_seconds: Mapping[str, float]
    """Of the last 24 hours, by what they are; empty until they were first summed."""
    drill: Standing | None = None
    """How its fire drills stand; None where there are none."""


@dataclass(frozen=True, slots=True)
class WayMetrics:
    """One way of `[notify]`."""

    name: str
    up: bool
    waiting: int
    delivered: int
    given_up: int
    refused: int


@dataclass(frozen=True, slots=True)
class BrokerMetrics:
    """The connection to the broker."""

    connected: bool
    reconnects: int
    published: int
    dropped_away: int
    dropped_full: int
    commands_ignored: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ServiceMetrics:
    """The whole service at one moment."""

    version: str
    uptime_seconds: float
    memory_bytes: int
    healthy: bool
    engine: str
    engine_state: str
    stats: StatsSnapshot
    stuck_seconds: float
    broker: BrokerMetrics | None
    store_in_trouble: bool
    events_waiting: int
    verdicts_unstored: int
    evidence_limit_bytes: int
    evidence: Mapping[str, Any]
    """As `EvidenceKeeper.figures` counts it; empty where none is kept."""
    cameras: Sequence[CameraMetrics] = ()
    ways: Sequence[WayMetrics] = ()
    drill_leaks: int = 0
    """Messages of drills that were stopped on their way out."""
    engine_figures: EngineFigures = field(default_factory=EngineFigures)
    page: Mapping[str, int] = field(default_factory=dict)
    """What open pages cost, as `Live.figures` counts it."""
