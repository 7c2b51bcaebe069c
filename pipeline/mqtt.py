"""The publisher: keeps a connection to the broker, empties the outbox, takes in commands."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import aiomqtt
import structlog

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.envelope import envelope_of
from edgewatch.pipeline.errors import DeliveryError, StoreError
from edgewatch.pipeline.messages import OFFLINE, ONLINE, Topics
from edgewatch.pipeline.mqtt_client import BrokerClient
from edgewatch.pipeline.mqtt_inbox import Inbox, Reminder
from edgewatch.pipeline.mqtt_link import (
    ACK_TIMEOUT_SECONDS,
    BYE_TIMEOUT_SECONDS,
    PROBE_SECONDS,
    Backoff,
    BrokerAddress,
    Failure,
    client_for,
    connected,
    failure_of,
    publish,
    subscribe,
    trouble_of,
)
from edgewatch.pipeline.mqtt_version import Version, VersionChoice, Wanted
from edgewatch.pipeline.outbox import Drain, Outbox
from edgewatch.pipeline.retained import RetainedBoard

LIVE_QUEUE = 1000
"""QoS 0 messages waiting for a slow broker; beyond it the oldest is dropped."""
STEADY_SECONDS = 30.0
"""A connection that held this long ends a row of failures."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PublisherStatus:
    """How the publisher fares; the counts are since its start."""

    connected: bool
    since_seconds: float
    """Unix time since which it is, or is not, connected."""
    detail: str
    """Empty while all is well; else one sentence with the cure."""
    published: int
    """Messages of the outbox that the broker acknowledged."""
    dropped_away: int
    """QoS 0 messages that came while there was no connection."""
    dropped_full: int
    """QoS 0 messages that a slow broker left no room for."""
    commands_ignored: int
    """Commands that were malformed, too long or retained."""
    reconnects: int
    version: Version
    """Of MQTT, on this connection or the next."""


