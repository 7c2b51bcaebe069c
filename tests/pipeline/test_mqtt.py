from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from aiomqtt.exceptions import MqttConnectError
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from structlog.testing import capture_logs

from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.complaints import MOST_LINES
from edgewatch.pipeline.errors import DeliveryError
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt import LIVE_QUEUE, Publisher
from edgewatch.pipeline.mqtt_inbox import MAX_COMMAND_BYTES, Reminder
from edgewatch.pipeline.mqtt_link import Backoff, BrokerAddress, TlsFiles, failure_of
from edgewatch.pipeline.mqtt_version import Wanted
from tests.fakes.broker import FakeBroker, Manners, Received
from tests.fakes.outbox import FakeOutbox

EVENTS = "edgewatch/front/events"
QUICK = Backoff(first_seconds=0.01, most_seconds=0.02)


@pytest.fixture
async def broker() -> AsyncIterator[FakeBroker]:
    async with FakeBroker().running() as running:
        yield running


def make_publisher(
    broker: FakeBroker,
    outbox: FakeOutbox,
    *,
    replay: bool = False,
    on_command: Callable[[str, str, bytes], None] = lambda *_: None,
    on_bad_command: Callable[[str, str, str], None] = lambda *_: None,
    reminder: Reminder | None = None,
    version: Wanted = "3.1.1",
    backoff: Backoff = QUICK,
) -> Publisher:
    return Publisher(
        BrokerAddress("127.0.0.1", broker.port, "watcher", "hunter2"),
        Topics(replay=replay),
        client_id="test",
        outbox=outbox,
        on_command=on_command,
        on_bad_command=on_bad_command,
        reminder=reminder,
        version=version,
        clock=SystemClock(),
        backoff=backoff,
    )


@asynccontextmanager
async def running(publisher: Publisher, *, drain_seconds: float = 5.0) -> AsyncIterator[None]:
    async with asyncio.timeout(15.0), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        try:
            yield
        finally:
            await publisher.stop(drain_seconds)


# Where, when, why


def test_password_is_never_shown() -> None:
    address = BrokerAddress("broker.local", 8883, "watcher", "hunter2", TlsFiles())
    refusal = MqttConnectError(ReasonCode(PacketTypes.CONNACK, identifier=134))
    shown = f"{address} {address!r} {failure_of(refusal, address)} "
    shown += f"{failure_of(aiomqtt.MqttError('timed out'), address)}"
    assert "hunter2" not in shown
    assert "watcher" in shown


@given(st.integers(1, 10**6), st.floats(0.0, 1.0, exclude_max=True))
def test_wait_grows_to_its_bound_and_never_vanishes(failures: int, draw: float) -> None:
    backoff = Backoff(first_seconds=1.0, most_seconds=30.0)
    wait_seconds = backoff.seconds(failures, draw)
    assert 0.5 <= wait_seconds <= 30.0
    assert wait_seconds <= backoff.seconds(failures + 1, draw)
    assert backoff.seconds(failures, draw, refused=True) >= 15.0


def test_first_wait_is_a_second_at_most() -> None:
    assert Backoff().seconds(1, 0.999) <= 1.0


def test_missing_certificate_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeliveryError, match=r"nowhere\.pem"):
        TlsFiles(ca_file=tmp_path / "nowhere.pem").context()


def test_certificate_file_without_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("hello")
    with pytest.raises(DeliveryError, match=r"ca\.pem.*ca_file"):
        TlsFiles(ca_file=tmp_path / "ca.pem").context()


# Connecting


async def test_online_comes_after_the_subscription_and_offline_last(broker: FakeBroker) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        assert broker.subscribed == ["edgewatch/+/set/+"]
        assert publisher.status().connected
    assert [(m.topic, m.payload, m.qos, m.retain) for m in broker.received] == [
        ("edgewatch/status", b"online", 1, True),
        ("edgewatch/status", b"offline", 1, True),
    ]
    assert broker.goodbyes == 1
    assert not publisher.status().connected


async def test_last_will_is_left_with_the_broker(broker: FakeBroker) -> None:
    async with running(make_publisher(broker, FakeOutbox())):
        await broker.until(lambda: bool(broker.received))
    (connect,) = broker.connects
    assert b"edgewatch/status\x00\x07offline" in connect
    will_flag, will_qos_1, will_retain, clean_session = 0x04, 0x08, 0x20, 0x02
    wanted = will_flag | will_qos_1 | will_retain | clean_session
    assert connect[7] & wanted == wanted


