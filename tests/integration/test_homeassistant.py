"""Home Assistant's side of a running daemon: devices that come, act, come again, and go."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.homeassistant_schema import validate_device
from tests.integration.mosquitto import Mosquitto, Subscriber, subscriber
from tests.integration.processes import daemon, file_camera, footage, write_settings
from tests.integration.subscriber import STATUS, lives, retained_at, said, steps_on
from tests.mqtt_schemas import validate_message

pytestmark = pytest.mark.integration

SETTINGS = "edgewatch/front/settings"


def topic_of(camera: str, prefix: str = "homeassistant") -> str:
    return f"{prefix}/device/edgewatch/{camera}/config"


KEPT = ("state", "health", "settings")
"""What the broker keeps of each camera, and Home Assistant reads; said one after the other."""


def configure(
    folder: Path, broker: Mosquitto, *cameras: str, mqtt: dict[str, Any] | None = None, **keys: Any
) -> Path:
    video = folder / "bursts.mp4"
    if not video.exists():
        footage(video)
    return write_settings(
        folder,
        broker_port=broker.port,
        cameras=[file_camera(camera, video, **keys) for camera in cameras],
        sections={"mqtt": mqtt or {}},
    )


def devices(messages: dict[str, bytes]) -> set[str]:
    return {topic for topic in messages if topic.endswith("/config")}


async def test_each_camera_is_a_device_whose_controls_work(
    tmp_path: Path, broker: Mosquitto
) -> None:
    heard = Subscriber()
    async with (
        subscriber(broker.port, "#", into=heard),
        daemon(configure(tmp_path, broker, "front", "back")),
    ):
        await heard.until(lambda: bool(heard.payloads(topic_of("back"))))
        kept = [f"edgewatch/{c}/{k}" for c in ("front", "back") for k in KEPT]
        await heard.until(lambda: all(heard.payloads(topic) for topic in kept))
        retained = await retained_at(broker.port)
        assert devices(retained) == {topic_of("front"), topic_of("back")}
        device = json.loads(retained[topic_of("front")])
        validate_device(device)
        for component in device["cmps"].values():
            for key in ("state_topic", "json_attributes_topic"):
                # What Home Assistant reads of it is there (events and verdicts are not retained).
                if component.get(key, "").endswith(("/state", "/health", "/settings")):
                    assert component[key] in retained
        parts = device["cmps"]
        assert retained[device["availability"][0]["topic"]] == b"online"

        async def press(name: str, payload: str) -> dict[str, Any]:
            before = len(heard.payloads(SETTINGS))
            async with aiomqtt.Client("127.0.0.1", broker.port) as home:
                await home.publish(parts[name]["command_topic"], payload)
            await heard.until(lambda: len(heard.payloads(SETTINGS)) > before)
            answer: dict[str, Any] = said(heard, SETTINGS)[-1]
            assert answer["error"] is None
            return answer

        assert (await press("threshold", "0.07"))["threshold"] == 0.07
        assert (await press("snooze", parts["snooze"]["payload_press"]))["snooze_seconds"] > 590
        assert not (await press("end_snooze", parts["end_snooze"]["payload_press"]))[
            "snooze_seconds"
        ]
        await heard.until(lambda: bool(lives(steps_on(heard, "edgewatch/front/events"))))
        await press("feedback_false", parts["feedback_false"]["payload_press"])
        assert (await press("enabled", parts["enabled"]["payload_off"]))["enabled"] is False


async def test_home_assistant_that_starts_is_told_of_all_devices_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with (
        subscriber(broker.port, "#") as heard,
        daemon(configure(tmp_path, broker, "front", "back")),
    ):
        await heard.until(lambda: all(heard.payloads(topic_of(one)) for one in ("front", "back")))
        async with aiomqtt.Client("127.0.0.1", broker.port) as home:
            await home.publish("homeassistant/status", "online", qos=1)
        await heard.until(
            lambda: all(len(heard.payloads(topic_of(one))) == 2 for one in ("front", "back"))
        )
        assert len(set(heard.payloads(topic_of("front")))) == 1


async def test_device_goes_with_its_camera_and_comes_with_a_new_one(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async with (
        subscriber(broker.port, "#") as heard,
        daemon(configure(tmp_path, broker, "front", "back")) as program,
    ):
        await heard.until(lambda: bool(heard.payloads(topic_of("back"))))
        configure(tmp_path, broker, "front", "side")
        program.send(signal.SIGHUP)
        await heard.until(lambda: bool(heard.payloads(topic_of("side"))))
        await heard.until(lambda: heard.payloads(topic_of("back"))[-1] == b"")
        for topic in ("state", "health", "coverage", "settings"):
            if heard.payloads(f"edgewatch/back/{topic}"):
                await heard.until_message(f"edgewatch/back/{topic}", b"")
        retained = await retained_at(broker.port)
        assert devices(retained) == {topic_of("front"), topic_of("side")}
        assert not any(topic.startswith("edgewatch/back/") for topic in retained)


async def test_switched_off_or_under_another_prefix_the_old_devices_go(
    tmp_path: Path, broker: Mosquitto
) -> None:
    async def devices_with(**mqtt: Any) -> set[str]:
        async with (
            subscriber(broker.port) as heard,
            daemon(configure(tmp_path, broker, "front", mqtt=mqtt)) as program,
        ):
            await heard.until_message(STATUS, b"online")
            await heard.until(lambda: bool(heard.payloads(SETTINGS)))
            assert await program.stop() == 0
        return devices(await retained_at(broker.port))

    assert await devices_with() == {topic_of("front")}
    assert await devices_with(homeassistant_prefix="ha") == {topic_of("front", "ha")}
    assert await devices_with(homeassistant_discovery=False) == set()
    assert await devices_with() == {topic_of("front")}


async def test_picture_of_the_last_event_is_there_if_pictures_may_leave_the_box(
    tmp_path: Path, broker: Mosquitto
) -> None:
    settings = configure(tmp_path, broker, "front", mqtt={"thumbnails": True})
    async with subscriber(broker.port, "#") as heard, daemon(settings) as program:
        await heard.until(lambda: bool(heard.payloads("edgewatch/front/thumbnail")))
        image = said(heard, topic_of("front"))[-1]["cmps"]["thumbnail"]
        retained = await retained_at(broker.port)
        assert validate_message(image["image_topic"], retained[image["image_topic"]])
        assert await program.stop() == 0
    async with (
        subscriber(broker.port, "#") as heard,
        daemon(configure(tmp_path, broker, "front")),
    ):
        # Switched off, it does not stay at the broker.
        await heard.until_message("edgewatch/front/thumbnail", b"")
        assert "edgewatch/front/thumbnail" not in await retained_at(broker.port)
