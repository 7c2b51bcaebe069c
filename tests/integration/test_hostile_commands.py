"""Commands nobody should send: nothing changes, they are answered, and the daemon goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edgewatch.pipeline.complaints import MOST_LINES
from edgewatch.pipeline.records import open_readonly
from tests.integration.mosquitto import Mosquitto, Subscriber, mosquitto, subscriber
from tests.integration.processes import (
    THRESHOLD,
    Program,
    daemon,
    file_camera,
    footage,
    write_settings,
)
from tests.integration.subscriber import STATUS, lives, said, schemas_met, steps_on

pytestmark = pytest.mark.integration

SETTINGS = "edgewatch/front/settings"
EVENTS = "edgewatch/front/events"
UNKNOWN_EVENT = "0198c4a2-7d3e-7b1c-9a55-3f2e8d6c1b70"

BAD: tuple[tuple[str, bytes], ...] = (
    ("threshold", b""),
    ("threshold", b"\xff\xfe"),
    ("threshold", b"\x00"),
    ("threshold", b"1e309"),
    ("threshold", b"0.5; drop table events"),
    ("threshold", b"9" * 5000),
    ("enabled", b"x" * 60_000),
    ("enabled", b"<script>alert(1)</script>"),
    ("snooze_seconds", b"86401"),
    ("snooze_seconds", b"-0.001"),
    ("feedback", b"maybe"),
    ("feedback", b"{"),
    ("feedback", b"[" * 4000),
    ("feedback", b'{"a":' * 700),
    ("feedback", b'{"correct": 1}'),
    ("feedback", b'{"correct": true, "event_id": "../../etc/passwd"}'),
    ("feedback", b'{"correct": true, "event_id": 7}'),
    ("feedback", b'{"correct": true, "note": 7}'),
    ("feedback", json.dumps({"correct": True, "note": "x" * 501}).encode()),
    ("feedback", b'{"correct": true, "sudo": true}'),
    ("feedback", json.dumps({"correct": True, "event_id": UNKNOWN_EVENT}).encode()),
    ("constructor", b"1"),
)


@dataclass(frozen=True)
class Watched:
    """A daemon with one camera, and a subscriber that has heard all of it."""

    program: Program
    broker: Mosquitto
    heard: Subscriber
    database: Path

    async def answer(self, key: str, payload: bytes, *, retain: bool = False) -> dict[str, Any]:
        before = len(self.heard.payloads(SETTINGS))
        async with aiomqtt.Client("127.0.0.1", self.broker.port) as client:
            await client.publish(f"edgewatch/front/set/{key}", payload, qos=1, retain=retain)
        await self.heard.until(lambda: len(self.heard.payloads(SETTINGS)) > before)
        answer: dict[str, Any] = said(self.heard, SETTINGS)[before]
        return answer


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    video = footage(tmp_path / "bursts.mp4")
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as heard:
        settings = write_settings(
            tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
        )
        async with daemon(settings) as program:
            await heard.until_message(STATUS, b"online")
            await heard.until(lambda: bool(heard.payloads(SETTINGS)))
            yield Watched(program, broker, heard, tmp_path / "data" / "edgewatch.db")


async def test_bad_commands_change_nothing_and_are_answered_with_the_reason(
    watched: Watched,
) -> None:
    for key, payload in BAD:
        answer = await watched.answer(key, payload)
        assert answer["error"], (key, payload[:40])
        assert len(answer["error"]) < 200
        held = (answer["enabled"], answer["threshold"], answer["snooze_seconds"])
        assert held == (True, THRESHOLD, 0.0), (key, payload[:40])
    # Still judging, still listening
    judged = len(watched.heard.payloads("edgewatch/front/verdict"))
    await watched.heard.until(
        lambda: len(watched.heard.payloads("edgewatch/front/verdict")) > judged
    )
    assert (await watched.answer("threshold", b"0.2"))["error"] is None
    schemas_met(watched.heard)


async def test_huge_command_does_not_even_reach_us(watched: Watched) -> None:
    """An MQTT 5 broker is told what we take at most."""
    async with aiomqtt.Client("127.0.0.1", watched.broker.port) as client:
        await client.publish("edgewatch/front/set/threshold", b"0" * 1_000_000, qos=1)
    answer = await watched.answer("threshold", b"0.25")
    assert (answer["threshold"], answer["error"]) == (0.25, None)
    assert watched.program.logged("command ignored") == []


async def test_retained_command_is_not_carried_out_and_told_how_to_clear_it(
    watched: Watched,
) -> None:
    # Its live copy is a command like any other; the retained one comes with each connection.
    assert (await watched.answer("threshold", b"0.9", retain=True))["threshold"] == 0.9
    assert (await watched.answer("threshold", b"0.3"))["threshold"] == 0.3
    answered = len(watched.heard.payloads(SETTINGS))
    await watched.heard.until(lambda: len(watched.heard.payloads(SETTINGS)) >= answered)
    await watched.broker.stop()
    await watched.broker.start()
    async with subscriber(watched.broker.port) as heard:
        await heard.until(
            lambda: any(
                "must not be retained" in str(one["error"]) for one in said(heard, SETTINGS)
            )
        )
        assert said(heard, SETTINGS)[-1]["threshold"] == 0.3


async def test_flood_of_commands_fills_neither_log_nor_memory(watched: Watched) -> None:
    flood = 2000
    async with aiomqtt.Client("127.0.0.1", watched.broker.port) as client:
        for number in range(flood):
            await client.publish(f"edgewatch/nowhere{number}/set/threshold", b"0.5")
            await client.publish("edgewatch/front/set/threshold", b"no number")
    assert (await watched.answer("snooze_seconds", b"0")) is not None
    await watched.heard.until(lambda: said(watched.heard, SETTINGS)[-1]["error"] is None)
    lines = watched.program.log
    told = [line for line in lines if line["event"] in ("command ignored", "command refused")]
    # The broker may drop QoS 0 messages of a flood; what arrived is in few lines.
    assert 1 <= len(told) <= 3 * MOST_LINES
    assert watched.program.process.returncode is None


async def test_feedback_is_kept_with_its_event(watched: Watched) -> None:
    heard = watched.heard
    await heard.until(lambda: len(lives(steps_on(heard, EVENTS))) >= 2)
    # No further event: then the last one that was sent is known.
    await watched.answer("threshold", b"1")
    await heard.until(lambda: steps_on(heard, EVENTS)[-1]["type"] == "end")
    first, *_, last = lives(steps_on(heard, EVENTS))
    note = "only the cat, “again”"
    payload = json.dumps({"event_id": first, "correct": "false", "note": note}).encode()
    assert (await watched.answer("feedback", payload))["error"] is None
    assert (await watched.answer("feedback", b"true"))["error"] is None
    assert await watched.program.stop() == 0
    with closing(open_readonly(watched.database)) as books:
        named, newest = books.feedback(first), books.feedback(last)
    assert named is not None
    assert (named.correct, named.note, named.given_by) == (False, note, "mqtt")
    assert newest is not None
    assert (newest.correct, newest.note, newest.camera) == (True, "", "front")