async def test_refused_credentials_are_a_state_with_its_cure(broker: FakeBroker) -> None:
    broker.connack_code = 4
    publisher = make_publisher(broker, FakeOutbox())
    async with running(publisher):
        await broker.until(lambda: len(broker.connects) >= 2)
        status = publisher.status()
        assert not status.connected
        assert "refused 'watcher'" in status.detail
        assert "password_file" in status.detail
        assert "hunter2" not in status.detail
        broker.connack_code = 0
        await broker.until(lambda: bool(broker.received))
        assert publisher.status().detail == ""


async def test_refused_subscription_is_a_state_and_events_still_go_out(broker: FakeBroker) -> None:
    broker.suback_code = 0x80
    outbox = FakeOutbox()
    outbox.add(EVENTS, b"one")
    publisher = make_publisher(broker, outbox)
    async with running(publisher):
        await outbox.emptied()
        assert "commands will not arrive" in publisher.status().detail


@pytest.mark.parametrize("host", ["127.0.0.1", "a" * 300, "no such host"])
async def test_broker_that_cannot_be_reached_is_a_state_and_stops_at_once(host: str) -> None:
    async with FakeBroker().running() as gone:
        port = gone.port
    failed = asyncio.Event()

    def draw() -> float:
        # Asked for once an attempt has failed, to wait before the next.
        failed.set()
        return 0.0

    outbox = FakeOutbox()
    outbox.add(EVENTS, b"one")
    publisher = Publisher(
        BrokerAddress(host, port),
        Topics(),
        client_id="test",
        outbox=outbox,
        on_command=lambda *_: None,
        clock=SystemClock(),
        draw=draw,
    )
    async with asyncio.timeout(15.0), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        await failed.wait()
        began = time.monotonic()
        await publisher.stop(drain_seconds=10.0)
        assert time.monotonic() - began < 0.5, "it waited for its next attempt"
    assert "no connection to the broker" in publisher.status().detail
    assert outbox.payloads == [b"one"]


async def test_cancelled_publisher_says_offline_and_stays_cancelled(broker: FakeBroker) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    task = asyncio.create_task(publisher.run())
    await broker.until(lambda: bool(broker.received))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await broker.until(lambda: broker.payloads("edgewatch/status") == [b"online", b"offline"])


async def test_stop_before_run_lets_run_end() -> None:
    async with FakeBroker().running() as broker:
        publisher = make_publisher(broker, FakeOutbox())
        await publisher.stop(drain_seconds=1.0)
        await publisher.run()
        assert broker.connects == []


# Outbox


async def test_rows_are_sent_in_order_and_deleted_once_acknowledged(broker: FakeBroker) -> None:
    rows = [b"%d" % number for number in range(500)]
    outbox = FakeOutbox()
    outbox.add(EVENTS, *rows[:300])
    publisher = make_publisher(broker, outbox)
    async with running(publisher):
        await outbox.emptied()
        outbox.add(EVENTS, *rows[300:])
        await outbox.emptied()
        assert publisher.status().published == 500
    assert broker.payloads(EVENTS) == rows
    assert {m.qos for m in broker.received if m.topic == EVENTS} == {1}
    assert outbox.deleted == sorted(outbox.deleted)


async def test_row_without_acknowledgement_is_sent_again_on_the_next_connection(
    broker: FakeBroker,
) -> None:
    def manners(message: Received) -> Manners:
        if message.connection == 1 and message.payload == b"b":
            return "ignore"
        if message.connection == 1 and message.payload == b"d":
            return "hang_up"
        return "acknowledge"

    broker.manners = manners
    outbox = FakeOutbox()
    outbox.add(EVENTS, b"a", b"b", b"c", b"d", b"e")
    publisher = make_publisher(broker, outbox)
    async with running(publisher):
        await outbox.emptied()
        assert publisher.status().reconnects == 1
    second = [m.payload for m in broker.received if m.connection == 2 and m.topic == EVENTS]
    # "a" was acknowledged; "c" was too, but it is behind the gap and keeps its place.
    assert second == [b"b", b"c", b"d", b"e"]
    assert outbox.deleted == [1, 2, 3, 4, 5]


async def test_row_that_could_not_be_deleted_is_not_sent_again(broker: FakeBroker) -> None:
    outbox = FakeOutbox(refuse_deletes=1)
    outbox.add(EVENTS, b"a")
    async with running(make_publisher(broker, outbox)):
        await outbox.emptied()
    assert broker.payloads(EVENTS) == [b"a"]


async def test_stop_empties_the_outbox_before_it_says_offline(broker: FakeBroker) -> None:
    outbox = FakeOutbox()
    async with running(make_publisher(broker, outbox)):
        await broker.until(lambda: bool(broker.received))
        outbox.add(EVENTS, b"last words")
    assert [m.payload for m in broker.received] == [b"online", b"last words", b"offline"]
    assert outbox.payloads == []


