"""`edgewatch coverage` beside a real daemon, after it, and after one that was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.messages import iso_to_seconds
from tests.integration.mosquitto import Mosquitto, Subscriber
from tests.integration.processes import (
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)
from tests.integration.subscriber import said
from tests.mqtt_schemas import validate

pytestmark = pytest.mark.integration

TOPIC = "edgewatch/front/coverage"
VERDICTS = "edgewatch/front/verdict"
CLIPS = 6
"""Judged before the daemon is stopped."""


@pytest.fixture
def settings(tmp_path: Path, broker: Mosquitto) -> Path:
    video = footage(tmp_path / "bursts.mp4")
    absent = {"name": "yard", "url": "rtsp://127.0.0.1:9/none"}
    off = {"name": "shed", "url": str(video), "enabled": False}
    cameras = [file_camera("front", video), absent, off]
    return write_settings(tmp_path, broker_port=broker.port, cameras=cameras)


async def until_judged(heard: Subscriber, clips: int = CLIPS) -> None:
    """Wait until so many more clips of the camera "front" have been judged."""
    before = len(heard.payloads(VERDICTS))
    await heard.until(lambda: len(heard.payloads(VERDICTS)) >= before + clips)


async def coverage(settings: Path, *arguments: str) -> dict[str, Any]:
    """Ask `edgewatch coverage --json`, and hold each camera's sums against its window."""
    done = await finished("coverage", "--config", settings, "--json", *arguments)
    assert done.code == 0, done.err
    told = {camera["camera"]: camera for camera in done.document["cameras"]}
    for camera in told.values():
        validate("coverage", camera)
        window_ms = milliseconds(camera["end"]) - milliseconds(camera["start"])
        assert sum(sums(camera).values()) == window_ms == round(camera["window_seconds"] * 1000)
    return told


def milliseconds(iso: str) -> int:
    return round(iso_to_seconds(iso) * 1000)


def sums(payload: dict[str, Any]) -> dict[str, int]:
    """Return the milliseconds of a payload by their coverage."""
    seconds = {"judged": payload["judged"], **payload["not_judged"]}
    return {name: round(value * 1000) for name, value in seconds.items()}


async def test_sums_are_exact_beside_the_daemon_after_it_and_agree_with_mqtt(
    settings: Path, heard: Subscriber
) -> None:
    async with daemon(settings) as program:
        await until_judged(heard)
        beside = await coverage(settings)
        assert set(beside) == {"front", "yard", "shed"}
        assert await program.stop() == 0
    after = await coverage(settings, "--since=-10m")
    front = sums(after["front"])
    assert front["judged"] >= 1000 * (CLIPS + 1) // 2 - 1  # clips of 1 s, one each 0.5 s
    assert sums(after["yard"])["offline"] > 0
    assert sums(after["shed"])["disabled"] > 0
    for camera in after.values():
        assert all(gap["reason"] != "judged" for gap in camera["longest_gaps"])

    # A daemon reports when it starts: here, all that the one before it has settled.
    before = len(heard.payloads(TOPIC))
    async with daemon(settings) as program:
        await heard.until(lambda: len(heard.payloads(TOPIC)) > before)
        published = said(heard, TOPIC)[before]
        assert await program.stop() == 0
    window = (f"--since={published['start']}", f"--until={published['end']}")
    asked = (await coverage(settings, "--camera=front", *window))["front"]
    for key in ("start", "end", "window_seconds", "judged", "not_judged"):
        assert asked[key] == published[key], key
    assert sums(published)["judged"] == front["judged"]


async def test_what_a_killed_daemon_had_judged_is_accounted_for_at_the_next_start(
    settings: Path, heard: Subscriber
) -> None:
    async with daemon(settings) as program:
        await until_judged(heard)
        await program.kill()
    async with daemon(settings) as program:
        await until_judged(heard, 1)
        assert await program.stop() == 0
    front = sums((await coverage(settings, "--since=-10m", "--camera=front"))["front"])
    assert front["judged"] >= 1000 * (CLIPS - 1) // 2


async def test_unknown_camera_ends_with_1_and_names_the_nearest(settings: Path) -> None:
    async with daemon(settings) as program:
        assert await program.stop() == 0
    done = await finished("coverage", "--config", settings, "--camera", "frnt")
    assert done.code == 1
    assert 'Did you mean "front"?' in done.err
