"""The link to an MQTT broker: its address, a client for it, when to try again, why it failed."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from edgewatch.pipeline.envelope import Envelope
from edgewatch.pipeline.errors import DeliveryError
from edgewatch.pipeline.mqtt_client import BrokerClient, connect_properties
from edgewatch.pipeline.mqtt_version import Trouble, Version

KEEPALIVE_SECONDS = 20
ACK_TIMEOUT_SECONDS = 10.0
"""Longest wait for the broker's answer to anything; then the connection counts as dead."""
BYE_TIMEOUT_SECONDS = 2.0
PROBE_SECONDS = 3.0
"""Longest wait for a broker of which it is not known whether it can read MQTT 5 at all."""
MAX_IN_FLIGHT = 20
"""Messages of the outbox sent and not yet acknowledged."""

# CONNACK codes as paho hands them over, whatever the protocol's version: wrong name or password,
# not authorised. No other refusal is mended by correcting the settings.
_CREDENTIALS_REFUSED = frozenset({4, 5, 134, 135})
# Likewise: protocol version not supported; what some say instead: malformed, protocol error.
_VERSION_REFUSED = frozenset({1, 132, 129, 130})

# paho and aiomqtt say in the log what they also raise; the one who catches it reports it, once.
_CLIENT_LOGGER = logging.getLogger("edgewatch.mqtt_client")
_CLIENT_LOGGER.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Certificates in PEM; without `ca_file` the system's authorities are trusted."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context that checks the broker's name. Raises DeliveryError naming the files."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            given = (self.ca_file, self.cert_file, self.key_file)
            names = ", ".join(str(file) for file in given if file is not None)
            raise DeliveryError(
                f"cannot load {names}: {error.strerror or error}; check ca_file, cert_file and "
                "key_file in [mqtt]"
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where the broker is and who we are to it; its text never shows the password."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each new attempt: doubling, with jitter, never above the most."""

    first_seconds: float = 1.0
    most_seconds: float = 30.0

    def seconds(self, failures: int, draw: float, *, refused: bool = False) -> float:
        """Return the wait after so many failures in a row.

        `draw`: a random number in [0, 1), so that a hundred boxes do not come back at the same
        moment. Refused credentials do not mend by themselves: those wait longest from the start.
        """
        # The exponent is bounded: two to the power of a month of failures is no float.
        doubled = self.first_seconds * 2.0 ** min(max(failures, 1) - 1, 30)
        ceiling_seconds = self.most_seconds if refused else min(self.most_seconds, doubled)
        return ceiling_seconds * (0.5 + 0.5 * draw)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no connection, in one sentence with the cure."""

    detail: str
    refused: bool = False
    """Trying again soon will not help: somebody has to change settings."""


def failure_of(error: BaseException, address: BrokerAddress) -> Failure:
    """Say what an error of connecting, sending or listening means for the person who reads it."""
    if isinstance(error, DeliveryError):
        return Failure(str(error), refused=True)
    if isinstance(error, MqttConnectError):
        code = _code(error)
        if code in _VERSION_REFUSED:
            return Failure(
                f"the broker at {address} does not speak this version of MQTT ({error}); set "
                'protocol = "auto" in [mqtt]',
                refused=True,
            )
        if code in _CREDENTIALS_REFUSED:
            who = repr(address.username) if address.username else "a client without a user name"
            return Failure(
                f"the broker at {address} refused {who}; check username and password_file in "
                "[mqtt]",
                refused=True,
            )
        return Failure(f"the broker at {address} refused the connection: {error}")
    return Failure(
        f"no connection to the broker at {address} ({error}); check that it runs and that host "
        "and port in [mqtt] are right"
    )


def trouble_of(error: BaseException, client: BrokerClient) -> Trouble:
    """Say whether the version may be why there was no connection."""
    if isinstance(error, MqttConnectError):
        return "version" if _code(error) in _VERSION_REFUSED else "other"
    return "silent" if client.opened and not client.answered else "other"


def client_for(
    address: BrokerAddress,
    *,
    client_id: str,
    will: aiomqtt.Will | None = None,
    version: Version = "3.1.1",
    envelope: Callable[[str], Envelope] | None = None,
) -> BrokerClient:
    """Make a client for one connection. Raises DeliveryError if TLS files cannot be loaded.

    `envelope` says what goes around the payloads of a topic, with MQTT 5.

    A client is never used for a second connection: paho would send again, out of order, what the
    first one had in flight. The outbox does that.
    """
    newer = version == "5"
    client = BrokerClient(
        address.host,
        address.port,
        envelope=envelope if newer else None,
        protocol=aiomqtt.ProtocolVersion.V5 if newer else aiomqtt.ProtocolVersion.V311,
        properties=connect_properties() if newer else None,
        username=address.username,
        password=address.password,
        identifier=client_id,
        will=will,
        clean_session=None if newer else True,
        keepalive=KEEPALIVE_SECONDS,
        # Unlimited here and limited by `_within`: aiomqtt limits with asyncio.wait_for, which
        # until Python 3.12 swallows a cancellation that meets the answer.
        timeout=math.inf,
        tls_context=None if address.tls is None else address.tls.context(),
        # Room for retained messages beside a full outbox window: paho queues nothing itself.
        max_inflight_messages=4 * MAX_IN_FLIGHT,
        logger=_CLIENT_LOGGER,
        # Each publish is a small write: with Nagle's algorithm all but the first of a window
        # would wait for the broker's (delayed) TCP acknowledgement.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    # aiomqtt would warn of each window of the outbox.
    client.pending_calls_threshold = 4 * MAX_IN_FLIGHT
    return client


@asynccontextmanager
async def connected(
    client: BrokerClient, *, limit_seconds: float = ACK_TIMEOUT_SECONDS
) -> AsyncIterator[None]:
    """Connect, and say goodbye at the end however it came. Raises aiomqtt.MqttError.

    Not `async with client`: a goodbye that fails would raise in the place of a cancellation, and
    the cancelled task would go on.
    """
    try:
        async with _within(limit_seconds):
            await client.__aenter__()
    except BaseException:
        client.abandon()
        raise
    client.accepted = True
    try:
        yield
    finally:
        with suppress(aiomqtt.MqttError):
            async with _within(BYE_TIMEOUT_SECONDS):
                await client.__aexit__(None, None, None)


async def publish(
    client: BrokerClient,
    topic: str,
    payload: bytes,
    *,
    qos: int,
    retain: bool = False,
    timeout_seconds: float = ACK_TIMEOUT_SECONDS,
) -> None:
    """Send; with QoS 1 until it is acknowledged. Raises aiomqtt.MqttError.

    The message is on its way, behind all earlier ones, before this first waits.
    """
    async with _within(timeout_seconds):
        await client.publish(
            topic,
            payload,
            qos=qos,
            retain=retain,
            # What only makes the broker forget a topic needs no envelope.
            properties=client.properties_of(topic) if payload else None,
        )


async def subscribe(client: aiomqtt.Client, topics: str) -> bool:
    """Ask for messages, QoS 1; False if the broker does not allow it. Raises aiomqtt.MqttError."""
    async with _within(ACK_TIMEOUT_SECONDS):
        answers = await client.subscribe(topics, qos=1)
    return all((code if isinstance(code, int) else code.value) < 128 for code in answers)


@asynccontextmanager
async def _within(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise aiomqtt.MqttError(f"no answer within {seconds:g} seconds") from None


def _code(error: MqttConnectError) -> int | None:
    return error.rc.value if isinstance(error.rc, ReasonCode) else error.rc
