"""Health: whether judging is really going on, for whoever restarts, pages or balances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web

from edgewatch.daemon.web.context import WebContext
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.watch import Watch

STUCK_SECONDS = 90.0
"""Clips that wait this long with none judged: not slow but stuck."""
STRIDES_MISSED = 4
LEAST_SILENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The answer, and what led to it."""

    healthy: bool
    reasons: tuple[str, ...]
    """Why not; where it is, what is not as it should be all the same. No camera's name."""
    wanted: int
    """Live cameras that are switched on and scheduled now."""
    judged: int
    """Those of them that were judged lately."""

    def document(self) -> dict[str, Any]:
        """Return the JSON document of `/healthz`."""
        return {
            "schema": 1,
            "healthy": self.healthy,
            "reasons": list(self.reasons),
            "cameras": {"wanted": self.wanted, "judged": self.judged},
        }


def routes(context: WebContext) -> list[web.RouteDef]:
    """Return `/healthz`: 200 while judging is going on, else 503."""

    async def serve(request: web.Request) -> web.Response:
        report = health_of(context)
        return web.json_response(report.document(), status=200 if report.healthy else 503)

    return [web.get("/healthz", serve)]


def health_of(context: WebContext) -> HealthReport:
    """Look at engine, flow and cameras as they are now."""
    pipeline, clock = context.pipeline, context.clock
    live = [watch for watch in pipeline.flow.watches if watch.feed.live]
    local_now = datetime.fromtimestamp(clock.wall_seconds())
    wanted = [watch for watch in live if watch.off_reason(local_now) is None]
    now_seconds = clock.monotonic_seconds()
    judged = [watch for watch in wanted if judged_lately(watch, pipeline.stats, now_seconds)]
    wrong, notes = [], []
    engine = pipeline.judge.state
    if engine.state != "ready":
        wrong.append(f"the engine is {engine.state}")
    stuck_seconds = pipeline.flow.stuck_seconds
    if stuck_seconds >= STUCK_SECONDS:
        wrong.append(f"clips wait, and none was judged for {stuck_seconds:.0f} s")
    if not live:
        wrong.append("no camera is configured")
    elif not wanted:
        notes.append("no camera is to be watched now: all are switched off or scheduled off")
    elif not judged:
        wrong.append(f"no camera is judged: {_conditions(wanted)}")
    elif len(judged) < len(wanted):
        rest = [watch for watch in wanted if watch not in judged]
        notes.append(f"{len(rest)} of {len(wanted)} cameras are not judged: {_conditions(rest)}")
    if pipeline.drills is not None:
        failed = sum(pipeline.drills.standing(one.camera).failed for one in wanted)
        if failed:
            notes.append(f"{failed} of {len(wanted)} cameras failed their last fire drill")
    if pipeline.store.health.trouble:
        notes.append("the database takes nothing now: see the log")
    return HealthReport(not wrong, (*wrong, *notes), len(wanted), len(judged))


def judged_lately(watch: Watch, stats: Stats, now_seconds: float) -> bool:
    """Whether a camera is online and its newest verdict (monotonic clock) is no more than due."""
    figures = stats.camera(watch.camera)
    if figures is None or watch.health.state != "online":
        return False
    clips = watch.feed.plan.clips
    silence_seconds = clips.seconds + STRIDES_MISSED * clips.stride_seconds
    return now_seconds - figures.judged_seconds <= max(LEAST_SILENCE_SECONDS, silence_seconds)


def _conditions(watches: Sequence[Watch]) -> str:
    states = Counter(
        "online, but without a verdict" if one.health.state == "online" else one.health.state
        for one in watches
    )
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
