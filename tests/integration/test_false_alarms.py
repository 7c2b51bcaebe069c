"""What operators do against false alarms, on a running daemon: regions, thresholds, snoozes."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from tests.integration.mosquitto import Mosquitto, Subscriber
from tests.integration.processes import (
    THRESHOLD,
    daemon,
    file_camera,
    finished,
    write_settings,
)
from tests.integration.subscriber import said, schemas_met

pytestmark = pytest.mark.integration

VERDICTS = "edgewatch/front/verdict"
SETTINGS = "edgewatch/front/settings"
NEARLY_ALL = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.94], [0.0, 0.94]]]


async def send(broker: Mosquitto, **commands: str) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        for key, value in commands.items():
            await client.publish(f"edgewatch/front/set/{key}", value, qos=1)


def last(heard: Subscriber) -> dict[str, Any]:
    answers = said(heard, SETTINGS)
    found: dict[str, Any] = answers[-1] if answers else {}
    return found


async def test_a_region_takes_effect_on_reload_and_the_engine_stays(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    def settings(**keys: Any) -> Path:
        camera = file_camera("front", video, **keys)
        return write_settings(tmp_path, broker_port=broker.port, cameras=[camera])

    def suspects() -> int:
        return sum(one["score"] >= THRESHOLD for one in said(heard, VERDICTS))

    async with daemon(settings()) as program:
        await heard.until(lambda: suspects() >= 2)
        settings(ignore=NEARLY_ALL)
        program.send(signal.SIGHUP)
        await program.until_logged("reloaded", cameras=1)
        await program.until(lambda: len(program.logged("camera health", state="online")) == 2)
        # Windows that were begun before it are still judged; what follows shows nothing
        before = len(heard.payloads(VERDICTS))
        await heard.until(lambda: len(heard.payloads(VERDICTS)) > before + 12)
        later = said(heard, VERDICTS)[before + 4 :]
        assert max(one["score"] for one in later) < THRESHOLD
        assert len(program.logged("engine state", state="ready")) == 1
        assert await program.stop() == 0


async def test_what_was_set_over_mqtt_outlives_kill_9_and_gives_way_to_the_file(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    def settings(**keys: Any) -> Path:
        camera = file_camera("front", video, **keys)
        return write_settings(tmp_path, broker_port=broker.port, cameras=[camera])

    async with daemon(settings()) as program:
        await heard.until(lambda: bool(heard.payloads(VERDICTS)))
        await send(broker, threshold="0.97", snooze_seconds="3600")
        await heard.until(lambda: last(heard).get("snooze_seconds", 0) > 3500)
        assert last(heard)["overridden"] == ["threshold"]
        # It is on disk soon after; `check` reads it from there
        await heard.until(lambda: len(heard.payloads(VERDICTS)) > 8)
        program.send(signal.SIGKILL)
        await program.process.wait()

    seen = len(said(heard, SETTINGS))
    async with daemon(settings()) as program:
        await heard.until(lambda: len(said(heard, SETTINGS)) > seen)
        assert last(heard)["threshold"] == 0.97
        assert 3000 < last(heard)["snooze_seconds"] < 3600
        told = program.logged("operator's setting in force", camera="front")
        assert {line["key"] for line in told} == {"threshold", "snooze_seconds"}
        judged = len(heard.payloads(VERDICTS))
        await heard.until(lambda: len(heard.payloads(VERDICTS)) > judged)
        assert said(heard, VERDICTS)[-1]["threshold"] == 0.97

        settings(threshold=0.5)
        program.send(signal.SIGHUP)
        await program.until_logged("reloaded", cameras=1)
        await heard.until(lambda: last(heard)["threshold"] == 0.5)
        assert last(heard)["overridden"] == []
        assert await program.stop() == 0

    seen = len(said(heard, SETTINGS))
    async with daemon(settings(threshold=0.5)) as program:
        await heard.until(lambda: len(said(heard, SETTINGS)) > seen)
        assert last(heard)["threshold"] == 0.5
        assert await program.stop() == 0
    schemas_met(heard)


async def test_check_warns_of_a_camera_that_an_operator_switched_off(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
    )
    async with daemon(settings) as program:
        await heard.until(lambda: bool(heard.payloads(VERDICTS)))
        await send(broker, enabled="false")
        await heard.until(lambda: last(heard).get("enabled") is False)
        assert await program.stop() == 0
    ended = await finished("check", "--config", settings, "--json")
    (found,) = [one for one in ended.document["checks"] if one["name"] == "override"]
    assert (found["status"], found["subject"]) == ("warn", "front")
    assert "an operator switched it off" in found["detail"]
