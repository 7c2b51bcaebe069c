"""The witness: a subscriber of its own, who tells whether a drill's event reaches anybody."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiomqtt
import structlog

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import DeliveryError
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.mqtt_link import (
    BrokerAddress,
    client_for,
    connected,
    failure_of,
    subscribe,
)
from edgewatch.pipeline.mqtt_version import Version
from edgewatch.pipeline.types import DrillMark

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Heard:
    """What a witness has heard so far, and how it fares; read and written on the event loop."""

    subscribed_seconds: float | None = None
    """Monotonic time from which on it hears all; likewise the next: when the event came."""
    received_seconds: float | None = None
    event_id: str = ""
    trouble: str = ""
    """Why it cannot listen, with the cure; empty while it can."""
    strange: int = 0
    """Messages on the drill's topic that are not of this drill."""
    leaked: int = 0
    """Messages of this drill where real alerts go."""


class Witness:
    """Listens on a connection of its own, for as long as `run` runs.

    It takes the drill's first event, which must be a `new` one of the camera with the drill's id,
    nonce and kind; and it listens where real alerts go, for none of the drill must come there.
    """

    def __init__(
        self,
        address: BrokerAddress,
        topics: Topics,
        *,
        client_id: str,
        version: Version,
        clock: Clock,
        camera: str,
        mark: DrillMark,
        on_change: Callable[[], None],
    ) -> None:
        """`topics`: the live ones; `on_change` is called whenever `heard` has changed."""
        self.heard = Heard()
        self._address = address
        self._drilled = Topics(topics.base, drill=True).events(camera)
        self._live = topics.events("+")
        self._client_id = client_id
        self._version = version
        self._clock = clock
        self._camera = camera
        self._mark = mark
        self._on_change = on_change

    async def run(self) -> None:
        """Listen until cancelled, or until the connection breaks, which is told in `heard`."""
        try:
            client = client_for(self._address, client_id=self._client_id, version=self._version)
            async with connected(client):
                if not await subscribe(client, self._drilled):
                    self._fail(f"the broker does not let us read {self._drilled}")
                    return
                if not await subscribe(client, self._live):
                    log.info("witness hears no live topics", topic=self._live)
                self.heard.subscribed_seconds = self._clock.monotonic_seconds()
                self._on_change()
                async for message in client.messages:
                    payload = message.payload if isinstance(message.payload, bytes) else b""
                    self._take(message.topic.value, payload)
        except (aiomqtt.MqttError, DeliveryError, OSError, UnicodeError) as error:
            self._fail(failure_of(error, self._address).detail)

    def _take(self, topic: str, payload: bytes) -> None:
        now_seconds = self._clock.monotonic_seconds()
        told = _object(payload)
        if topic != self._drilled:
            self.heard.leaked += told.get("drill_id") == self._mark.drill_id
        elif not self._is_ours(told):
            self.heard.strange += 1
        elif self.heard.received_seconds is None and told.get("type") == "new":
            self.heard.received_seconds = now_seconds
            self.heard.event_id = str(told.get("event_id"))
        self._on_change()

    def _is_ours(self, told: dict[str, Any]) -> bool:
        mark = self._mark
        wanted = {
            "drill": True,
            "drill_id": mark.drill_id,
            "nonce": mark.nonce,
            "kind": mark.kind,
            "camera": self._camera,
        }
        return all(told.get(key) == value for key, value in wanted.items())

    def _fail(self, trouble: str) -> None:
        self.heard.trouble = trouble
        self._on_change()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        told = json.loads(payload)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
