"""Figures and coverage as they are published."""

from __future__ import annotations

import json
from pathlib import Path

from edgewatch.config.settings import Settings
from edgewatch.daemon.reports import DAY_SECONDS, Reports, resident_bytes
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.messages import stats_payload
from edgewatch.pipeline.types import CameraName, Interval
from edgewatch.pipeline.wiring import assembled
from tests.fakes.engine import FakeEngine
from tests.mqtt_schemas import validate

FRONT = CameraName("front")


async def test_figures_are_what_the_schema_says(tmp_path: Path) -> None:
    clock = SystemClock()
    async with assembled(
        Settings(), FakeEngine(), clock=clock, store_path=tmp_path / "edgewatch.db", publish="live"
    ) as pipeline:
        figures = await Reports(pipeline, clock).figures()
        payload = stats_payload(figures, now_seconds=clock.wall_seconds())
        validate("stats", json.loads(json.dumps(payload)))


async def test_coverage_is_of_24_hours_up_to_where_the_ledger_is_settled(tmp_path: Path) -> None:
    clock = SystemClock()
    async with assembled(
        Settings(), FakeEngine(), clock=clock, store_path=tmp_path / "edgewatch.db", publish="live"
    ) as pipeline:
        settled_ms = round(clock.wall_seconds() * 1000) - 20_000
        judged = Interval(FRONT, settled_ms - 100_000, settled_ms, "judged")
        await pipeline.store.save_coverage([judged])
        totals, end_seconds = await Reports(pipeline, clock).coverage_of(FRONT)
    assert end_seconds == settled_ms / 1000
    assert totals == {"judged": 100_000, "not_running": round(DAY_SECONDS * 1000) - 100_000}


def test_resident_memory_is_that_of_a_python_process() -> None:
    assert 10_000_000 < resident_bytes() < 10_000_000_000
