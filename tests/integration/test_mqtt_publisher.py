from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiomqtt
import pytest

from edgewatch.pipeline.broker import MAX_UNREAD_BYTES, EmbeddedBroker
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.errors import BrokerUnavailable
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import Backoff, BrokerAddress, TlsFiles
from tests.fakes.outbox import FakeOutbox
from tests.integration.mosquitto import (
    Mosquitto,
    Subscriber,
    free_port,
    mosquitto,
    need,
    password_file,
    subscriber,
)

pytestmark = pytest.mark.integration

STATUS = "edgewatch/status"
EVENTS = "edgewatch/front/events"
STATE = "edgewatch/front/state"

VICTIM = """
import asyncio, sys
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import BrokerAddress
from tests.fakes.outbox import FakeOutbox

address = BrokerAddress("127.0.0.1", int(sys.argv[1]))
asyncio.run(Publisher(address, Topics(), client_id="victim", outbox=FakeOutbox(),
                      on_command=lambda *_: None, clock=SystemClock()).run())
"""


def ignore_command(camera: str, key: str, payload: bytes) -> None: ...


def make_publisher(
    address: BrokerAddress | int,
    outbox: FakeOutbox,
    *,
    on_command: Callable[[str, str, bytes], None] = ignore_command,
) -> Publisher:
    if isinstance(address, int):
        address = BrokerAddress("127.0.0.1", address)
    return Publisher(
        address,
        Topics(),
        client_id="test",
        outbox=outbox,
        on_command=on_command,
        version="auto",
        clock=SystemClock(),
        backoff=Backoff(first_seconds=0.05, most_seconds=0.1),
    )


def watched_draw() -> tuple[asyncio.Event, Callable[[], float]]:
    """Return a draw for the back-off, and what it sets: it is asked for after a failure."""
    failed = asyncio.Event()

    def draw() -> float:
        failed.set()
        return 0.0

    return failed, draw


@asynccontextmanager
async def running(publisher: Publisher, *, drain_seconds: float = 10.0) -> AsyncIterator[None]:
    async with asyncio.timeout(40.0), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        try:
            yield
        finally:
            await publisher.stop(drain_seconds)


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
async def embedded() -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(port=0)
    await broker.start()
    yield broker
    await broker.stop()


