"""A real Mosquitto on a free loopback port, and a subscriber that collects what it is sent."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
import pytest

# Debian keeps daemons in sbin, which is not on everybody's path.
_BINARY = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
START_TIMEOUT_SECONDS = 10.0
STOP_TIMEOUT_SECONDS = 5.0


def need(program: str) -> str:
    """Return a program's path, or skip the test saying what to install."""
    path = _BINARY if program == "mosquitto" else shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is missing: apt install mosquitto mosquitto-clients openssl")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Mosquitto:
    """One broker; stopped and started again it has the same port and the sessions it had.

    `settings` are lines for its configuration: `allow_anonymous false`, certificates, ...
    """

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = ("allow_anonymous true",)):
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        lines = (
            f"listener {self.port} 127.0.0.1",
            *settings,
            "persistence true",
            f"persistence_location {folder}/",
            # The collecting subscriber may be slower than an outbox being drained.
            "max_queued_messages 0",
            # As root it would become another user, who may not read the folder.
            "user root",
            "log_dest stderr",
            # It says at this level that it runs; nobody reads what comes later, so little may.
            "log_type information",
            "log_type error",
            "connection_messages false",
        )
        self._config.write_text("\n".join(lines) + "\n", "utf-8")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            need("mosquitto"), "-c", str(self._config), stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        said = b""
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            async for line in self._process.stderr:
                said += line
                if line.rstrip().endswith(b"running"):
                    return
        raise AssertionError(f"Mosquitto did not start: {said.decode()}")

    async def stop(self) -> None:
        """Stop and keep sessions and retained messages for the next start. Idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT_SECONDS):
            await self._process.communicate()
        self._process = None

    def freeze(self) -> None:
        """Let the broker hang: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen broker go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Lose what a stopped broker kept, as one without a disk does."""
        (self._config.parent / "mosquitto.db").unlink()


@asynccontextmanager
async def mosquitto(
    folder: Path, *, settings: tuple[str, ...] = ("allow_anonymous true",)
) -> AsyncIterator[Mosquitto]:
    """Run a Mosquitto for as long as the block lasts; skip the test where there is none."""
    need("mosquitto")
    broker = Mosquitto(folder, settings=settings)
    try:
        await broker.start()
        yield broker
    finally:
        await broker.stop()


def password_file(folder: Path, user: str, password: str) -> Path:
    """Make a password file for Mosquitto's `password_file`."""
    file = folder / "passwords"
    command = [need("mosquitto_passwd"), "-c", "-b", str(file), user, password]
    subprocess.run(command, check=True, capture_output=True)
    return file


@dataclass
class Subscriber:
    """What came in on the topics subscribed to, in order."""

    messages: list[tuple[str, bytes]] = field(default_factory=list)
    retained: list[tuple[str, bytes]] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the broker ended the connection."""
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, holds: Callable[[], bool], *, timeout_seconds: float = 20.0) -> None:
        """Wait until something holds of what came in."""
        async with asyncio.timeout(timeout_seconds), self._changed:
            await self._changed.wait_for(holds)

    async def until_message(self, topic: str, payload: bytes) -> None:
        await self.until(lambda: (topic, payload) in self.messages)

    def payloads(self, topic: str) -> list[bytes]:
        return [payload for name, payload in self.messages if name == topic]

    async def collect(self, client: aiomqtt.Client) -> None:
        """Take in what comes until the connection is lost."""
        with suppress(aiomqtt.MqttError):
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                came = (message.topic.value, message.payload)
                async with self._changed:
                    self.messages.append(came)
                    if message.retain:
                        self.retained.append(came)
                    self._changed.notify_all()
        self.lost.set()


@asynccontextmanager
async def subscriber(
    port: int,
    topics: str = "edgewatch/#",
    *,
    session: str | None = None,
    into: Subscriber | None = None,
) -> AsyncIterator[Subscriber]:
    """Subscribe with QoS 1 for as long as the block lasts.

    With a `session` name the broker keeps what comes while nobody is there; `into` goes on with
    what an earlier one collected.
    """
    collected = into or Subscriber()
    client = aiomqtt.Client("127.0.0.1", port, identifier=session, clean_session=session is None)
    async with client, asyncio.TaskGroup() as group:
        await client.subscribe(topics, qos=1)
        task = group.create_task(collected.collect(client))
        yield collected
        task.cancel()
