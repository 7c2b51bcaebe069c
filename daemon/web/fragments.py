"""Fragments: the parts of pages that change while somebody looks, each under a key.

A page is first sent with the same fragments that it is kept up to date with, so what a template
says stands in one place. Keys: `summary`, `recent`, `status`, `tile:CAMERA`, `coverage:CAMERA`,
`timeline:CAMERA:HOURS`, `event:ID`, `video:ID`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.drawing import Band, Window, bands, strip
from edgewatch.daemon.web.happening import Happening, happening
from edgewatch.daemon.web.recent import Recent
from edgewatch.daemon.web.status import status_of
from edgewatch.daemon.web.summary import Summary, summary_of
from edgewatch.daemon.web.templating import render
from edgewatch.daemon.web.tiles import Tile, tile_of
from edgewatch.daemon.web.timeline import DAY_SECONDS, timeline_of
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.watch import Watch

STRIP_CELLS = 240
"""Cells of 6 min in a strip of 24 h."""

_TEMPLATES = {
    "summary": "_summary.html",
    "recent": "_recent.html",
    "status": "_status.html",
    "tile": "_tile.html",
    "coverage": "_coverage.html",
    "timeline": "_timeline.html",
    "event": "_event.html",
    "video": "_video.html",
}
_LASTING_SECONDS = {"coverage": 30.0, "timeline": 10.0, "event": 1.0, "video": 1.0, "status": 2.0}
"""How long what was read from the disk is shown before it is read again; the rest is in memory."""


@dataclass(frozen=True, slots=True)
class DayCoverage:
    """A camera's last 24 hours."""

    camera: str
    judged_share: float
    """Of the time in which it was to be judged."""
    bands: tuple[Band, ...]


@dataclass(slots=True)
class _Made:
    model: object
    html: str
    read_seconds: float


class Fragments:
    """Makes the HTML of each key; what is alike is not rendered again, nor read too often."""

    def __init__(
        self,
        context: WebContext,
        recent: Recent,
        figures: Callable[[], dict[str, Any]] = dict,
        local_now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._context = context
        self._recent = recent
        self._figures = figures
        self._local_now = local_now
        self._made: dict[str, _Made] = {}

    async def html(self, key: str) -> str | None:
        """Return what a key shows now; None if there is no such thing. Raises StoreError."""
        kind, _, name = key.partition(":")
        if kind not in _TEMPLATES:
            return None
        made = self._made.get(key)
        now_seconds = self._context.clock.monotonic_seconds()
        lasting_seconds = _LASTING_SECONDS.get(kind, 0.0)
        if made and now_seconds - made.read_seconds < lasting_seconds:
            return made.html
        model = await self._model(kind, name)
        if model is None:
            self._made.pop(key, None)
            return None
        if made is None or made.model != model:
            made = _Made(model, render(_TEMPLATES[kind], {"it": model}), now_seconds)
            self._made[key] = made
        made.read_seconds = now_seconds
        return made.html

    def forget(self, keys: frozenset[str]) -> None:
        """Let go of all that nobody shows but these keys."""
        for key in self._made.keys() - keys:
            if not key.startswith(("tile:", "coverage:")):
                del self._made[key]

    def expire(self, event_id: str) -> None:
        """Have what is shown of an event read again at the next look."""
        for key in (f"event:{event_id}", f"video:{event_id}"):
            if made := self._made.get(key):
                made.read_seconds = float("-inf")

    @property
    def watches(self) -> list[Watch]:
        """The live cameras, in the order of the settings."""
        return [one for one in self._context.pipeline.flow.watches if one.feed.live]

    def watch(self, camera: str) -> Watch | None:
        """Return a live camera's watch, or None."""
        watch = self._context.pipeline.flow.watch(CameraName(camera))
        return watch if watch is not None and watch.feed.live else None

    def tile(self, watch: Watch) -> Tile:
        """Say how a camera fares."""
        drills = self._context.pipeline.drills
        return tile_of(
            watch,
            points=self._recent.points(watch.camera),
            engine=self._context.pipeline.judge.state,
            now_seconds=self._context.clock.wall_seconds(),
            local_now=self._local_now(),
            drill=drills.standing(watch.camera) if drills is not None else None,
        )

    def summary(self) -> Summary:
        """Say whether everything is watched."""
        pipeline = self._context.pipeline
        return summary_of(
            [self.tile(watch) for watch in self.watches],
            engine=pipeline.judge.state,
            publisher=pipeline.publisher.status() if pipeline.publisher else None,
            store=pipeline.store.health,
            evidence_trouble=pipeline.evidence.paused if pipeline.evidence else None,
            ways=[drain.status() for drain in pipeline.notify],
        )

    async def coverage(self, camera: CameraName) -> DayCoverage:
        """Sum up a camera's last 24 hours; they end where its time is accounted for."""
        totals_ms, end_seconds = await self._context.reports.coverage_of(camera)
        window = Window(end_seconds - DAY_SECONDS, end_seconds)
        intervals = await self._context.pipeline.store.coverage(
            camera, round(window.since_seconds * 1000), round(window.until_seconds * 1000)
        )
        spans = [(one.start_ms, one.end_ms, one.coverage) for one in intervals]
        unwanted = ("scheduled_off", "disabled")
        wanted_ms = sum(ms for why, ms in totals_ms.items() if why not in unwanted)
        return DayCoverage(
            camera,
            totals_ms.get("judged", 0) / max(1, wanted_ms),
            tuple(bands(strip(spans, window, cells=STRIP_CELLS))),
        )

    async def happening(self, event_id: str) -> Happening | None:
        """Return all that is known of an event, None if there is none. Raises StoreError."""
        return await happening(self._context, event_id)

    async def _model(self, kind: str, name: str) -> object | None:
        match kind:
            case "summary":
                return self.summary()
            case "recent":
                return tuple(self._recent.events)
            case "status":
                return await status_of(self._context, self._figures())
            case "event" | "video":
                return await self.happening(name)
            case "timeline":
                camera, _, hours = name.partition(":")
                watch = self.watch(camera)
                threshold = watch.threshold if watch else None
                return await timeline_of(self._context, camera, hours, threshold=threshold)
        watch = self.watch(name)
        if watch is None:
            return None
        return self.tile(watch) if kind == "tile" else await self.coverage(watch.camera)
