"""A broker whose manners a test decides: it speaks just enough MQTT 3.1.1 on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

Manners = Literal["acknowledge", "ignore", "hang_up"]

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14


@dataclass(frozen=True, slots=True)
class Received:
    """A message as the broker got it; `connection` counts from 1."""

    connection: int
    topic: str
    payload: bytes
    qos: int
    retain: bool


class FakeBroker:
    """Takes connections on a free loopback port and keeps what it receives."""

    def __init__(self) -> None:
        self.port = 0
        self.connack_code = 0
        self.suback_code = 1
        self.most_version = 4
        """Protocol level above which a CONNECT is turned away; 4 is MQTT 3.1.1."""
        self.tells_version = True
        """Whether it says so, or only hangs up."""
        self.manners: Callable[[Received], Manners] = lambda _: "acknowledge"
        self.received: list[Received] = []
        self.subscribed: list[str] = []
        self.connects: list[bytes] = []
        """Body of each CONNECT, as it came."""
        self.goodbyes = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeBroker]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()
            await self.until(lambda: not self._writers)

    def hang_up(self) -> None:
        """Cut all clients off."""
        for writer in self._writers:
            writer.transport.abort()

    def tell(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Send a message to all clients, QoS 0, subscribed or not."""
        name = topic.encode()
        body = len(name).to_bytes(2, "big") + name + payload
        for writer in self._writers:
            writer.write(_packet(PUBLISH, body, flags=int(retain)))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that changes with what the broker sees."""
        async with asyncio.timeout(10.0), self._changed:
            await self._changed.wait_for(holds)

    @property
    def versions(self) -> list[int]:
        """Protocol level of each CONNECT."""
        return [body[6] for body in self.connects]

    def payloads(self, topic: str) -> list[bytes]:
        return [message.payload for message in self.received if message.topic == topic]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                kind, flags, body = await _read_packet(reader)
                self._answer(kind, flags, body, writer)
                async with self._changed:
                    self._changed.notify_all()
        writer.close()
        async with self._changed:
            self._writers.remove(writer)
            self._changed.notify_all()

    def _answer(self, kind: int, flags: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        if kind == CONNECT:
            self.connects.append(body)
            if body[6] > self.most_version:
                if self.tells_version:
                    writer.write(_packet(CONNACK, b"\x00\x01"))
                writer.close()
                return
            writer.write(_packet(CONNACK, bytes([0, self.connack_code])))
        elif kind == PUBLISH:
            self._take(flags, body, writer)
        elif kind == SUBSCRIBE:
            length = int.from_bytes(body[2:4], "big")
            self.subscribed.append(body[4 : 4 + length].decode())
            writer.write(_packet(SUBACK, body[:2] + bytes([self.suback_code])))
        elif kind == PINGREQ:
            writer.write(_packet(PINGRESP, b""))
        elif kind == DISCONNECT:
            self.goodbyes += 1

    def _take(self, flags: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        qos = (flags >> 1) & 3
        length = int.from_bytes(body[:2], "big")
        after = 2 + length + (2 if qos else 0)
        message = Received(
            connection=len(self.connects),
            topic=body[2 : 2 + length].decode(),
            payload=body[after:],
            qos=qos,
            retain=bool(flags & 1),
        )
        self.received.append(message)
        match self.manners(message):
            case "acknowledge" if qos:
                writer.write(_packet(PUBACK, body[2 + length : after]))
            case "hang_up":
                # What was answered before still reaches the client: no reset.
                writer.close()


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    first = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return first >> 4, first & 0xF, await reader.readexactly(length)


def _packet(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    length, size = len(body), bytearray()
    while length >= 128:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return bytes([(kind << 4) | flags]) + bytes(size) + body
