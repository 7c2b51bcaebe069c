"""Fire drills with a real broker, real engine and real video, passed and broken at each link."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import pytest_asyncio

from edgewatch.config.settings import load_settings
from edgewatch.daemon.control import ControlSocket
from edgewatch.daemon.reports import Reports
from edgewatch.pipeline.backlog import MQTT, OutboxRow
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.drill.result import STAGES
from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import Answer, CameraName, Clip
from edgewatch.pipeline.watch import live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled
from edgewatch.tools import drill
from tests.fakes.videos import write_video
from tests.integration.mosquitto import Mosquitto, Subscriber, mosquitto, subscriber
from tests.integration.processes import bursting, file_camera, write_settings
from tests.integration.subscriber import said
from tests.mqtt_schemas import validate_message
from tests.patience import until

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

FRONT, COVERED = CameraName("front"), CameraName("covered")
DRILL_EVENTS, RESULT = "edgewatch/drill/front/events", "edgewatch/drill/front/result"


class Breakable(BuiltinEngine):
    """The built-in engine, which can be stuck, and made to see an incident on a camera."""

    def __init__(self, baseline_dir: Path) -> None:
        super().__init__(baseline_dir=baseline_dir)
        self.free = asyncio.Event()
        self.free.set()
        self.alarmed: set[CameraName] = set()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        await self.free.wait()
        answers = await super().judge(clips)
        return [
            replace(one, score=0.99) if clip.camera in self.alarmed else one
            for clip, one in zip(clips, answers, strict=True)
        ]


class Stoppable(StoreThread):
    """A store whose outbox can be stopped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.flows = asyncio.Event()
        self.flows.set()

    async def outbox_head(self, limit: int, channel: str = MQTT) -> Sequence[OutboxRow]:
        await self.flows.wait()
        return await super().outbox_head(limit, channel)


