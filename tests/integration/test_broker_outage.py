"""The broker goes away and comes back, or is not there at first: nothing accepted is lost."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.integration.mosquitto import Mosquitto, Subscriber, subscriber
from tests.integration.processes import (
    Program,
    daemon,
    file_camera,
    footage,
    write_settings,
)
from tests.integration.subscriber import (
    STATUS,
    assert_well_told,
    lives,
    retained_at,
    said,
    schemas_met,
    steps_on,
)

pytestmark = pytest.mark.integration

OUTAGE_SECONDS = float(os.environ.get("EDGEWATCH_TEST_OUTAGE_SECONDS", "4"))
EVENTS = "edgewatch/front/events"
VERDICTS = "edgewatch/front/verdict"
RETAINED = {
    STATUS,
    "edgewatch/stats",
    *(f"edgewatch/front/{kind}" for kind in ("state", "health", "settings", "coverage")),
}
DISCOVERY = "homeassistant/device/edgewatch/front/config"


def settings_of(folder: Path, broker: Mosquitto) -> Path:
    video = footage(folder / "bursts.mp4")
    return write_settings(folder, broker_port=broker.port, cameras=[file_camera("front", video)])


async def events_logged(program: Program, phrase: str, count: int) -> list[str]:
    """Wait for so many log lines on events, and return the ids of the events."""
    await program.until(
        lambda: len(program.logged(phrase)) >= count, timeout_seconds=OUTAGE_SECONDS + 30.0
    )
    return [line["event_id"] for line in program.logged(phrase)]


@pytest.mark.timeout(120 + OUTAGE_SECONDS)
async def test_broker_stopped_for_a_while_loses_no_event_and_gets_its_retained_topics_back(
    tmp_path: Path, broker: Mosquitto
) -> None:
    heard = Subscriber()
    async with daemon(settings_of(tmp_path, broker)) as program:
        async with subscriber(broker.port, into=heard):
            await heard.until(lambda: any(s["type"] == "end" for s in said(heard, EVENTS)))
            await broker.stop()
            await asyncio.wait_for(heard.lost.wait(), 10.0)
        broker.forget()
        before = len(heard.messages)
        away = await program.until_logged("broker away")
        assert f"127.0.0.1:{broker.port}" in away["detail"]
        first = len(program.logged("event opened"))
        # An event every 3 s of footage, played in real time.
        opened = await events_logged(
            program, "event opened", first + max(1, round(OUTAGE_SECONDS / 3))
        )

        # A broker that has forgotten its sessions keeps nothing for a subscriber that comes late:
        # the daemon must not be there before it.
        program.send(signal.SIGSTOP)
        await broker.start()
        async with subscriber(broker.port, into=heard):
            program.send(signal.SIGCONT)
            await heard.until(
                lambda: set(opened) <= set(lives(steps_on(heard, EVENTS))), timeout_seconds=60.0
            )
            judged = len(heard.payloads(VERDICTS))
            await heard.until(lambda: len(heard.payloads(VERDICTS)) > judged)
            topics = {topic for topic, _ in heard.messages[before:]}
            assert topics >= RETAINED
            assert set(await retained_at(broker.port)) == RETAINED | {DISCOVERY}
            assert await program.stop() == 0
            await heard.until(lambda: heard.messages[-1] == (STATUS, b"offline"))
    assert_well_told(heard)
    schemas_met(heard)
    assert [*lives(steps_on(heard, EVENTS))] == [
        line["event_id"] for line in program.logged("event opened")
    ]


async def test_broker_restarted_during_an_open_event_gets_all_of_its_life_and_the_devices_again(
    tmp_path: Path, broker: Mosquitto
) -> None:
    video = footage(tmp_path / "bursts.mp4")

    def configure(*, enabled: bool) -> Path:
        return write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video, enabled=enabled)],
            # Longer than the footage is quiet: the event goes on.
            sections={"events": {"close_after_seconds": 60.0}},
        )

    heard = Subscriber()
    async with daemon(configure(enabled=True)) as program:
        async with subscriber(broker.port, "#", session="reader", into=heard):
            await heard.until(lambda: bool(steps_on(heard, EVENTS)))
            await broker.stop()
            await asyncio.wait_for(heard.lost.wait(), 10.0)
        await program.until_logged("event updated")
        await program.until_logged("broker away")
        restarted = len(heard.messages)
        # The daemon must not be there before those who listen.
        program.send(signal.SIGSTOP)
        await broker.start()
        async with (
            subscriber(broker.port, "#", session="reader", into=heard),
            subscriber(broker.port, "homeassistant/#") as home,
        ):
            program.send(signal.SIGCONT)
            await heard.until(lambda: steps_on(heard, EVENTS)[-1]["type"] == "update")
            # What is retained came first; then it is published again, to all.
            await home.until(lambda: len(home.payloads(DISCOVERY)) > len(home.retained))
            configure(enabled=False)
            program.send(signal.SIGHUP)
            await heard.until(lambda: steps_on(heard, EVENTS)[-1]["type"] == "end")
            assert await program.stop() == 0
            await heard.until(lambda: heard.messages[-1] == (STATUS, b"offline"))
    ((event_id, life),) = lives(steps_on(heard, EVENTS)).items()
    assert [step["type"] for step in life] == ["new", *["update"] * (len(life) - 2), "end"]
    assert len(life) >= 3
    assert {step["event_id"] for step in life} == {event_id}
    assert [step["revision"] for step in life] == list(range(1, len(life) + 1))
    assert life[-1]["ended_by"] == "disabled"
    assert {DISCOVERY, *RETAINED} <= {topic for topic, _ in heard.messages[restarted:]}
    assert_well_told(heard)


async def test_events_from_before_the_broker_came_are_delivered_even_by_a_later_daemon(
    tmp_path: Path, broker: Mosquitto
) -> None:
    settings = settings_of(tmp_path, broker)
    await broker.stop()
    async with daemon(settings) as program:
        away = await program.until_logged("broker away")
        assert "check that it runs" in away["detail"]
        early = await events_logged(program, "event opened", 1)
        assert await program.stop() == 0
    async with daemon(settings) as program:
        opened = early + await events_logged(program, "event opened", 1)
        program.send(signal.SIGSTOP)
        await broker.start()
        async with subscriber(broker.port) as heard:
            program.send(signal.SIGCONT)
            await heard.until(lambda: set(opened) <= set(lives(steps_on(heard, EVENTS))))
            await heard.until(lambda: bool(heard.payloads(VERDICTS)))
            assert await program.stop() == 0
            await heard.until(lambda: heard.messages[-1] == (STATUS, b"offline"))
    assert_well_told(heard)
    assert [*lives(steps_on(heard, EVENTS))][: len(opened)] == opened
    # Said once, not at every attempt.
    assert len(program.logged("broker away")) == 1