async def test_stop_is_bounded_when_nothing_is_acknowledged(broker: FakeBroker) -> None:
    broker.manners = lambda message: "ignore" if message.topic == EVENTS else "acknowledge"
    outbox = FakeOutbox()
    outbox.add(EVENTS, b"a")
    publisher = make_publisher(broker, outbox)
    async with asyncio.timeout(15.0), asyncio.TaskGroup() as group:
        group.create_task(publisher.run())
        await broker.until(lambda: broker.payloads(EVENTS) == [b"a"])
        began = time.monotonic()
        await publisher.stop(drain_seconds=0.1)
        assert time.monotonic() - began < 2.0
    assert outbox.payloads == [b"a"]
    assert broker.received[-1].payload == b"offline"


# Retained and live messages


async def test_newest_of_each_retained_topic_is_sent_on_each_connection(
    broker: FakeBroker,
) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    publisher.retain("edgewatch/front/state", b"old")
    publisher.retain("edgewatch/front/state", b"new")
    publisher.retain("edgewatch/stats", b"{}", qos=0)
    async with running(publisher):
        await broker.until(lambda: len(broker.received) == 3)
        broker.hang_up()
        await broker.until(lambda: len(broker.received) == 6)
        publisher.retain("edgewatch/front/state", b"newest")
        await broker.until(lambda: len(broker.received) == 7)
    assert broker.payloads("edgewatch/front/state") == [b"new", b"new", b"newest"]
    assert {(m.topic, m.qos) for m in broker.received if m.retain} == {
        ("edgewatch/status", 1),
        ("edgewatch/front/state", 1),
        ("edgewatch/stats", 0),
    }


async def test_forgotten_topic_is_cleared_once_the_broker_is_back(broker: FakeBroker) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    publisher.retain("edgewatch/gone/state", b"x")
    publisher.forget("edgewatch/gone/state")
    async with running(publisher):
        await broker.until(lambda: broker.payloads("edgewatch/gone/state") == [b""])
        broker.hang_up()
        await broker.until(lambda: len(broker.payloads("edgewatch/status")) == 2)
    assert broker.payloads("edgewatch/gone/state") == [b""]


async def test_live_messages_are_dropped_and_counted_while_away(broker: FakeBroker) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    publisher.send("edgewatch/front/verdict", b"unseen")
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        publisher.send("edgewatch/front/verdict", b"seen")
        await broker.until(lambda: broker.payloads("edgewatch/front/verdict") == [b"seen"])
    assert publisher.status().dropped_away == 1
    assert {m.qos for m in broker.received if m.topic.endswith("verdict")} == {0}


async def test_flood_of_live_messages_drops_the_oldest_and_counts_them(broker: FakeBroker) -> None:
    publisher = make_publisher(broker, FakeOutbox())
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        # Without an await in between, nothing can leave the queue.
        for number in range(LIVE_QUEUE + 5):
            publisher.send("edgewatch/front/verdict", b"%d" % number)
        await broker.until(lambda: len(broker.payloads("edgewatch/front/verdict")) == LIVE_QUEUE)
    assert broker.payloads("edgewatch/front/verdict")[0] == b"5"
    assert publisher.status().dropped_full == 5


# Commands


async def test_commands_are_handed_over_and_bad_ones_counted(broker: FakeBroker) -> None:
    heard: list[tuple[str, str, bytes]] = []
    came = asyncio.Event()

    def on_command(camera: str, key: str, payload: bytes) -> None:
        heard.append((camera, key, payload))
        came.set()

    refused: list[tuple[str, str, str]] = []
    publisher = make_publisher(
        broker,
        FakeOutbox(),
        on_command=on_command,
        on_bad_command=lambda *command: refused.append(command),
    )
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        broker.tell("edgewatch/front/set/threshold", b"0.1", retain=True)
        broker.tell("edgewatch/Front/set/threshold", b"0.2")
        broker.tell("edgewatch/front/set/enabled", b"x" * (MAX_COMMAND_BYTES + 1))
        broker.tell("edgewatch/front/set/threshold", b"0.4")
        # That the last one came shows that those before it were seen.
        await came.wait()
    assert heard == [("front", "threshold", b"0.4")]
    assert publisher.status().commands_ignored == 3
    assert [(camera, key) for camera, key, _ in refused] == [
        ("front", "threshold"),
        ("front", "enabled"),
    ]
    assert "must not be retained" in refused[0][2]
    assert "longer than 4096 bytes" in refused[1][2]


