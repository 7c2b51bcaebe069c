"""The status: how the service itself fares, part by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgewatch.daemon.web.context import WebContext
from edgewatch.pipeline.judging import EngineState
from edgewatch.pipeline.mqtt import PublisherStatus
from edgewatch.pipeline.store import StoreHealth
from edgewatch.pipeline.types import Health, SourceInfo


@dataclass(frozen=True, slots=True)
class CameraRow:
    """A line of the table of cameras."""

    camera: str
    health: Health
    info: SourceInfo | None
    sampled_fps: float
    picture_age_seconds: float | None
    """None while there is no picture."""
    waiting_clips: int
    threshold: float
    source: str
    """Where it is read from, without any secret."""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything the status page shows."""

    figures: Mapping[str, Any]
    """As on the stats topic."""
    engine: EngineState
    publisher: PublisherStatus | None
    store: StoreHealth
    evidence_bytes: int
    evidence_most_bytes: int
    cameras: tuple[CameraRow, ...]
    page: Mapping[str, Any]
    """What the page itself costs and drops."""


async def status_of(context: WebContext, page: Mapping[str, Any]) -> Status:
    """Gather the status. Raises StoreError."""
    pipeline = context.pipeline
    now_seconds = context.clock.monotonic_seconds()
    rows = []
    for watch in pipeline.flow.watches:
        if not watch.feed.live:
            continue
        frame = watch.thread.latest_frame if watch.thread else None
        age = None if frame is None else max(0.0, now_seconds - frame.captured_seconds)
        rows.append(
            CameraRow(
                camera=watch.camera,
                health=watch.health,
                info=watch.info,
                sampled_fps=watch.feed.plan.clips.fps,
                picture_age_seconds=age,
                waiting_clips=watch.waiting_clips,
                threshold=watch.threshold,
                source=watch.feed.source.display,
            )
        )
    return Status(
        figures=await context.reports.figures(),
        engine=pipeline.judge.state,
        publisher=pipeline.publisher.status() if pipeline.publisher else None,
        store=pipeline.store.health,
        evidence_bytes=await pipeline.store.evidence_bytes(),
        evidence_most_bytes=context.settings.evidence.max_bytes,
        cameras=tuple(rows),
        page=page,
    )
