"""Regular reports of a running pipeline: figures, coverage, and the clean-up of old records."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

import edgewatch
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.coverage import open_ms, settled_until_ms
from edgewatch.pipeline.engines import figures_of
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.ledger import coverage_totals
from edgewatch.pipeline.notify.drain import WayStatus
from edgewatch.pipeline.types import CameraName, Coverage
from edgewatch.pipeline.wiring import Pipeline

log = structlog.get_logger(__name__)

STATS_SECONDS = 10.0
COVERAGE_SECONDS = 60.0
PRUNE_SECONDS = 3600.0
DAY_SECONDS = 86_400.0


class Reports:
    """Publishes stats and coverage as long as `run` runs."""

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._clock = clock
        self._started_seconds = clock.monotonic_seconds()
        self.coverage: dict[CameraName, Mapping[Coverage, int]] = {}
        """What was last published of each live camera's 24 hours, in milliseconds."""

    async def run(self) -> None:
        """Report at the intervals of the contract; a store in trouble only delays it."""
        due = {self._stats: 0.0, self._coverage: 0.0, self._prune: PRUNE_SECONDS}
        every = {
            self._stats: STATS_SECONDS,
            self._coverage: COVERAGE_SECONDS,
            self._prune: PRUNE_SECONDS,
        }
        while True:
            elapsed_seconds = self._clock.monotonic_seconds() - self._started_seconds
            for report, due_seconds in due.items():
                if elapsed_seconds >= due_seconds:
                    due[report] = elapsed_seconds + every[report]
                    await self._guarded(report())
            await asyncio.sleep(1.0)

    @property
    def uptime_seconds(self) -> float:
        """How long the service has run."""
        return self._clock.monotonic_seconds() - self._started_seconds

    async def figures(self) -> Mapping[str, Any]:
        """Return the payload of the stats topic, without its time."""
        pipeline = self._pipeline
        snapshot = pipeline.stats.snapshot(self._clock.monotonic_seconds())
        publisher = pipeline.publisher.status() if pipeline.publisher else None
        watches = pipeline.flow.watches
        store = pipeline.store.health
        return {
            "version": edgewatch.__version__,
            "uptime_seconds": round(self.uptime_seconds, 1),
            "clips_judged": snapshot.clips_judged,
            "clips_per_second": snapshot.clips_per_second,
            "latency_ms": snapshot.latency_ms,
            "queue_depths": {
                "clips": {
                    one.camera: one.waiting_clips for one in watches if one.feed.kind != "drill"
                },
                "outbox": await pipeline.store.outbox_size(),
            },
            "drops": {
                **snapshot.drops,
                "messages": publisher.dropped_away + publisher.dropped_full if publisher else 0,
                "words": snapshot.words_given_up,
                "verdicts_unstored": store.verdicts_dropped,
            },
            "uncertain_share": snapshot.uncertain_share,
            "events_opened": snapshot.events_opened,
            "memory_bytes": resident_bytes(),
            "engine": {
                "name": pipeline.judge.engine.name,
                "state": pipeline.judge.state.state,
                "detail": pipeline.judge.state.detail,
                "restarts": snapshot.engine_restarts,
                "figures": _engine_figures(figures_of(pipeline.judge.engine)),
            },
            "evidence": None if pipeline.evidence is None else pipeline.evidence.figures(),
            "store": {"trouble": store.trouble, "events_waiting": store.events_waiting},
            "notify": {one.name: await self._way(one) for one in self._ways()},
            "drills": None if pipeline.drills is None else pipeline.drills.figures(),
        }

    def _ways(self) -> list[WayStatus]:
        return [drain.status() for drain in self._pipeline.notify]

    async def _way(self, status: WayStatus) -> Mapping[str, Any]:
        return {
            "where": status.where,
            "trouble": status.trouble or None,
            "waiting": await self._pipeline.store.outbox_size(status.name),
            "delivered": status.delivered,
            "given_up": status.given_up,
            "refused": status.refused,
        }

    async def coverage_of(self, camera: CameraName) -> tuple[Mapping[Coverage, int], float]:
        """Sum a camera's last 24 hours in milliseconds; also returns their end (Unix time).

        They end where the ledger is settled, so that time still open counts as neither.
        """
        settings = self._pipeline.settings
        clips = [settings.clips, *(plan.clips for plan in settings.plans())]
        window_ms = round(1000 * max(one.seconds for one in clips))
        now_ms, day_ms = round(self._clock.wall_seconds() * 1000), round(DAY_SECONDS * 1000)
        since_ms = now_ms - day_ms - open_ms(window_ms)
        intervals = await self._pipeline.store.coverage(camera, since_ms, now_ms)
        newest_end_ms = intervals[-1].end_ms if intervals else None
        until_ms = settled_until_ms(newest_end_ms, now_ms, window_ms)
        return coverage_totals(intervals, until_ms - day_ms, until_ms), until_ms / 1000

    async def _stats(self) -> None:
        self._pipeline.announcer.stats(await self.figures())

    async def _coverage(self) -> None:
        summed: dict[CameraName, Mapping[Coverage, int]] = {}
        for watch in self._pipeline.flow.watches:
            if watch.feed.live:
                totals, end_seconds = await self.coverage_of(watch.camera)
                if self._pipeline.flow.watch(watch.camera) is not watch:
                    continue  # removed meanwhile: what is retained of it has been taken away
                self._pipeline.announcer.coverage(watch.camera, totals, end_seconds)
                summed[watch.camera] = totals
        self.coverage = summed

    async def _prune(self) -> None:
        settings = self._pipeline.settings
        now_seconds = self._clock.wall_seconds()
        await self._pipeline.store.prune(
            records_before_seconds=now_seconds - settings.service.verdict_days * DAY_SECONDS,
            events_before_seconds=now_seconds
            - max(settings.service.verdict_days, settings.evidence.max_age_days) * DAY_SECONDS,
        )

    @staticmethod
    async def _guarded(report: Awaitable[None]) -> None:
        try:
            await report
        except StoreError as error:
            log.warning("report delayed", reason=str(error))


def _engine_figures(figures: EngineFigures | None) -> Mapping[str, Any] | None:
    """Return what an engine counted, with the share of sights that were there; None: nothing."""
    if figures is None:
        return None
    rate = figures.sight_hit_rate
    return {**asdict(figures), "sight_hit_rate": None if rate is None else round(rate, 4)}


def resident_bytes() -> int:
    """Return the process's resident memory. Source: proc(5), statm, second field in pages."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