async def test_flood_of_bad_commands_does_not_flood_the_log(broker: FakeBroker) -> None:
    last = asyncio.Event()
    publisher = make_publisher(broker, FakeOutbox(), on_bad_command=lambda *_: last.set())
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        with capture_logs() as lines:
            for _ in range(500):
                broker.tell("edgewatch/Front/set/threshold", b"0.2")
            broker.tell("edgewatch/front/set/threshold", b"0.4", retain=True)
            await last.wait()
    assert publisher.status().commands_ignored == 501
    assert 1 <= sum(line["event"] == "command ignored" for line in lines) <= MOST_LINES


# Who asks for what is retained


async def test_home_assistant_that_comes_up_is_told_its_own_topics_again(
    broker: FakeBroker,
) -> None:
    publisher = make_publisher(
        broker, FakeOutbox(), reminder=Reminder("homeassistant/status", "homeassistant/")
    )
    publisher.retain("homeassistant/device/edgewatch/front/config", b"{}")
    publisher.retain("edgewatch/front/state", b"calm")
    async with running(publisher):
        await broker.until(lambda: len(broker.received) == 3)
        assert broker.subscribed == ["edgewatch/+/set/+", "homeassistant/status"]
        # Neither the retained one, which comes with the subscription, nor the goodbye.
        broker.tell("homeassistant/status", b"online", retain=True)
        broker.tell("homeassistant/status", b"offline")
        broker.tell("homeassistant/status", b"online")
        await broker.until(lambda: len(broker.received) == 4)
        publisher.send("edgewatch/front/verdict", b"after")
        await broker.until(lambda: len(broker.received) == 5)
    assert [message.topic for message in broker.received[3:5]] == [
        "homeassistant/device/edgewatch/front/config",
        "edgewatch/front/verdict",
    ]
    assert publisher.status().commands_ignored == 0


# The version of MQTT


async def test_broker_that_names_the_version_is_asked_again_at_once_with_the_older(
    broker: FakeBroker,
) -> None:
    broker.most_version = 4
    publisher = make_publisher(broker, FakeOutbox(), version="auto", backoff=Backoff(30.0, 30.0))
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        assert publisher.status().version == "3.1.1"
        assert broker.versions == [5, 4]


async def test_finding_is_remembered_for_the_next_connection(broker: FakeBroker) -> None:
    broker.most_version = 4
    publisher = make_publisher(broker, FakeOutbox(), version="auto")
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
        broker.hang_up()
        await broker.until(lambda: len(broker.payloads("edgewatch/status")) == 2)
    assert broker.versions == [5, 4, 4]


async def test_broker_that_hangs_up_on_the_newer_version_is_tried_with_the_older(
    broker: FakeBroker,
) -> None:
    broker.most_version, broker.tells_version = 4, False
    publisher = make_publisher(broker, FakeOutbox(), version="auto", backoff=Backoff(30.0, 30.0))
    async with running(publisher):
        await broker.until(lambda: bool(broker.received))
    assert broker.versions == [5, 4]


async def test_version_that_was_asked_for_is_kept_to_and_its_refusal_told_with_the_cure(
    broker: FakeBroker,
) -> None:
    broker.most_version = 4
    publisher = make_publisher(broker, FakeOutbox(), version="5")
    async with running(publisher):
        await broker.until(lambda: len(broker.connects) >= 2)
        assert 'set protocol = "auto" in [mqtt]' in publisher.status().detail
    assert set(broker.versions) == {5}


async def test_broker_that_is_away_costs_no_change_of_version() -> None:
    async with FakeBroker().running() as gone:
        port = gone.port
    failed = asyncio.Event()

    def draw() -> float:
        failed.set()
        return 0.0

    publisher = Publisher(
        BrokerAddress("127.0.0.1", port),
        Topics(),
        client_id="test",
        outbox=FakeOutbox(),
        on_command=lambda *_: None,
        clock=SystemClock(),
        version="auto",
        backoff=QUICK,
        draw=draw,
    )
    async with running(publisher):
        await failed.wait()
        assert publisher.status().version == "5"


# Replay


async def test_replay_leaves_nothing_behind_and_takes_no_commands(broker: FakeBroker) -> None:
    outbox = FakeOutbox()
    outbox.add("edgewatch/replay/front/events", b"event")
    publisher = make_publisher(broker, outbox, replay=True)
    publisher.retain("edgewatch/replay/front/state", b"state")
    publisher.retain("edgewatch/replay/back/state", b"gone")
    publisher.forget("edgewatch/replay/back/state")
    async with running(publisher):
        await outbox.emptied()
        await broker.until(lambda: len(broker.received) == 2)
    assert {(m.topic, m.payload) for m in broker.received} == {
        ("edgewatch/replay/front/events", b"event"),
        ("edgewatch/replay/front/state", b"state"),
    }
    assert not any(m.retain for m in broker.received)
    assert broker.subscribed == []
    will_flag = 0x04
    assert not broker.connects[0][7] & will_flag
