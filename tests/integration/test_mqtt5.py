"""MQTT 5 with a real broker: what stands around a payload, and what the broker asks of us."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from edgewatch.pipeline.broker import EmbeddedBroker
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.envelope import EXPIRY_SECONDS
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import Backoff, BrokerAddress
from edgewatch.pipeline.mqtt_version import Wanted
from tests.fakes.outbox import FakeOutbox
from tests.integration.mosquitto import mosquitto, subscriber

pytestmark = pytest.mark.integration

EVENTS = "edgewatch/front/events"
VERDICT = "edgewatch/front/verdict"


def make_publisher(port: int, outbox: FakeOutbox, version: Wanted = "auto") -> Publisher:
    return Publisher(
        BrokerAddress("127.0.0.1", port),
        Topics(),
        client_id="test",
        outbox=outbox,
        on_command=lambda *_: None,
        version=version,
        clock=SystemClock(),
        backoff=Backoff(first_seconds=0.05, most_seconds=0.1),
    )


@asynccontextmanager
async def running(publisher: Publisher) -> AsyncIterator[None]:
    async with asyncio.timeout(25.0), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        try:
            yield
        finally:
            await publisher.stop(5.0)


async def heard_with_properties(
    port: int, ready: asyncio.Event, topics: set[str]
) -> dict[str, object]:
    """Return the first message of each of these topics, as an MQTT 5 subscriber gets it."""
    found: dict[str, object] = {}
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("#", qos=1)
        ready.set()
        async for message in client.messages:
            if message.topic.value in topics:
                found.setdefault(message.topic.value, message)
                if found.keys() == topics:
                    return found
    raise AssertionError("the broker hung up")


async def test_messages_say_what_they_are_and_how_long_they_are_worth_delivering(
    tmp_path: Path,
) -> None:
    wanted = {EVENTS, VERDICT, "edgewatch/front/state", "edgewatch/front/thumbnail"}
    async with mosquitto(tmp_path) as broker:
        outbox, ready = FakeOutbox(), asyncio.Event()
        publisher = make_publisher(broker.port, outbox)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(heard_with_properties(broker.port, ready, wanted))
            await ready.wait()
            async with subscriber(broker.port) as heard, running(publisher):
                publisher.retain("edgewatch/front/state", b"{}")
                publisher.retain("edgewatch/front/thumbnail", b"\xff\xd8\xff")
                await heard.until_message("edgewatch/front/state", b"{}")
                assert publisher.status().version == "5"
                publisher.send(VERDICT, b"{}")
                outbox.add(EVENTS, b"{}")
                found = await asyncio.wait_for(reading, 10.0)
    properties = {topic: message.properties for topic, message in found.items()}  # type: ignore[attr-defined] # aiomqtt.Message
    event = properties[EVENTS]
    assert event.ContentType == "application/json"
    assert event.PayloadFormatIndicator == 1
    assert event.UserProperty == [("schema", "1"), ("type", "events"), ("camera", "front")]
    assert EXPIRY_SECONDS["events"] - 60 <= event.MessageExpiryInterval <= EXPIRY_SECONDS["events"]
    verdict = properties[VERDICT]
    assert 0 < verdict.MessageExpiryInterval <= EXPIRY_SECONDS["verdict"]
    state = properties["edgewatch/front/state"]
    assert not hasattr(state, "MessageExpiryInterval")
    picture = properties["edgewatch/front/thumbnail"]
    assert picture.ContentType == "image/jpeg"
    assert picture.PayloadFormatIndicator == 0


async def test_broker_that_takes_few_messages_at_a_time_is_not_overrun(tmp_path: Path) -> None:
    """Mosquitto tells its limit in the CONNACK and may hang up on who ignores it."""
    settings = ("allow_anonymous true", "max_inflight_messages 2")
    rows = [b"%d" % number for number in range(300)]
    async with mosquitto(tmp_path, settings=settings) as broker, subscriber(broker.port) as reader:
        outbox = FakeOutbox()
        publisher = make_publisher(broker.port, outbox)
        async with running(publisher):
            outbox.add(EVENTS, *rows)
            await outbox.emptied()
            await reader.until(lambda: len(reader.payloads(EVENTS)) == len(rows))
        assert publisher.status().version == "5"
        assert publisher.status().reconnects == 0
        assert reader.payloads(EVENTS) == rows


async def test_broker_that_knows_only_the_older_version_gets_that(tmp_path: Path) -> None:
    broker = EmbeddedBroker(port=0)
    await broker.start()
    outbox = FakeOutbox()
    outbox.add(EVENTS, b"one")
    publisher = make_publisher(broker.port, outbox)
    async with subscriber(broker.port) as reader, running(publisher):
        await reader.until_message(EVENTS, b"one")
        assert publisher.status().version == "3.1.1"
    await broker.stop()


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_version_that_is_set_is_spoken(tmp_path: Path, version: Wanted) -> None:
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as reader:
        outbox = FakeOutbox()
        outbox.add(EVENTS, b"one")
        publisher = make_publisher(broker.port, outbox, version)
        async with running(publisher):
            await reader.until_message(EVENTS, b"one")
            assert publisher.status().version == version
