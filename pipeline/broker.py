"""The embedded broker: MQTT 3.1.1 on loopback, for a box whose settings name no broker.

It listens itself and hands each connection to amqtt, which is imported when the broker starts and
not before. docs/decisions/embedded-broker.md says why amqtt, and what is worked around here.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from contextlib import suppress
from typing import Any

import structlog

from edgewatch.pipeline.errors import BrokerUnavailable

MAX_UNREAD_BYTES = 4_000_000
"""A client that leaves more than this unread (a subscriber stopped at its terminal) is cut off:
otherwise what it does not read piles up in this process."""
STOP_TIMEOUT_SECONDS = 0.8
QUIET_TURNS = 100
"""Turns of the loop without a waiting message after which all are taken to be passed on."""
LINGER_SECONDS = 0.3

_LISTENER = "default"

log = structlog.get_logger(__name__)


class EmbeddedBroker:
    """A broker on one port, anonymous, without persistence; loopback addresses only.

    Retained messages, last will, QoS 0 and 1. Holds nothing after `stop`; may be started again.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 1883) -> None:
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError(
                f"the embedded broker has no passwords: not on {host!r}, loopback only"
            )
        self._host = host
        self._port = port
        self._broker: Any = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    @property
    def port(self) -> int:
        """The port it listens on; the one the system chose, if it was made with 0."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises BrokerUnavailable with the cure if the port cannot be had."""
        self._broker = _make_broker()
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, start_serving=False
            )
        except OSError as error:
            raise BrokerUnavailable(self._why_not(error)) from error
        self._port = self._server.sockets[0].getsockname()[1]
        await self._broker.start()
        await self._server.start_serving()
        log.info("embedded broker started", host=self._host, port=self._port)

    async def stop(self) -> None:
        """Pass on what was accepted, cut all clients off, free the port; within a second.

        Idempotent.
        """
        if self._server is None:
            return
        self._server.close()
        try:
            async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
                await self._broker.pass_on()
                await self._broker.shutdown()
                for connection in self._connections.values():
                    if not connection.ended:
                        # It never finished its CONNECT: amqtt does not know it.
                        connection.abort()
                while self._connections:
                    await asyncio.wait(self._connections)
        except TimeoutError:
            log.warning("embedded broker stopped late", clients=len(self._connections))
        self._server = None
        log.info("embedded broker stopped")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio serves each connection in a task"
        connection = _Connection(reader, writer)
        self._connections[task] = connection
        try:
            await self._broker.external_connected(connection, connection, _LISTENER)
        finally:
            await connection.linger()
            del self._connections[task]

    def _why_not(self, error: OSError) -> str:
        where = f"port {self._port} on {self._host}"
        if error.errno == errno.EADDRINUSE:
            return (
                f"{where} is in use, perhaps by another broker: to use that one set mqtt.host = "
                f'"{self._host}"; else choose another mqtt.port'
            )
        if error.errno in (errno.EACCES, errno.EPERM):
            return f"{where} may not be used by this user: choose an mqtt.port from 1024 up"
        return f"{where} cannot be used ({error.strerror or error}): choose another mqtt.port"


class _Connection:
    """One client's socket in the shape of amqtt's reader and writer.

    amqtt's own writer waits without limit for a client that does not read, and while it waits it
    collects messages, and cannot stop.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ended = False
        """Nothing more will be written."""
        self._reader = reader
        self._writer = writer

    async def read(self, n: int = -1) -> bytes:
        """Return exactly `n` bytes; all there will be, if -1."""
        return await (self._reader.read() if n == -1 else self._reader.readexactly(n))

    def feed_eof(self) -> None:
        """Take it that the client sends no more."""
        self._reader.feed_eof()

    def write(self, data: bytes) -> None:
        """Send, or cut the client off if it has left too much unread."""
        transport = self._writer.transport
        if self.ended or transport.is_closing():
            return
        if transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.warning("embedded broker cut a client off", unread_bytes=MAX_UNREAD_BYTES)
            self.abort()
            return
        self._writer.write(data)

    async def drain(self) -> None:
        """Go on at once: `write` keeps the bound."""

    def get_peer_info(self) -> tuple[str, int] | None:
        """Return the client's address and port, None if it is gone already."""
        peer = self._writer.get_extra_info("peername")
        return (peer[0], peer[1]) if peer else None

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """Return None: on loopback there is no TLS."""
        return None

    async def close(self) -> None:
        """Tell the client that nothing more comes; what is still on its way arrives."""
        if not self.ended and not self._writer.transport.is_closing():
            self._writer.write_eof()
        self.ended = True

    async def linger(self) -> None:
        """Close once the client has, or after a moment.

        A socket that is closed while input lies unread (a subscriber's acknowledgements) is
        reset, and what the client has not read yet is gone.
        """
        await self.close()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(65536):
                    pass
        self.abort()

    def abort(self) -> None:
        """Close now; what was not sent is lost."""
        self._writer.transport.abort()


def _make_broker() -> Any:
    """Make amqtt's broker: no listener of its own, no plugin but the one that lets anyone in."""
    # Quiet before the import: amqtt logs each connection, and that it loads its plugins.
    logging.getLogger("amqtt").setLevel(logging.ERROR)
    logging.getLogger("amqtt.broker").addFilter(_is_no_probe)
    logging.getLogger("transitions").setLevel(logging.ERROR)
    from amqtt.broker import Broker  # type: ignore[import-untyped] # has no type hints to read
    from amqtt.contexts import (  # type: ignore[import-untyped] # likewise
        BrokerConfig,
        ListenerConfig,
        ListenerType,
    )

    class LoopbackBroker(Broker):  # type: ignore[misc] # the base has no types
        async def pass_on(self) -> None:
            """Wait until what clients sent has been written to those who subscribed to it."""
            # A message is in no queue while amqtt works on it, and each of its steps takes at
            # most one turn of the loop.
            quiet_turns = 0
            while quiet_turns < QUIET_TURNS:
                await asyncio.sleep(0)
                quiet_turns = 0 if self._has_messages() else quiet_turns + 1

        def _has_messages(self) -> bool:
            waiting = [session.delivered_message_queue for session, _ in self.sessions.values()]
            return any(not queue.empty() for queue in (self._broadcast_queue, *waiting))

        async def _client_message_loop(self, session: Any, handler: Any) -> None:
            # At a goodbye, amqtt 0.12 forgets what the client sent before, though it has been
            # acknowledged. So the goodbye waits. To go when amqtt hands on first.
            goodbye = handler.wait_disconnect

            async def wait_disconnect() -> Any:
                packet = await goodbye()
                while not session.delivered_message_queue.empty():  # noqa: ASYNC110 - likewise
                    await asyncio.sleep(0)
                return packet

            handler.wait_disconnect = wait_disconnect
            await super()._client_message_loop(session, handler)

        async def _publish_retained_messages_for_subscription(
            self, subscription: tuple[str, int], session: Any
        ) -> None:
            # amqtt 0.12 sends each new client the retained messages of everybody's filters, and
            # fails if one of them subscribes meanwhile. To go when it asks the session's own.
            mine = self.subscriptions.get(subscription[0], [])
            if any(subscriber is session for subscriber, _ in mine):
                await super()._publish_retained_messages_for_subscription(subscription, session)

    return LoopbackBroker(
        BrokerConfig(
            listeners={_LISTENER: ListenerConfig(type=ListenerType.EXTERNAL)},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
        )
    )


def _is_no_probe(record: logging.LogRecord) -> bool:
    # Who only looks whether the port is open says nothing; to amqtt that is an error.
    return not record.getMessage().startswith("No data from")
