"""Every topic of the contract, as a running daemon publishes it, against its JSON schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiomqtt
import pytest

from tests.integration.mosquitto import Mosquitto, Subscriber, mosquitto, subscriber
from tests.integration.processes import (
    THRESHOLD,
    Program,
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)
from tests.integration.subscriber import (
    STATUS,
    assert_well_told,
    command,
    lives,
    retained_at,
    said,
    schemas_met,
    statuses,
    steps_on,
)

pytestmark = pytest.mark.integration

FRONT_EVENTS = "edgewatch/front/events"
SETTINGS = "edgewatch/front/settings"


@dataclass(frozen=True)
class Watched:
    """A daemon that watches two cameras, and a subscriber that has heard all of it."""

    program: Program
    broker: Mosquitto
    heard: Subscriber
    settings: Path
    video: Path

    async def answer(self, key: str, value: str) -> dict[str, object]:
        """Send a command to the camera "front" and return what it answers."""
        before = len(self.heard.payloads(SETTINGS))
        await command(self.broker.port, "front", key, value)
        await self.heard.until(lambda: len(self.heard.payloads(SETTINGS)) > before)
        answer: dict[str, object] = said(self.heard, SETTINGS)[-1]
        return answer


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    video = footage(tmp_path / "bursts.mp4")
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as heard:
        settings = write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video), file_camera("back", video)],
        )
        async with daemon(settings) as program:
            yield Watched(program, broker, heard, settings, video)


async def test_every_topic_of_a_daemon_keeps_to_its_schema_and_is_retained_as_promised(
    watched: Watched,
) -> None:
    heard = watched.heard

    def whole_lives() -> int:
        return sum(
            steps[-1]["type"] == "end" for steps in lives(steps_on(heard, FRONT_EVENTS)).values()
        )

    await heard.until(lambda: whole_lives() >= 2)
    await heard.until(lambda: len(heard.payloads("edgewatch/stats")) >= 2)
    met = schemas_met(heard)
    retained = await retained_at(watched.broker.port)

    assert set(retained) == {
        STATUS,
        "edgewatch/stats",
        *(
            f"edgewatch/{camera}/{kind}"
            for camera in ("front", "back")
            for kind in ("state", "health", "settings", "coverage")
        ),
        *(f"homeassistant/device/edgewatch/{camera}/config" for camera in ("front", "back")),
    }
    assert retained[STATUS] == b"online"
    assert set(met) == {
        *("status", "stats", "state", "health", "settings", "coverage", "verdict", "event"),
    }
    assert_well_told(heard, all_ended=False)
    first = next(iter(lives(steps_on(heard, FRONT_EVENTS)).values()))
    assert first[0]["type"] == "new"
    assert first[0]["description"] == ""
    assert next(step["description"] for step in first if step["type"] == "update")
    assert first[-1]["type"] == "end"
    assert first[-1]["end"] > first[-1]["start"]
    assert first[-1]["ended_by"] == "quiet"
    states = said(heard, "edgewatch/front/state")
    opened = next(number for number, one in enumerate(states) if one["state"] == "anomaly")
    assert states[opened]["event_id"] == first[0]["event_id"]
    assert states[opened - 1]["state"] == "normal"
    assert states[opened + 1]["state"] == "normal"
    assert said(heard, "edgewatch/front/health")[-1]["state"] == "online"


async def test_settings_answer_commands_and_bad_values_change_nothing(watched: Watched) -> None:
    heard = watched.heard
    await heard.until_message(STATUS, b"online")
    await heard.until(lambda: bool(heard.payloads(SETTINGS)))

    assert (
        await watched.answer("threshold", "0.99") | {"threshold": 0.99, "error": None}
        == (said(heard, SETTINGS)[-1])
    )
    for key, value in (
        ("threshold", "high"),
        ("threshold", "1.5"),
        ("threshold", "nan"),
        ("enabled", "perhaps"),
        ("snooze_seconds", "-1"),
        ("snooze_seconds", ""),
        ("colour", "blue"),
    ):
        refused = await watched.answer(key, value)
        assert key in str(refused["error"]), (key, value)
        assert (refused["enabled"], refused["threshold"], refused["snooze_seconds"]) == (
            True,
            0.99,
            0.0,
        )

    assert (await watched.answer("threshold", str(THRESHOLD)))["error"] is None
    snoozed = await watched.answer("snooze_seconds", "3600")
    assert 3590.0 < float(str(snoozed["snooze_seconds"])) <= 3600.0
    assert (await watched.answer("snooze_seconds", "0"))["snoozed_until"] is None

    assert (await watched.answer("enabled", "false"))["enabled"] is False
    await heard.until(
        lambda: (
            said(heard, "edgewatch/front/health")[-1]["state"] == "off"
            and said(heard, "edgewatch/front/state")[-1]["state"] == "unknown"
        )
    )
    assert said(heard, "edgewatch/front/health")[-1]["reason"] == "disabled"
    assert (await watched.answer("enabled", "true"))["enabled"] is True
    await heard.until(lambda: said(heard, "edgewatch/front/health")[-1]["state"] == "online")
    judged = len(heard.payloads("edgewatch/front/verdict"))
    await heard.until(lambda: len(heard.payloads("edgewatch/front/verdict")) > judged)
    schemas_met(heard)


async def test_snoozed_camera_sends_no_event_but_one_still_open_after_it(watched: Watched) -> None:
    heard = watched.heard
    await heard.until_message(STATUS, b"online")
    await watched.answer("snooze_seconds", "3600")
    await watched.program.until_logged("event opened", camera="front", suppressed_by="snooze")
    back_events = "edgewatch/back/events"
    await heard.until(lambda: any(step["type"] == "end" for step in said(heard, back_events)))
    assert heard.payloads(FRONT_EVENTS) == []


async def test_command_for_an_unknown_camera_or_left_retained_is_ignored(watched: Watched) -> None:
    heard = watched.heard
    await heard.until_message(STATUS, b"online")
    await command(watched.broker.port, "cellar", "enabled", "false")
    await watched.program.until_logged("command ignored", camera="cellar")
    async with aiomqtt.Client("127.0.0.1", watched.broker.port) as client:
        await client.publish("edgewatch/front/set/enabled", "false", qos=1, retain=True)
        # The live copy of it is a command like any other; it is the retained one that must not
        # switch the camera off again at each connection.
        await watched.program.until_logged("command carried out", camera="front")
    await watched.answer("enabled", "true")
    await watched.broker.stop()
    await watched.broker.start()
    await watched.program.until_logged("command ignored", topic="edgewatch/front/set/enabled")
    assert len(watched.program.logged("command carried out", camera="front")) == 2


async def test_published_replay_stays_on_its_own_topics_and_leaves_nothing_retained(
    tmp_path: Path,
) -> None:
    video = footage(tmp_path / "Bursts 1.mp4")
    async with mosquitto(tmp_path) as broker:
        settings = write_settings(tmp_path, broker_port=broker.port)
        async with subscriber(broker.port) as heard:
            ended = await finished("replay", video, "--config", settings, "--publish")
            assert ended.code == 0, ended.err
            events = "edgewatch/replay/bursts-1/events"
            await heard.until(lambda: len(lives(steps_on(heard, events))) == 2)
            await heard.until(lambda: said(heard, events)[-1]["type"] == "end")
        assert await retained_at(broker.port) == {}
    met = schemas_met(heard)
    assert all(topic.startswith("edgewatch/replay/") for topic, _ in heard.messages)
    assert set(met) == {"verdict", "state", "health", "event"}
    assert met["verdict"] == 11
    assert heard.retained == []
    assert statuses(heard) == []
    assert all(step["replay"] for step in steps_on(heard, events))
    assert_well_told(heard)
