"""A whole daemon with a webhook and push: killed, with a dead receiver, and as it should be."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.daemon.web.test_server import free_port
from tests.fakes.receiver import Receiver, receiver
from tests.integration.mosquitto import Subscriber, mosquitto, subscriber
from tests.integration.processes import daemon, file_camera, write_settings
from tests.integration.subscriber import all_steps, assert_well_told
from tests.prometheus_text import parse

pytestmark = pytest.mark.integration

SECRET_PATH = "/hooks/hunter2"


def waiting(folder: Path) -> list[bytes]:
    """Return what the outbox still holds for the webhook, oldest first."""
    database = folder / "data" / "edgewatch.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT payload FROM outbox WHERE channel = 'webhook' ORDER BY id")
        return [bytes(payload) for (payload,) in rows]


def deliveries(other: Receiver) -> list[str]:
    """Return what was taken, each once, in order."""
    return list(dict.fromkeys(one.headers["x-edgewatch-delivery"] for one in other.taken))


async def test_a_killed_daemon_loses_no_webhook_and_keeps_their_order(
    tmp_path: Path, video: Path
) -> None:
    async with mosquitto(tmp_path) as broker, receiver() as other:
        other.answer = lambda number, body: 503
        settings = write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video), file_camera("back", video)],
            sections={"notify": {"webhook_url": other.url(SECRET_PATH)}},
        )
        for _ in range(2):
            before = len(other.got)
            async with daemon(settings) as program:
                await program.until(lambda: len(program.logged("event ended")) >= 2)
                await other.until(lambda seen=before: len(other.got) > seen)  # type: ignore[misc]
                await program.kill()
            assert "hunter2" not in "\n".join((*program.out, *program.err))
        lost_if_not_sent = [
            "{event_id}/{type}/{revision}".format(**json.loads(body)) for body in waiting(tmp_path)
        ]
        assert len(lost_if_not_sent) >= 8
        for file in (tmp_path / "data").glob("edgewatch.db*"):
            assert b"hunter2" not in file.read_bytes()
        other.answer = lambda number, body: 200
        async with daemon(settings) as program:
            await other.until(lambda: set(lost_if_not_sent) <= set(deliveries(other)))
            assert await program.stop() == 0
    assert {one.path for one in other.got} == {SECRET_PATH}
    for camera in ("front", "back"):
        steps = [
            (one["event_id"], one["revision"])
            for one in map(json.loads, (got.body for got in other.taken))
            if one["camera"] == camera
        ]
        assert steps == sorted(steps), "ids are UUIDv7: they sort by time"


async def test_a_dead_webhook_delays_neither_mqtt_nor_the_stop(tmp_path: Path, video: Path) -> None:
    async with (
        mosquitto(tmp_path) as broker,
        subscriber(broker.port) as heard,
        receiver() as dead,
        receiver() as push,
    ):
        dead.hold = True
        settings = write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video)],
            sections={
                "notify": {
                    "webhook_url": dead.url(),
                    "ntfy_url": push.url("/cameras"),
                    "ntfy_end": True,
                }
            },
        )
        async with daemon(settings) as program:
            await dead.until(lambda: dead.held >= 1)
            await heard.until(lambda: sum(step["type"] == "end" for step in all_steps(heard)) >= 2)
            await push.until(lambda: len(push.taken) >= 3)
            assert dead.got == []
            assert await program.stop() == 0
        await heard.until(lambda: all_told(heard))
        assert_well_told(heard)
        titles = [one.headers["title"] for one in push.taken]
        assert titles[:2] == ["front: anomaly", "front: over"]
    assert len(waiting(tmp_path)) >= 4


def all_told(heard: Subscriber) -> bool:
    steps = list(all_steps(heard))
    return bool(steps) and steps[-1]["type"] == "end"


async def test_the_page_of_a_running_daemon_says_how_it_fares(tmp_path: Path, video: Path) -> None:
    port = free_port()
    async with mosquitto(tmp_path) as broker, receiver() as other:
        settings = write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video)],
            sections={"web": {"port": port}, "notify": {"webhook_url": other.url(SECRET_PATH)}},
        )
        async with daemon(settings) as program, aiohttp.ClientSession() as session:
            base = f"http://127.0.0.1:{port}"
            await program.until_logged("page", url=f"{base}/")
            await other.until(lambda: len(other.taken) >= 2)
            async with session.get(f"{base}/healthz") as answer:
                assert answer.status == 200
                assert (await answer.json())["cameras"] == {"wanted": 1, "judged": 1}
            async with session.get(f"{base}/metrics") as answer:
                found = parse(await answer.text())
            assert found["edgewatch_healthy"].value() == 1
            assert found["edgewatch_broker_connected"].value() == 1
            assert found["edgewatch_notify_delivered_total"].value(way="webhook") >= 2
            assert found["edgewatch_camera_health"].value(camera="front", state="online") == 1
            assert found["edgewatch_events_sent_total"].value() >= 1
            async with session.get(f"{base}/live?view=wall") as stream:
                assert stream.status == 200
                stopping = asyncio.create_task(program.stop())
                assert await stopping == 0, "an open stream does not hold up the stop"
            assert not program.logged("page fault")
