"""The MQTT client: aiomqtt's, with what it leaves out, and MQTT 5's properties on each message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgewatch.pipeline.envelope import Envelope

MAX_TOPICS_KNOWN = 1000
"""Topics whose properties are remembered."""
MAX_INCOMING_BYTES = 65_536
"""Larger ones an MQTT 5 broker does not even send us: commands are short."""


class HungUp(aiomqtt.MqttError):
    """The broker ended the connection before it had answered."""

    def __init__(self) -> None:
        super().__init__("it hung up without an answer")
        self.__context__ = ConnectionResetError()


class BrokerClient(aiomqtt.Client):
    """A client for one connection; aiomqtt's, but for three things that it leaves out.

    It notices a broker that hangs up before it has answered, keeps to the number of messages that
    an MQTT 5 broker wants in flight at most, and lets go of its socket when connecting fails.
    To go when aiomqtt does these.
    """

    def __init__(self, *args: Any, envelope: Callable[[str], Envelope] | None, **keys: Any) -> None:
        super().__init__(*args, **keys)
        self.opened = False
        """The broker's host took the connection."""
        self.answered = False
        """The broker spoke."""
        self.accepted = False
        """It let us in."""
        self._envelope = envelope
        self._properties_by_topic: dict[str, Properties] = {}

    def properties_of(self, topic: str) -> Properties | None:
        """Return what MQTT 5 says around a payload on this topic; None with the older version."""
        if self._envelope is None:
            return None
        if topic not in self._properties_by_topic:
            if len(self._properties_by_topic) >= MAX_TOPICS_KNOWN:
                self._properties_by_topic.clear()
            self._properties_by_topic[topic] = _properties(self._envelope(topic))
        return self._properties_by_topic[topic]

    def abandon(self) -> None:
        """Close the socket without a word."""
        self._client._sock_close()

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        self.opened = True
        super()._on_socket_open(client, userdata, sock)

    def _on_connect(
        self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        self.answered = True
        most = getattr(properties, "ReceiveMaximum", None)
        if most is not None:
            client._max_inflight_messages = min(client.max_inflight_messages, most)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None
    ) -> None:
        if not self._connected.done():
            self._connected.set_exception(HungUp())
            return
        super()._on_disconnect(client, userdata, flags, reason_code, properties)


def connect_properties() -> Properties:
    """Return what a CONNECT of MQTT 5 asks of the broker."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
    properties.MaximumPacketSize = MAX_INCOMING_BYTES
    return properties


def _properties(envelope: Envelope) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho's
    properties.ContentType = envelope.content_type
    properties.PayloadFormatIndicator = int(envelope.text)
    if envelope.expiry_seconds is not None:
        properties.MessageExpiryInterval = envelope.expiry_seconds
    if envelope.user:
        properties.UserProperty = list(envelope.user)
    return properties
