"""The announcer: what is said on MQTT of a watch, and on which topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from edgewatch.pipeline import messages
from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.drill.names import camera_of
from edgewatch.pipeline.errors import DrillLeak
from edgewatch.pipeline.homeassistant import HomeAssistant
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.notify.notices import Notices
from edgewatch.pipeline.types import CameraName, CameraState, Coverage, Event, Health, Verdict

MAX_THUMBNAIL_BYTES = 256_000
"""Of a picture on MQTT: subscribers' clients and brokers have limits of their own."""

log = structlog.get_logger(__name__)


class Speaker(Protocol):
    """Who carries messages that need no outbox to the broker; never waits."""

    def retain(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        """Publish retained, now and on each connect; the newest of a topic counts."""

    def forget(self, topic: str) -> None:
        """Take a retained message away."""

    def send(self, topic: str, payload: bytes) -> None:
        """Publish once if the broker is there."""


class Announcer:
    """Puts what happened into messages; with no speaker it says nothing.

    Replayed footage goes to topics of its own and is never retained.
    """

    def __init__(
        self,
        speaker: Speaker | None,
        topics: Topics,
        clock: Clock,
        *,
        home: HomeAssistant | None = None,
        thumbnails: bool = False,
        notices: Notices | None = None,
    ) -> None:
        self._speaker = speaker
        self._topics = topics
        self._clock = clock
        self._home = home
        self._thumbnails = thumbnails
        self._notices = notices or Notices()
        self._states: dict[CameraName, CameraState] = {}
        self._introduced: set[CameraName] = set()

    def introduce(self, camera: CameraName) -> None:
        """Say that there is a camera, to Home Assistant if it is to know."""
        self._introduced.add(camera)
        if self._home and not self._topics.replay:
            payload = self._home.payload(self._topics, camera)
            self._keep(self._home.topic(self._topics, camera), payload)

    def verdict(self, verdict: Verdict) -> None:
        """Say what a clip was found to be."""
        if self._speaker:
            payload = messages.verdict_payload(verdict)
            self._speaker.send(self._topics.verdict(verdict.camera), messages.encode(payload))

    def state(self, state: CameraState) -> None:
        """Say what a camera's state is, if that is news."""
        if self._states.get(state.camera) == state:
            return
        self._states[state.camera] = state
        payload = messages.state_payload(state, replay=self._topics.replay)
        self._keep(self._topics.state(state.camera), payload)

    def health(self, health: Health) -> None:
        """Say whether a camera is watched."""
        payload = messages.health_payload(health, replay=self._topics.replay)
        self._keep(self._topics.health(health.camera), payload)

    def coverage(
        self, camera: CameraName, totals_ms: Mapping[Coverage, int], end_seconds: float
    ) -> None:
        """Say how much of a camera's last 24 hours, up to a Unix time, was judged.

        Not of one that is gone meanwhile: nobody would take it away again.
        """
        if camera not in self._introduced:
            return
        payload = messages.coverage_payload(totals_ms, end_seconds=end_seconds)
        self._keep(self._topics.coverage(camera), payload)

    def settings(
        self,
        camera: CameraName,
        *,
        enabled: bool,
        threshold: float,
        snoozed_until_seconds: float | None,
        overridden: Sequence[str] = (),
        error: str | None = None,
    ) -> None:
        """Answer a command: what holds now, and why nothing changed if it did not."""
        payload = messages.settings_payload(
            enabled=enabled,
            threshold=threshold,
            snoozed_until_seconds=snoozed_until_seconds,
            overridden=overridden,
            now_seconds=self._clock.wall_seconds(),
            error=error,
        )
        self._keep(self._topics.settings(camera), payload)

    def thumbnail(self, camera: CameraName, jpeg: bytes) -> None:
        """Publish the picture of a camera's newest event, if pictures are to leave the box."""
        if self._speaker is None or not self._thumbnails or camera not in self._introduced:
            return
        if len(jpeg) > MAX_THUMBNAIL_BYTES:
            log.warning(
                "thumbnail not published", camera=camera, size_bytes=len(jpeg), reason="too large"
            )
            return
        topic = self._topics.thumbnail(camera)
        if self._topics.replay:
            self._speaker.send(topic, jpeg)
        else:
            self._speaker.retain(topic, jpeg)

    def stats(self, figures: Mapping[str, Any]) -> None:
        """Publish the figures of the service."""
        payload = messages.stats_payload(figures, now_seconds=self._clock.wall_seconds())
        self._keep(self._topics.stats, payload, qos=0)

    def event_messages(self, event: Event) -> tuple[OutboxMessage, ...]:
        """Return what the outbox must send of an event; nothing if it is only recorded.

        Raises DrillLeak for a drill's event on other topics than the drill's, and for any other
        event there.
        """
        if (event.drill is not None) != self._topics.drill:
            raise DrillLeak(f"event {event.event_id} of {event.camera} is not for these topics")
        if self._speaker is None or event.suppressed_by:
            return ()
        payload = messages.encode(messages.event_payload(event))
        topic = self._topics.events(camera_of(event.camera))
        notices = () if event.drill else self._notices.messages(event)
        return (OutboxMessage(event.camera, topic, payload), *notices)

    def removed(self, camera: CameraName) -> None:
        """Take away what was retained of a camera that is gone."""
        self._states.pop(camera, None)
        self._introduced.discard(camera)
        if self._speaker and not self._topics.replay:
            for topic in self.retained_of(camera):
                self._speaker.forget(topic)

    def retained_of(self, camera: str) -> tuple[str, ...]:
        """Return the topics on which the broker keeps something of a camera that is watched."""
        kept = [*self._topics.retained_of(camera)]
        if not self._thumbnails:
            kept.remove(self._topics.thumbnail(camera))
        if self._home:
            # First, so that the device goes before it shows what is missing
            kept.insert(0, self._home.topic(self._topics, camera))
        return tuple(kept)

    def _keep(self, topic: str, payload: Mapping[str, Any], *, qos: int = 1) -> None:
        if self._speaker is None:
            return
        if self._topics.replay:
            self._speaker.send(topic, messages.encode(payload))
        else:
            self._speaker.retain(topic, messages.encode(payload), qos=qos)
