"""A probe of the MQTT broker: reached, let in, and willing to pass commands on."""

from __future__ import annotations

import ssl
import time

import aiomqtt

from edgewatch.config.settings import Settings
from edgewatch.pipeline.broker import EmbeddedBroker
from edgewatch.pipeline.errors import BrokerUnavailable, DeliveryError
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt_link import client_for, connected, failure_of, subscribe
from edgewatch.pipeline.mqtt_setup import wanted_version
from edgewatch.pipeline.wiring import broker_address
from edgewatch.tools.findings import Finding, fail, ok, warn

_TRUST_CURE = (
    "Check port, tls and ca_file in [mqtt]: the broker's certificate must be signed by that "
    "authority, be in date, and name the host as it is written there."
)
_SILENCE_CURE = (
    "Check host, port and tls in [mqtt]: a broker that speaks TLS there is silent to who does not, "
    "and the other way round."
)


async def broker_finding(settings: Settings, *, daemon_runs: bool) -> Finding:
    """Connect as the daemon would, under a name of our own so as not to push it out.

    The embedded broker runs inside the daemon; without one it is started for a moment.
    """
    if not settings.mqtt.embedded or daemon_runs:
        return await _connect(settings)
    broker = EmbeddedBroker(port=settings.mqtt.effective_port)
    try:
        await broker.start()
    except BrokerUnavailable as error:
        return fail("broker", _subject(settings), *_split(str(error), ": "))
    try:
        return await _connect(settings)
    finally:
        await broker.stop()


async def _connect(settings: Settings) -> Finding:
    address, topics = broker_address(settings), Topics(settings.mqtt.base_topic)
    began_seconds = time.monotonic()
    try:
        client = client_for(
            address,
            client_id=f"edgewatch-{settings.service.id}-check",
            # With "auto" the older one: who takes MQTT 5 takes that too.
            version="5" if wanted_version(settings) == "5" else "3.1.1",
        )
        async with connected(client):
            took_ms = (time.monotonic() - began_seconds) * 1000
            hears = await subscribe(client, topics.commands)
    except (aiomqtt.MqttError, DeliveryError, OSError, UnicodeError) as error:
        # UnicodeError: a host name that cannot be looked up.
        detail, cure = _split(failure_of(error, address).detail, "; ")
        return fail("broker", _subject(settings), detail, _better_cure(error) or cure)
    if not hears:
        return warn(
            "broker",
            _subject(settings),
            f"connected, but it does not let us read {topics.commands}: commands will not arrive",
            "Give this user the right to, in the broker's access list.",
        )
    who = f", as {address.username!r}" if address.username else ""
    how = "with TLS" if address.tls else "without TLS"
    return ok("broker", _subject(settings), f"connected in {took_ms:.0f} ms {how}{who}")


def _better_cure(error: BaseException) -> str | None:
    """Tell apart what the client's own error, a text, does not: by what it was made of."""
    match error.__context__:
        case ssl.SSLError():
            return _TRUST_CURE
        case TimeoutError() | ConnectionResetError():
            return _SILENCE_CURE
    return None


def _subject(settings: Settings) -> str:
    kind = "embedded, " if settings.mqtt.embedded else ""
    return f"{kind}{broker_address(settings)}"


def _split(sentence: str, mark: str) -> tuple[str, str]:
    """Take a sentence with its cure apart."""
    detail, _, cure = sentence.rpartition(mark)
    if not detail:
        return sentence, "The broker's own log says why."
    return detail, f"{cure[:1].upper()}{cure[1:]}."