@pytest.fixture(params=["mosquitto", "embedded"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    """The port of a broker: both must do for the publisher."""
    if request.param == "mosquitto":
        async with mosquitto(tmp_path) as broker:
            yield broker.port
        return
    embedded_broker = EmbeddedBroker(port=0)
    await embedded_broker.start()
    yield embedded_broker.port
    await embedded_broker.stop()


# Any broker


async def test_late_subscriber_is_told_status_and_state(port: int) -> None:
    publisher = make_publisher(port, FakeOutbox())
    publisher.retain(STATE, b"calm")
    async with subscriber(port) as early, running(publisher):
        await early.until_message(STATE, b"calm")
        async with subscriber(port) as late:
            await late.until(lambda: len(late.retained) == 2)
        assert set(late.retained) == {(STATUS, b"online"), (STATE, b"calm")}


async def test_forgotten_topic_is_not_told_to_a_late_subscriber(port: int) -> None:
    publisher = make_publisher(port, FakeOutbox())
    publisher.retain(STATE, b"calm")
    async with subscriber(port) as early, running(publisher):
        await early.until_message(STATE, b"calm")
        publisher.forget(STATE)
        await early.until_message(STATE, b"")
        async with subscriber(port) as late:
            await late.until_message(STATUS, b"online")
        assert late.payloads(STATE) == []


async def test_all_rows_arrive_in_order_and_offline_after_them(port: int) -> None:
    rows = [b"%d" % number for number in range(500)]
    outbox = FakeOutbox()
    async with subscriber(port) as reader:
        async with running(make_publisher(port, outbox)):
            await reader.until_message(STATUS, b"online")
            outbox.add(EVENTS, *rows)
        await reader.until_message(STATUS, b"offline")
        assert reader.payloads(EVENTS) == rows
        assert reader.messages[-1] == (STATUS, b"offline")
    assert outbox.payloads == []


async def test_command_arrives(port: int) -> None:
    heard: asyncio.Queue[tuple[str, str, bytes]] = asyncio.Queue()
    publisher = make_publisher(
        port, FakeOutbox(), on_command=lambda *command: heard.put_nowait(command)
    )
    async with subscriber(port) as reader, running(publisher):
        await reader.until_message(STATUS, b"online")
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.publish("edgewatch/front/set/threshold", b"0.7", qos=1)
        assert await asyncio.wait_for(heard.get(), 10.0) == ("front", "threshold", b"0.7")


async def test_killed_service_is_reported_offline(port: int) -> None:
    async with subscriber(port) as reader:
        victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", VICTIM, str(port)),
            cwd=Path(__file__).parents[2],
            stdout=subprocess.DEVNULL,
        )
        await reader.until_message(STATUS, b"online")
        victim.kill()
        await victim.wait()
        await reader.until_message(STATUS, b"offline")
    async with subscriber(port) as late:
        await late.until(lambda: late.retained == [(STATUS, b"offline")])


async def test_mosquitto_sub_reads_everything(port: int) -> None:
    program = need("mosquitto_sub")
    publisher = make_publisher(port, FakeOutbox())
    publisher.retain(STATE, b"calm")
    async with subscriber(port) as reader, running(publisher):
        await reader.until_message(STATE, b"calm")
        process = await asyncio.create_subprocess_exec(
            *(program, "-p", str(port), "-v", "-t", "edgewatch/#", "-C", "2", "-W", "10"),
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert sorted(said.splitlines()) == [b"edgewatch/front/state calm", b"edgewatch/status online"]


# A broker that goes away: the embedded one comes and goes with the service itself


async def test_no_row_is_lost_or_overtaken_when_the_broker_goes_and_comes_back(
    real: Mosquitto,
) -> None:
    rows = [b"%d" % number for number in range(3000)]
    outbox = FakeOutbox()
    publisher = make_publisher(real.port, outbox)
    seen = Subscriber()
    async with running(publisher):
        async with subscriber(real.port, EVENTS, session="reader", into=seen):
            outbox.add(EVENTS, *rows)
            await seen.until(lambda: len(seen.messages) >= 300)
            await real.stop()
            await seen.lost.wait()
        assert outbox.payloads, "the outage came too late to test anything"
        await real.start()
        async with subscriber(real.port, EVENTS, session="reader", into=seen):
            await seen.until(lambda: bool(seen.messages) and seen.messages[-1][1] == rows[-1])
            await outbox.emptied()
    # At least once, in order: without the repetitions it is what was put in.
    assert list(dict.fromkeys(seen.payloads(EVENTS))) == rows
    assert publisher.status().reconnects >= 1


async def test_retained_topics_are_published_again_to_a_broker_that_forgot(
    real: Mosquitto,
) -> None:
    publisher = make_publisher(real.port, FakeOutbox())
    publisher.retain(STATE, b"calm")
    async with running(publisher):
        async with subscriber(real.port) as early:
            await early.until_message(STATE, b"calm")
        await real.stop()
        real.forget()
        publisher.retain(STATE, b"alarm")
        await real.start()
        async with subscriber(real.port) as late:
            await late.until_message(STATE, b"alarm")
            await late.until_message(STATUS, b"online")
            assert late.payloads(STATE) == [b"alarm"]


async def test_rows_accepted_before_the_broker_is_there_are_sent_once_it_is(
    tmp_path: Path,
) -> None:
    need("mosquitto")
    broker = Mosquitto(tmp_path)
    outbox = FakeOutbox()
    outbox.add(EVENTS, b"early")
    async with running(make_publisher(broker.port, outbox)):
        await broker.start()
        await outbox.emptied()
    await broker.stop()


async def test_wrong_password_is_a_state_and_the_right_one_works(tmp_path: Path) -> None:
    need("mosquitto")
    passwords = password_file(tmp_path, "watcher", "right")
    settings = ("allow_anonymous false", f"password_file {passwords}")
    async with mosquitto(tmp_path, settings=settings) as broker:
        failed, draw = watched_draw()
        refused = Publisher(
            BrokerAddress("127.0.0.1", broker.port, "watcher", "wrong"),
            Topics(),
            client_id="test",
            outbox=FakeOutbox(),
            on_command=ignore_command,
            clock=SystemClock(),
            draw=draw,
        )
        async with running(refused):
            await failed.wait()
        assert "refused 'watcher'; check username and password_file" in refused.status().detail
        outbox = FakeOutbox()
        outbox.add(EVENTS, b"in")
        right = BrokerAddress("127.0.0.1", broker.port, "watcher", "right")
        async with running(make_publisher(right, outbox)):
            await outbox.emptied()


# paho forgets the socket of a handshake that failed; the collector closes it.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
async def test_certificate_is_checked_and_an_unknown_one_is_a_state(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    making = await asyncio.create_subprocess_exec(
        *(need("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=IP:127.0.0.1"),
        stderr=subprocess.PIPE,
    )
    _, complaint = await making.communicate()
    assert making.returncode == 0, complaint
    settings = ("allow_anonymous true", f"certfile {cert}", f"keyfile {key}")
    async with mosquitto(tmp_path, settings=settings) as broker:
        outbox = FakeOutbox()
        outbox.add(EVENTS, b"in")
        trusting = BrokerAddress("127.0.0.1", broker.port, tls=TlsFiles(ca_file=cert))
        async with running(make_publisher(trusting, outbox)):
            await outbox.emptied()
        failed, draw = watched_draw()
        wary = Publisher(
            BrokerAddress("127.0.0.1", broker.port, tls=TlsFiles()),
            Topics(),
            client_id="test",
            outbox=outbox,
            on_command=ignore_command,
            clock=SystemClock(),
            draw=draw,
        )
        async with running(wary):
            await failed.wait()
        assert "certificate verify failed" in wary.status().detail.lower()
        del wary
        gc.collect()


# The embedded broker


async def test_taken_port_is_said_with_the_cure(embedded: EmbeddedBroker) -> None:
    second = EmbeddedBroker(port=embedded.port)
    with pytest.raises(BrokerUnavailable, match=r"in use.*mqtt\.host.*mqtt\.port"):
        await second.start()
    await second.stop()


def test_embedded_broker_stays_on_loopback() -> None:
    with pytest.raises(ValueError, match="loopback only"):
        EmbeddedBroker(host="0.0.0.0")


async def test_embedded_broker_stops_at_once_with_clients_and_starts_again() -> None:
    broker = EmbeddedBroker(port=free_port())
    await broker.start()
    _, silent = await asyncio.open_connection("127.0.0.1", broker.port)
    async with subscriber(broker.port) as reader:
        began = time.monotonic()
        await broker.stop()
        assert time.monotonic() - began < 1.0
        await reader.lost.wait()
    silent.close()
    with suppress(ConnectionError):
        await silent.wait_closed()
    await broker.start()
    async with subscriber(broker.port):
        pass
    await broker.stop()
    await broker.stop()


async def test_last_words_reach_the_subscriber_when_service_and_broker_end_together() -> None:
    rows = [b"%d" % number for number in range(500)]
    outbox = FakeOutbox()
    broker = EmbeddedBroker(port=0)
    await broker.start()
    async with subscriber(broker.port) as reader:
        async with running(make_publisher(broker.port, outbox)):
            await reader.until_message(STATUS, b"online")
            outbox.add(EVENTS, *rows)
        await broker.stop()
        await reader.lost.wait()
    assert reader.payloads(EVENTS) == rows
    assert reader.messages[-1] == (STATUS, b"offline")


async def test_client_is_told_retained_messages_of_its_own_topics_only(
    embedded: EmbeddedBroker,
) -> None:
    async with (
        subscriber(embedded.port, "#"),
        aiomqtt.Client("127.0.0.1", embedded.port) as client,
    ):
        await client.publish("edgewatch/front/state", b"calm", qos=1, retain=True)
        async with subscriber(embedded.port, "other/#") as other:
            await client.publish("other/topic", b"mine", qos=1)
            await other.until_message("other/topic", b"mine")
        assert other.messages == [("other/topic", b"mine")]


async def test_subscriber_that_does_not_read_is_cut_off_and_others_go_on(
    embedded: EmbeddedBroker,
) -> None:
    sleepy = socket.create_connection(("127.0.0.1", embedded.port))
    connect = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x00\x00\x06sleepy"
    subscribe = b"\x82\x06\x00\x01\x00\x01\x23\x00"
    sleepy.sendall(connect + subscribe)
    chunk = b"x" * 100_000
    enough = 3 * MAX_UNREAD_BYTES // len(chunk)
    async with (
        subscriber(embedded.port, "flood") as reader,
        aiomqtt.Client("127.0.0.1", embedded.port) as client,
    ):
        for _ in range(enough):
            await client.publish("flood", chunk, qos=1)
        await reader.until(lambda: len(reader.messages) == enough)
    sleepy.settimeout(5.0)
    read = 0
    try:
        while data := sleepy.recv(1_000_000):
            read += len(data)
    except ConnectionResetError:
        pass
    sleepy.close()
    assert 0 < read < enough * len(chunk)