class Publisher:
    """Sends to one broker, for as long as `run` runs; every other method may be called any time.

    With replay topics nothing is retained, there is no status and no command is taken in.
    `on_command` gets (camera, key, payload) as they came, on the event loop; `on_bad_command`
    (camera, key, why) of those that no payload could mend.
    """

    def __init__(
        self,
        address: BrokerAddress,
        topics: Topics,
        *,
        client_id: str,
        outbox: Outbox,
        on_command: Callable[[str, str, bytes], object],
        on_bad_command: Callable[[str, str, str], object] = lambda *_: None,
        reminder: Reminder | None = None,
        version: Wanted = "3.1.1",
        guard: LeakGuard | None = None,
        clock: Clock,
        backoff: Backoff | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._topics = topics
        self._retains = not topics.replay
        self._client_id = client_id
        self._guard = guard
        self._drain = Drain(outbox, guard)
        self._reminder = reminder
        self._version = VersionChoice(version)
        self._clock = clock
        self._backoff = Backoff() if backoff is None else backoff
        self._draw = draw

        self.board = RetainedBoard(lasting=self._retains)
        """What the broker keeps for us."""
        self._inbox = Inbox(
            topics,
            on_command=on_command,
            on_bad_command=on_bad_command,
            reminder=reminder,
            on_reminder=self.board.tell_again,
            clock=clock,
        )
        self._live: deque[tuple[str, bytes]] = deque()
        self._live_queued = asyncio.Event()

        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._drain_seconds = 0.0

        self._connected = False
        self._since_seconds = clock.wall_seconds()
        self._detail = "not connected yet"
        self._failures = 0
        self._connections = 0
        self._dropped_away = 0
        self._dropped_full = 0

    # What the flow calls

    def listen(self, on_acknowledged: Callable[[str, bytes], None]) -> None:
        """Have (topic, payload) of each message of the outbox told once the broker has it."""
        self._drain.on_acknowledged = on_acknowledged

    def retain(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        """Keep the topic's newest message at the broker: sent now and on each new connection."""
        if self._may_go(topic, payload):
            self.board.put(topic, payload, qos=qos)

    def forget(self, topic: str) -> None:
        """Make the broker forget what it keeps for a topic, if need be once it is back."""
        self.board.take_down(topic)

    def send(self, topic: str, payload: bytes) -> None:
        """Send once, QoS 0; dropped and counted while there is no connection."""
        if not self._may_go(topic, payload):
            return
        if not self._connected:
            self._dropped_away += 1
            return
        if len(self._live) == LIVE_QUEUE:
            self._live.popleft()
            self._dropped_full += 1
        self._live.append((topic, payload))
        self._live_queued.set()

    def status(self) -> PublisherStatus:
        """Return how things are now."""
        return PublisherStatus(
            connected=self._connected,
            since_seconds=self._since_seconds,
            detail=self._detail,
            published=self._drain.published,
            dropped_away=self._dropped_away,
            dropped_full=self._dropped_full,
            commands_ignored=self._inbox.ignored,
            reconnects=max(0, self._connections - 1),
            version=self._version.version,
        )

    async def run(self) -> None:
        """Keep connected until stopped; no trouble of the broker's ends this."""
        self._ended.clear()
        try:
            async with asyncio.TaskGroup() as group:
                attempts = group.create_task(self._keep_connected(), name="mqtt connection")
                await self._stopping.wait()
                if not self._connected:
                    # Nothing could be drained; the outbox is on disk and waits for the next start.
                    attempts.cancel()
        finally:
            self._ended.set()

    async def stop(self, drain_seconds: float) -> None:
        """End `run`: empty the outbox within `drain_seconds`, publish `offline`, disconnect."""
        self._drain_seconds = drain_seconds
        self._stopping.set()
        await self._ended.wait()

    def _may_go(self, topic: str, payload: bytes) -> bool:
        return self._guard is None or self._guard.lets_pass(topic, payload)

    # The life of the connection

    async def _keep_connected(self) -> None:
        while not self._stopping.is_set():
            failure: Failure | None = None
            at_once = False
            try:
                client = self._new_client()
                await self._connection(client)
            except* (aiomqtt.MqttError, DeliveryError, OSError, UnicodeError) as errors:
                # UnicodeError: a host name that cannot be looked up.
                error = _first_of(errors)
                failure = failure_of(error, self._address)
                if not isinstance(error, DeliveryError):
                    at_once = self._is_other_version_due(error, client)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # A task group that loses its connection in the moment in which it is cancelled
                # raises the loss alone (until Python 3.13): going on would swallow the other.
                raise asyncio.CancelledError
            if failure is not None and not at_once:
                await self._back_off(failure)

    def _new_client(self) -> BrokerClient:
        will = None
        if self._retains:
            will = aiomqtt.Will(self._topics.status, OFFLINE, qos=1, retain=True)
        return client_for(
            self._address,
            client_id=self._client_id,
            will=will,
            version=self._version.version,
            envelope=partial(envelope_of, self._topics),
        )

    def _is_other_version_due(self, error: BaseException, client: BrokerClient) -> bool:
        """Say whether connecting failed for MQTT's version, and may do with another at once."""
        if client.accepted:
            return False
        return self._version.failed(trouble_of(error, client))

    async def _connection(self, client: BrokerClient) -> None:
        limit_seconds = ACK_TIMEOUT_SECONDS if self._version.proven else PROBE_SECONDS
        async with connected(client, limit_seconds=limit_seconds):
            self._version.accepted()
            began_seconds = self._clock.monotonic_seconds()
            self._set_connected()
            try:
                await self._serve(client)
            except BaseException:
                # The goodbye that follows makes the broker drop the last will.
                await self._say_offline(client, qos=0)
                raise
            finally:
                if self._clock.monotonic_seconds() - began_seconds >= STEADY_SECONDS:
                    self._failures = 0
                self._set_disconnected()

    async def _serve(self, client: BrokerClient) -> None:
        self.board.tell_all()
        async with asyncio.TaskGroup() as group:
            # Listening also finds out that the connection broke: a publish would only time out.
            tasks = [group.create_task(self._listen(client), name="mqtt listener")]
            # Commands first: who reads `online` may send one.
            await self._subscribe(client)
            if self._retains:
                await publish(client, self._topics.status, ONLINE, qos=1, retain=True)
            for name, work in (
                ("mqtt retained", self._repeat(self._flush_kept, self.board.changed, client)),
                ("mqtt live", self._repeat(self._flush_live, self._live_queued, client)),
                ("mqtt outbox", self._drain.run(client)),
            ):
                tasks.append(group.create_task(work, name=name))
            await self._stopping.wait()
            await self._finish(client)
            for task in tasks:
                task.cancel()

    async def _finish(self, client: BrokerClient) -> None:
        try:
            async with asyncio.timeout(self._drain_seconds):
                await self._drain.flush(client)
                await self._flush_kept(client)
                await self._flush_live(client)
        except TimeoutError:
            log.warning("outbox not emptied in time", drain_seconds=self._drain_seconds)
        except StoreError as error:
            log.warning("outbox not emptied", detail=str(error))
        with suppress(StoreError):
            await self._drain.delete_acknowledged()
        await self._say_offline(client, qos=1)

    async def _say_offline(self, client: BrokerClient, *, qos: int) -> None:
        if not self._retains:
            return
        with suppress(aiomqtt.MqttError):
            await publish(
                client,
                self._topics.status,
                OFFLINE,
                qos=qos,
                retain=True,
                timeout_seconds=BYE_TIMEOUT_SECONDS,
            )

    async def _back_off(self, failure: Failure) -> None:
        self._failures += 1
        wait_seconds = self._backoff.seconds(self._failures, self._draw(), refused=failure.refused)
        # Said once, not at each of a night's attempts.
        say = log.debug if failure.detail == self._detail else log.warning
        say("broker away", detail=failure.detail, retry_seconds=round(wait_seconds, 1))
        self._detail = failure.detail
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._stopping.wait()

    def _set_connected(self) -> None:
        self._connected = True
        self._connections += 1
        self._since_seconds = self._clock.wall_seconds()
        self._detail = ""
        log.info(
            "broker connected",
            host=self._address.host,
            port=self._address.port,
            mqtt=self._version.version,
        )

    def _set_disconnected(self) -> None:
        self._connected = False
        self._since_seconds = self._clock.wall_seconds()
        self._dropped_away += len(self._live)
        self._live.clear()

    # Commands

    async def _subscribe(self, client: BrokerClient) -> None:
        if not self._retains:
            return
        if not await subscribe(client, self._topics.commands):
            self._detail = (
                f"the broker does not let us read {self._topics.commands}: commands will not "
                "arrive; give this user the right to"
            )
            log.warning("commands refused", topic=self._topics.commands)
        if self._reminder and not await subscribe(client, self._reminder.topic):
            # Not a fault worth a state: what is retained reaches Home Assistant all the same.
            log.info("reminders refused", topic=self._reminder.topic)

    async def _listen(self, client: BrokerClient) -> None:
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            self._inbox.take(message.topic.value, payload, retained=message.retain)

    # Retained and live messages

    async def _flush_kept(self, client: BrokerClient) -> None:
        async def tell(topic: str, payload: bytes, qos: int) -> None:
            await publish(client, topic, payload, qos=qos, retain=self._retains)

        await self.board.flush(tell)

    async def _flush_live(self, client: BrokerClient) -> None:
        while self._live:
            topic, payload = self._live.popleft()
            await publish(client, topic, payload, qos=0)

    async def _repeat(
        self,
        flush: Callable[[BrokerClient], Awaitable[None]],
        changed: asyncio.Event,
        client: BrokerClient,
    ) -> None:
        while True:
            changed.clear()
            await flush(client)
            await changed.wait()


def _first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