@dataclass
class House:
    """A service in this process, its broker, and who hears everything."""

    pipeline: Pipeline
    engine: Breakable
    store: Stoppable
    broker: Mosquitto
    heard: Subscriber
    settings: Path

    async def drill(self, capsys: pytest.CaptureFixture[str], camera: str = "front") -> Any:
        """Run `edgewatch drill` to its end; returns its exit code and its JSON document."""
        arguments = ["--camera", camera, "--json", "--config", str(self.settings)]
        code = await asyncio.to_thread(drill.main, arguments)
        # What the service logged before that is not the command's
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def calm(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    return bursting(index % 14, width, height)


def covered(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.full((height, width, 3), 90 + index // 2, np.uint8)


@asynccontextmanager
async def housed(folder: Path) -> AsyncIterator[House]:
    videos = {}
    for name, draw in (("front", calm), ("covered", covered)):
        path = folder / f"{name}.mp4"
        videos[name] = write_video(
            path, width=160, height=120, fps=8, frames=56, draw=draw, created=None
        )
    async with mosquitto(folder) as broker, subscriber(broker.port) as heard:
        file = write_settings(
            folder,
            broker_port=broker.port,
            cameras=[file_camera(name, video) for name, video in videos.items()],
            sections={
                "engine": {"threshold": 0.5},
                "events": {"open_after": 2, "open_within": 3},
                "drill": {"margin_seconds": 1.5},
                "evidence": {"enabled": False},
            },
        )
        settings, clock = load_settings(file), SystemClock()
        engine = Breakable(settings.service.data_dir / "baseline")
        store = Stoppable(settings.service.data_dir / "edgewatch.db")
        async with (
            assembled(
                settings, engine, clock=clock, store_path=None, publish="live", store=store
            ) as pipeline,
            asyncio.TaskGroup() as tasks,
        ):
            reports = Reports(pipeline, clock)
            control = ControlSocket(settings.service.control_socket, pipeline, reports)
            running = tasks.create_task(pipeline.run())
            serving = tasks.create_task(control.run())
            for plan in settings.plans():
                pipeline.flow.add(live_feed(plan))
            house = House(pipeline, engine, store, broker, heard, file)
            await until(settings.service.control_socket.exists)
            await until(lambda: pipeline.stats.camera(FRONT) is not None)
            assert pipeline.publisher is not None
            publisher = pipeline.publisher
            await until(lambda: publisher.status().connected)
            try:
                yield house
            finally:
                engine.free.set()
                store.flows.set()
                pipeline.flow.stop()
                await running
                serving.cancel()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with housed(tmp_path_factory.mktemp("drill")) as running:
        yield running


async def test_alarm_that_works_passes_on_the_drills_topics_alone(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = await house.drill(capsys)
    assert (code, told["outcome"]) == (0, "passed"), told
    assert set(told["stages"]) == set(STAGES)
    assert told["score"] >= told["threshold"] > told["control_score"]
    # Judged with the camera's own memory: what is untouched gets the camera's own score
    assert told["control_score"] == told["real_score"]
    await house.heard.until(lambda: bool(house.heard.payloads(RESULT)))
    for topic, payload in house.heard.messages:
        if payload:
            validate_message(topic, payload)
    steps = said(house.heard, DRILL_EVENTS)
    assert steps[0]["drill_id"] == told["drill_id"]
    assert not house.heard.payloads("edgewatch/front/events")
    assert not [topic for topic, _ in house.heard.messages if "homeassistant/drill" in topic]
    assert said(house.heard, RESULT)[-1]["passed"] is True
    store = house.pipeline.store
    assert await store.events() == []
    assert not (await store.verdicts(CameraName("drill/front"), 0, 1e12))
    assert CameraName("drill/front") not in await store.cameras()
    assert not list((house.settings.parent / "data").rglob("drill*"))


async def test_engine_that_is_stuck_is_named(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.engine.free.clear()
    code, told = await house.drill(capsys)
    house.engine.free.set()
    assert (code, told["link"]) == (1, "engine"), told
    assert "stuck" in told["sentence"]


async def test_threshold_that_nothing_reaches_is_named(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert house.pipeline.commands.take("front", "threshold", b"1.0") is None
    code, told = await house.drill(capsys)
    assert house.pipeline.commands.take("front", "threshold", b"0.5") is None
    assert (code, told["link"]) == (1, "threshold"), told
    assert told["score"] < told["threshold"] == 1.0


async def test_outbox_that_stands_still_is_named(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    house.store.flows.clear()
    code, told = await house.drill(capsys)
    house.store.flows.set()
    assert (code, told["link"]) == (1, "outbox"), told
    assert list(told["stages"])[-1] == "store"


async def test_broker_that_is_away_is_named_at_once(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher = house.pipeline.publisher
    assert publisher is not None
    await house.broker.stop()
    await until(lambda: not publisher.status().connected)
    code, told = await house.drill(capsys)
    await house.broker.start()
    assert (code, told["link"]) == (1, "broker"), told
    assert told["took_seconds"] < 5.0
    await until(lambda: publisher.status().connected)


async def test_camera_that_is_covered_is_named(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = house.pipeline.flow.watch(COVERED)
    assert watch is not None
    await until(lambda: watch.health.state == "covered")
    code, told = await house.drill(capsys, "covered")
    assert (code, told["link"]) == (1, "camera"), told
    assert "something covers its lens" in told["sentence"]


async def test_real_incident_meanwhile_is_sent_as_real_and_breaks_the_drill_off(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    async with subscriber(house.broker.port, "edgewatch/+/events") as heard:
        drilling = asyncio.create_task(house.drill(capsys))
        await until(lambda: house.pipeline.flow.watch(CameraName("drill/front")) is not None)
        house.engine.alarmed.add(FRONT)
        code, told = await drilling
        await heard.until(lambda: bool(heard.messages))
    assert (code, told["outcome"]) == (2, "broken_off"), told
    topic, payload = heard.messages[0]
    assert topic == "edgewatch/front/events"
    assert "drill" not in json.loads(payload)
    code, told = await house.drill(capsys)
    house.engine.alarmed.clear()
    assert (code, told["outcome"]) == (2, "refused")
    assert "real event is open" in told["reason"]
