"""`/metrics`, read by a strict parser, and the dashboard over it."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from prometheus_client.parser import text_string_to_metric_families

import edgewatch
from edgewatch.daemon.web.metric_values import ServiceMetrics, WayMetrics
from edgewatch.daemon.web.metrics import exposition, service_metrics
from edgewatch.pipeline.stats import LATENCY_BOUNDS_SECONDS
from edgewatch.pipeline.types import CameraName, Coverage, HealthState
from tests.daemon.web.core import CAMERA, Core, core, settings_for
from tests.daemon.web.test_health import judge
from tests.fakes.events import make_event, make_message
from tests.prometheus_text import Family, parse

DOCS = Path(edgewatch.__file__).resolve().parents[2] / "docs"
DASHBOARD = DOCS / "grafana" / "edgewatch.json"
FRONT = CameraName("front")
NOTIFY = '[notify]\nwebhook_url = "https://box.example.org/hooks/hunter2"\n'


async def scrape(served: Core) -> Mapping[str, Family]:
    answer = await served.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parse(await answer.text())


async def test_what_happened_is_what_is_scraped(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path, rest=NOTIFY + CAMERA)) as served:
        stats, store = served.pipeline.stats, served.pipeline.store
        judge(served, FRONT)
        stats.judged(1600.0, served.clock.monotonic_seconds(), uncertain=True)
        stats.judged(60_000.0, served.clock.monotonic_seconds())
        for reason in ("overload", "overload", "engine_down", "something new", "event_unstored"):
            stats.dropped(reason)
        event = make_event("e1")
        stats.event(replace(event, suppressed_by="cooldown"))
        stats.event(replace(event, revision=2))
        stats.event(make_event("e2"))
        await store.save_event(event, [make_message(event)])
        served.context.reports.coverage = {FRONT: {"judged": 86_000_500, "offline": 399_500}}
        served.clock.advance(5.0)
        found = await scrape(served)

    def value(name: str, /, **labels: str) -> float:
        return found[f"edgewatch_{name}"].value(**labels)

    assert value("uptime_seconds") == 5.0
    assert value("build_info", version=edgewatch.__version__) == 1
    assert value("engine_info", name="fake-1") == 1
    assert value("healthy") == 1
    assert value("resident_memory_bytes") > 1e7
    assert value("engine_state", state="ready") == 1
    assert value("engine_state", state="down") == 0
    assert value("clips_dropped_total", reason="overload") == 2
    assert value("clips_dropped_total", reason="other") == 1
    assert value("events_unstored_total") == 1
    assert value("events_opened_total") == 2
    assert value("events_sent_total") == 2
    assert value("events_suppressed_total", reason="cooldown") == 1
    assert value("verdicts_uncertain_total") == 1
    assert value("outbox_messages") == 1
    assert value("broker_connected") == 0
    assert value("store_trouble") == 0
    assert value("evidence_state", state="on") == 1
    assert value("evidence_bytes") == 0
    assert value("evidence_events_total", outcome="failed") == 0
    assert value("notify_up", way="webhook") == 1
    assert value("camera_clips_judged_total", camera="front") == 1
    assert value("camera_score", camera="front") == 0.1
    assert value("camera_threshold", camera="front") == 0.5
    seen_seconds = value("camera_last_verdict_timestamp_seconds", camera="front")
    assert seen_seconds == served.clock.wall_seconds() - 5.0
    assert value("camera_coverage_seconds", camera="front", coverage="judged") == 86_000.5
    latency = found["edgewatch_verdict_latency_seconds"]
    assert latency.samples[f"{latency.name}_count", frozenset()] == 3
    assert latency.samples[f"{latency.name}_sum", frozenset()] == pytest.approx(61.61)
    for bound, count in ((0.05, 1), (1.5, 1), (2.0, 2), (30.0, 2)):
        assert latency.samples[f"{latency.name}_bucket", frozenset({("le", f"{bound:g}")})] == count


async def test_of_each_state_set_exactly_one_holds(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        found = await scrape(served)
    for name, states in (
        ("engine_state", ("starting", "ready", "down")),
        ("evidence_state", ("on", "paused", "off")),
        ("camera_health", get_args(HealthState)),
        ("camera_state", ("normal", "anomaly", "unknown")),
    ):
        samples = found[f"edgewatch_{name}"].samples
        assert {dict(labels)["state"] for _, labels in samples} == set(states)
        assert sum(samples.values()) == 1


async def test_the_library_of_prometheus_reads_the_same(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        text = await (await served.ask("GET", "/metrics")).text()
    theirs = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    ours = {key: value for family in parse(text).values() for key, value in family.samples.items()}
    assert ours == theirs


async def test_labels_are_escaped_and_hold_no_secret(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path, rest=NOTIFY + CAMERA)) as served:
        service = await service_metrics(served.context, {})
    evil = 'a "quoted\\ name\nwith a line'
    found = parse(exposition(replace(service, engine=evil)).decode())
    assert found["edgewatch_engine_info"].value(name=evil) == 1
    assert "hunter2" not in exposition(service).decode()


async def test_labels_are_bounded_by_cameras_and_fixed_words(tmp_path: Path) -> None:
    async with core(settings_for(tmp_path)) as served:
        judge(served, FRONT)
        for number in range(500):
            served.pipeline.stats.judged(1.0, 1.0, camera=CameraName(f"gone-{number}"))
            served.pipeline.stats.dropped(f"reason-{number}")
        served.context.reports.coverage = {FRONT: {"judged": 86_400_000}}
        found = await scrape(served)
    series = sum(len(family.samples) for family in found.values())
    assert series < 120
    words = {value for family in found.values() for _, one in family.samples for _, value in one}
    assert not any(word.startswith(("gone", "reason-")) for word in words)
    assert set(get_args(Coverage)) <= words


async def test_a_database_that_cannot_be_read_is_trouble_and_no_failed_scrape(
    tmp_path: Path,
) -> None:
    async with core(settings_for(tmp_path)) as served:
        with sqlite3.connect(tmp_path / "data" / "edgewatch.db") as other:
            other.execute("ALTER TABLE outbox RENAME TO elsewhere")
        found = await scrape(served)
        assert found["edgewatch_store_trouble"].value() == 1
        assert found["edgewatch_broker_connected"].value() == 0


class TestDashboard:
    """What Grafana is given asks for nothing that is not there."""

    @pytest.fixture
    async def families(self, tmp_path: Path) -> Mapping[str, Family]:
        async with core(settings_for(tmp_path, rest=NOTIFY + CAMERA)) as served:
            service: ServiceMetrics = await service_metrics(served.context, {})
        ways = [WayMetrics("webhook", True, 0, 0, 0, 0)]
        return parse(exposition(replace(service, ways=ways)).decode())

    def test_every_metric_of_a_query_exists(self, families: Mapping[str, Family]) -> None:
        queries = list(_queries(json.loads(DASHBOARD.read_text())))
        assert len(queries) >= 15
        for query in queries:
            asked = set(re.findall(r"\bedgewatch_[a-z0-9_]+", query))
            assert asked <= _names(families), query

    def test_every_metric_is_shown(self, families: Mapping[str, Family]) -> None:
        shown = " ".join(_queries(json.loads(DASHBOARD.read_text())))
        for name in families:
            assert name in shown, f"no panel shows {name}"

    def test_panels_have_a_title_and_do_not_overlap(self) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            assert panel["title"]
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_every_metric_is_documented_and_every_documented_one_exists(
        self, families: Mapping[str, Family]
    ) -> None:
        text = (DOCS / "metrics.md").read_text()
        assert set(re.findall(r"\bedgewatch_[a-z0-9_]+", text)) <= _names(families)
        for name in families:
            assert f"`{name}`" in text, f"docs/metrics.md does not know {name}"


def _names(families: Mapping[str, Family]) -> set[str]:
    """Return the families' names and those of a histogram's samples."""
    samples = {name for family in families.values() for name, _ in family.samples}
    return set(families) | samples


def _queries(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("expr"), str):
            yield value["expr"]
        for one in value.values():
            yield from _queries(one)
    elif isinstance(value, list):
        for one in value:
            yield from _queries(one)


def test_the_latency_classes_are_in_order() -> None:
    assert list(LATENCY_BOUNDS_SECONDS) == sorted(set(LATENCY_BOUNDS_SECONDS))
