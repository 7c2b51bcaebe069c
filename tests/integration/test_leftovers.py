"""What the broker keeps of cameras that are gone is taken away, however they went."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.integration.mosquitto import Mosquitto, subscriber
from tests.integration.processes import daemon, file_camera, footage, write_settings
from tests.integration.subscriber import (
    STATUS,
    assert_well_told,
    lives,
    retained_at,
    said,
    steps_on,
)

pytestmark = pytest.mark.integration

STAYS_OPEN = {"close_after_seconds": 60.0}
"""Longer than the footage is quiet: an event that opened goes on."""


def configure(folder: Path, broker: Mosquitto, cameras: Sequence[str], **sections: Any) -> Path:
    video = folder / "bursts.mp4"
    if not video.exists():
        footage(video)
    return write_settings(
        folder,
        broker_port=broker.port,
        cameras=[file_camera(camera, video) for camera in cameras],
        sections=sections,
    )


async def run_once(settings: Path, broker: Mosquitto, base: str = "edgewatch") -> None:
    """Run the daemon until it has told its retained topics, and stop it."""
    stats = f"{base}/stats"
    async with subscriber(broker.port, f"{base}/#") as heard, daemon(settings) as program:
        # Not what an earlier run left: that is heard at once
        await heard.until(
            lambda: (
                sum(topic == stats for topic, payload in heard.messages if payload)
                > sum(topic == stats for topic, _ in heard.retained)
            )
        )
        assert await program.stop() == 0


def of(camera: str, retained: dict[str, bytes]) -> set[str]:
    return {topic for topic in retained if f"/{camera}/" in topic}


async def test_camera_renamed_while_the_service_was_down_leaves_nothing(
    tmp_path: Path, broker: Mosquitto
) -> None:
    await run_once(configure(tmp_path, broker, ["front", "back"]), broker)
    assert len(of("front", await retained_at(broker.port))) >= 4
    await run_once(configure(tmp_path, broker, ["yard", "back"]), broker)
    retained = await retained_at(broker.port)
    assert of("front", retained) == set()
    assert "homeassistant/device/edgewatch/yard/config" in of("yard", retained)
    assert "homeassistant/device/edgewatch/back/config" in of("back", retained)


async def test_broker_that_was_away_meanwhile_is_cleaned_at_a_later_start(
    tmp_path: Path, broker: Mosquitto
) -> None:
    await run_once(configure(tmp_path, broker, ["front"]), broker)
    await broker.stop()
    async with daemon(configure(tmp_path, broker, ["yard"])) as program:
        await program.until_logged("leftovers at the broker taken down")
        await program.until_logged("broker away")
        assert await program.stop() == 0
    await broker.start()
    assert of("front", await retained_at(broker.port))
    await run_once(configure(tmp_path, broker, ["yard"]), broker)
    assert of("front", await retained_at(broker.port)) == set()


async def test_other_base_topic_leaves_nothing_under_the_old_one(
    tmp_path: Path, broker: Mosquitto
) -> None:
    await run_once(configure(tmp_path, broker, ["front"]), broker)
    await run_once(
        configure(tmp_path, broker, ["front"], mqtt={"base_topic": "site/edge"}),
        broker,
        "site/edge",
    )
    retained = await retained_at(broker.port)
    assert not any(topic.startswith("edgewatch/") for topic in retained)
    assert retained["site/edge/status"] == b"offline"
    assert sum(topic.startswith("homeassistant/") for topic in retained) == 1


async def test_what_others_retain_beside_ours_is_left_alone(
    tmp_path: Path, broker: Mosquitto
) -> None:
    theirs = ("edgewatch/notes", "homeassistant/device/lamp/config")
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for topic in theirs:
            await client.publish(topic, "theirs", qos=1, retain=True)
    await run_once(configure(tmp_path, broker, ["front"]), broker)
    await run_once(configure(tmp_path, broker, ["yard"]), broker)
    retained = await retained_at(broker.port)
    assert {retained[topic] for topic in theirs} == {b"theirs"}


async def test_camera_renamed_while_its_event_is_open(tmp_path: Path, broker: Mosquitto) -> None:
    events = "edgewatch/front/events"
    settings = configure(tmp_path, broker, ["front"], events=STAYS_OPEN)
    async with subscriber(broker.port, "#") as heard, daemon(settings) as program:
        await heard.until(lambda: bool(steps_on(heard, events)))
        configure(tmp_path, broker, ["yard"], events=STAYS_OPEN)
        program.send(signal.SIGHUP)
        await heard.until(lambda: steps_on(heard, events)[-1]["type"] == "end")
        await heard.until(lambda: bool(steps_on(heard, "edgewatch/yard/events")))
        await heard.until_message("edgewatch/front/state", b"")
        await heard.until_message("homeassistant/device/edgewatch/front/config", b"")
        retained = await retained_at(broker.port)
        assert of("front", retained) == set()
        assert said(heard, "edgewatch/yard/health")[-1]["state"] == "online"
        assert await program.stop() == 0
        await heard.until(lambda: heard.messages[-1] == (STATUS, b"offline"))
    (life,) = lives(steps_on(heard, events)).values()
    assert (life[0]["type"], life[-1]["ended_by"]) == ("new", "disabled")
    assert_well_told(heard)


async def test_camera_renamed_while_the_service_was_down_with_its_event_open(
    tmp_path: Path, broker: Mosquitto
) -> None:
    events = "edgewatch/front/events"
    settings = configure(tmp_path, broker, ["front"], events=STAYS_OPEN)
    async with subscriber(broker.port, "#") as heard:
        async with daemon(settings) as program:
            await heard.until(lambda: bool(steps_on(heard, events)))
            await program.kill()
        async with daemon(configure(tmp_path, broker, ["yard"])) as program:
            await heard.until(lambda: steps_on(heard, events)[-1]["type"] == "end")
            await heard.until_message("edgewatch/front/state", b"")
            assert await program.stop() == 0
    assert steps_on(heard, events)[-1]["ended_by"] == "restart"
    assert of("front", await retained_at(broker.port)) == set()
