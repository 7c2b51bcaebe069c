"""The announcer: what is said on MQTT of a watch, and on which topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from edgewatch.pipeline import messages
from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.types import CameraName, CameraState, Coverage, Event, Health, Verdict


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

    def __init__(self, speaker: Speaker | None, topics: Topics, clock: Clock) -> None:
        self._speaker = speaker
        self._topics = topics
        self._clock = clock
        self._states: dict[CameraName, CameraState] = {}

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
        """Say how much of a camera's last 24 hours, up to a Unix time, was judged."""
        payload = messages.coverage_payload(totals_ms, end_seconds=end_seconds)
        self._keep(self._topics.coverage(camera), payload)

    def settings(
        self,
        camera: CameraName,
        *,
        enabled: bool,
        threshold: float,
        snoozed_until_seconds: float | None,
        error: str | None = None,
    ) -> None:
        """Answer a command: what holds now, and why nothing changed if it did not."""
        payload = messages.settings_payload(
            enabled=enabled,
            threshold=threshold,
            snoozed_until_seconds=snoozed_until_seconds,
            now_seconds=self._clock.wall_seconds(),
            error=error,
        )
        self._keep(self._topics.settings(camera), payload)

    def stats(self, figures: Mapping[str, Any]) -> None:
        """Publish the figures of the service."""
        payload = messages.stats_payload(figures, now_seconds=self._clock.wall_seconds())
        self._keep(self._topics.stats, payload, qos=0)

    def event_messages(self, event: Event) -> tuple[OutboxMessage, ...]:
        """Return what the outbox must send of an event; nothing if it is only recorded."""
        if self._speaker is None or event.suppressed_by:
            return ()
        payload = messages.encode(messages.event_payload(event))
        return (OutboxMessage(event.camera, self._topics.events(event.camera), payload),)

    def removed(self, camera: CameraName) -> None:
        """Take away what was retained of a camera that is gone."""
        self._states.pop(camera, None)
        if self._speaker and not self._topics.replay:
            for topic in (
                self._topics.state(camera),
                self._topics.health(camera),
                self._topics.coverage(camera),
                self._topics.settings(camera),
            ):
                self._speaker.forget(topic)

    def _keep(self, topic: str, payload: Mapping[str, Any], *, qos: int = 1) -> None:
        if self._speaker is None:
            return
        if self._topics.replay:
            self._speaker.send(topic, messages.encode(payload))
        else:
            self._speaker.retain(topic, messages.encode(payload), qos=qos)
