"""The publisher: keeps a connection to the broker, empties the outbox, takes in commands."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
import structlog

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import DeliveryError, StoreError
from edgewatch.pipeline.messages import OFFLINE, ONLINE, Topics
from edgewatch.pipeline.mqtt_link import (
    BYE_TIMEOUT_SECONDS,
    Backoff,
    BrokerAddress,
    Failure,
    client_for,
    connected,
    failure_of,
    publish,
    subscribe,
)
from edgewatch.pipeline.outbox import Drain, Outbox

LIVE_QUEUE = 1000
"""QoS 0 messages waiting for a slow broker; beyond it the oldest is dropped."""
MAX_COMMAND_BYTES = 1024
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


@dataclass(frozen=True, slots=True)
class _Kept:
    payload: bytes
    """Empty: the broker is to forget the topic."""
    qos: int


class Publisher:
    """Sends to one broker, for as long as `run` runs; every other method may be called any time.

    With replay topics nothing is retained, there is no status and no command is taken in.
    `on_command` gets (camera, key, payload) as they came, on the event loop.
    """

    def __init__(
        self,
        address: BrokerAddress,
        topics: Topics,
        *,
        client_id: str,
        outbox: Outbox,
        on_command: Callable[[str, str, bytes], object],
        clock: Clock,
        backoff: Backoff | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._address = address
        self._topics = topics
        self._retains = not topics.replay
        self._client_id = client_id
        self._drain = Drain(outbox)
        self._on_command = on_command
        self._clock = clock
        self._backoff = Backoff() if backoff is None else backoff
        self._draw = draw

        self._kept: dict[str, _Kept] = {}
        self._stale: dict[str, None] = {}
        """Topics whose kept message this connection has not been told, oldest change first."""
        self._kept_changed = asyncio.Event()
        self._kept_lock = asyncio.Lock()

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
        self._commands_ignored = 0

    # What the flow calls

    def retain(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        """Keep the topic's newest message at the broker: sent now and on each new connection."""
        self._keep(topic, _Kept(payload, qos))

    def forget(self, topic: str) -> None:
        """Make the broker forget what it keeps for a topic, if need be once it is back."""
        if self._retains:
            self._keep(topic, _Kept(b"", 1))
        else:
            self._kept.pop(topic, None)
            self._stale.pop(topic, None)

    def send(self, topic: str, payload: bytes) -> None:
        """Send once, QoS 0; dropped and counted while there is no connection."""
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
            commands_ignored=self._commands_ignored,
            reconnects=max(0, self._connections - 1),
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

    # The life of the connection

    async def _keep_connected(self) -> None:
        while not self._stopping.is_set():
            failure: Failure | None = None
            try:
                await self._connection()
            except* (aiomqtt.MqttError, DeliveryError, OSError, UnicodeError) as errors:
                # UnicodeError: a host name that cannot be looked up.
                failure = failure_of(_first_of(errors), self._address)
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # A task group that loses its connection in the moment in which it is cancelled
                # raises the loss alone (until Python 3.13): going on would swallow the other.
                raise asyncio.CancelledError
            if failure is not None:
                await self._back_off(failure)

    async def _connection(self) -> None:
        will = None
        if self._retains:
            will = aiomqtt.Will(self._topics.status, OFFLINE, qos=1, retain=True)
        client = client_for(self._address, client_id=self._client_id, will=will)
        async with connected(client):
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

    async def _serve(self, client: aiomqtt.Client) -> None:
        self._stale = dict.fromkeys(self._kept)
        async with asyncio.TaskGroup() as group:
            # Listening also finds out that the connection broke: a publish would only time out.
            tasks = [group.create_task(self._listen(client), name="mqtt listener")]
            # Commands first: who reads `online` may send one.
            await self._subscribe(client)
            if self._retains:
                await publish(client, self._topics.status, ONLINE, qos=1, retain=True)
            for name, work in (
                ("mqtt retained", self._repeat(self._flush_kept, self._kept_changed, client)),
                ("mqtt live", self._repeat(self._flush_live, self._live_queued, client)),
                ("mqtt outbox", self._drain.run(client)),
            ):
                tasks.append(group.create_task(work, name=name))
            await self._stopping.wait()
            await self._finish(client)
            for task in tasks:
                task.cancel()

    async def _finish(self, client: aiomqtt.Client) -> None:
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

    async def _say_offline(self, client: aiomqtt.Client, *, qos: int) -> None:
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
        log.info("broker connected", host=self._address.host, port=self._address.port)

    def _set_disconnected(self) -> None:
        self._connected = False
        self._since_seconds = self._clock.wall_seconds()
        self._dropped_away += len(self._live)
        self._live.clear()

    # Commands

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        if not self._retains:
            return
        if not await subscribe(client, self._topics.commands):
            self._detail = (
                f"the broker does not let us read {self._topics.commands}: commands will not "
                "arrive; give this user the right to"
            )
            log.warning("commands refused", topic=self._topics.commands)

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            command = self._topics.command_of(message.topic.value)
            payload = message.payload
            # A retained command would be carried out again at each connection, for ever.
            if (
                command is None
                or message.retain
                or not isinstance(payload, bytes)
                or len(payload) > MAX_COMMAND_BYTES
            ):
                self._commands_ignored += 1
                log.warning("command ignored", topic=message.topic.value[:200])
                continue
            self._on_command(*command, payload)

    # Retained and live messages

    def _keep(self, topic: str, kept: _Kept) -> None:
        self._kept[topic] = kept
        self._stale.pop(topic, None)
        self._stale[topic] = None
        self._kept_changed.set()

    async def _flush_kept(self, client: aiomqtt.Client) -> None:
        async with self._kept_lock:
            while self._stale:
                topic = next(iter(self._stale))
                del self._stale[topic]
                kept = self._kept[topic]
                await publish(client, topic, kept.payload, qos=kept.qos, retain=self._retains)
                told_for_good = not (kept.payload and self._retains)
                if told_for_good and self._kept.get(topic) is kept:
                    del self._kept[topic]

    async def _flush_live(self, client: aiomqtt.Client) -> None:
        while self._live:
            topic, payload = self._live.popleft()
            await publish(client, topic, payload, qos=0)

    async def _repeat(
        self,
        flush: Callable[[aiomqtt.Client], Awaitable[None]],
        changed: asyncio.Event,
        client: aiomqtt.Client,
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
