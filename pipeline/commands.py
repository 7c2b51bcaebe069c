"""Commands: what an operator may change or say while the service runs, over MQTT and elsewhere."""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

import structlog

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.complaints import Complaints
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.feedback_command import FeedbackCommand, feedback_command
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.messages import command_value
from edgewatch.pipeline.types import CameraName, Event, Feedback, SettingChange
from edgewatch.pipeline.watch import Watch

FEEDBACK_WAITING = 100
"""Feedback that may wait for a slow disk; more is refused."""
EVENTS_LOOKED_AT = 50
"""Newest events among which the last one that was sent is looked for."""

By = Literal["mqtt", "page", "cli"]

log = structlog.get_logger(__name__)


class CommandBooks(Protocol):
    """Where it is kept; a StoreThread in the product. What waits may raise StoreError."""

    def log_change(self, change: SettingChange) -> None:
        """Keep a change of a setting, soon."""

    async def set_feedback(self, feedback: Feedback) -> None:
        """Keep what a person says of an event, in place of what was said before."""

    async def event(self, event_id: str) -> Event | None:
        """Return an event as it is now, or None."""

    async def events(
        self,
        camera: CameraName | None = None,
        since_seconds: float | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Return the newest events, newest last."""


class Commands:
    """Carries out `enabled`, `threshold`, `snooze_seconds` and `feedback`, and answers each.

    What is set holds until it is set again or changed in the file (see `kept_settings`). What is
    said of an event is kept. All methods belong to the event loop.
    """

    def __init__(self, clock: Clock, books: CommandBooks) -> None:
        self._clock = clock
        self._books = books
        self._flow: Flow | None = None
        self._chronicle: Chronicle | None = None
        self._said: asyncio.Queue[tuple[Watch, FeedbackCommand, By]] = asyncio.Queue(
            FEEDBACK_WAITING
        )
        self._complaints = Complaints(clock.monotonic_seconds)

    def serve(self, flow: Flow, chronicle: Chronicle) -> None:
        """Carry out commands on this flow from now on; until then they are ignored."""
        self._flow = flow
        self._chronicle = chronicle

    def take(self, camera: str, key: str, payload: bytes, by: By = "mqtt") -> str | None:
        """Carry out one command; a bad one changes nothing and is answered with its error.

        Returns that error, None if it was carried out, or is accepted and `run` will carry it out.
        """
        if self._flow is None:
            return "the service is still starting"
        watch = self._watch(camera)
        if watch is None:
            self._say("command ignored", camera, key, "no such camera")
            return "no such camera"
        try:
            if key == "feedback":
                self._said.put_nowait((watch, feedback_command(payload), by))
            else:
                self._set(watch, key, command_value(key, payload), by)
        except ValueError as error:
            return self.refuse(camera, key, str(error))
        except asyncio.QueueFull:
            return self.refuse(camera, key, "feedback: too much of it at once; say it again later")
        return None

    def refuse(self, camera: str, key: str, why: str) -> str:
        """Answer a command that was not taken with the reason, if there is such a camera."""
        watch = self._watch(camera)
        if self._chronicle and watch:
            self._chronicle.settings(watch, error=why)
            self._say("command refused", camera, key, why)
        return why

    async def feedback(self, feedback: Feedback) -> str | None:
        """Keep what a person says of an event; returns why it was not kept, None if it was."""
        try:
            event = await self._books.event(feedback.event_id)
            if event is None or event.drill or event.camera != feedback.camera:
                return f"feedback: camera {feedback.camera} has no event {feedback.event_id}"
            await self._books.set_feedback(feedback)
        except StoreError as error:
            log.error("feedback not kept", event_id=feedback.event_id, reason=str(error))
            return "feedback: it could not be stored; the log says why"
        log.info(
            "feedback kept",
            camera=feedback.camera,
            event_id=feedback.event_id,
            correct=feedback.correct,
            by=feedback.given_by,
        )
        return None

    async def run(self) -> None:
        """Carry out what was accepted and takes time, one after the other, until cancelled."""
        while True:
            watch, said, by = await self._said.get()
            error = await self._keep(watch, said, by)
            if error:
                self.refuse(watch.camera, "feedback", error)
            elif self._chronicle and not watch.removed:
                self._chronicle.settings(watch)

    def _watch(self, camera: str) -> Watch | None:
        """Return a live camera's watch, None if there is none."""
        watch = self._flow.watch(CameraName(camera)) if self._flow else None
        return watch if watch and watch.feed.live and not watch.removed else None

    def _say(self, phrase: str, camera: str, key: str, why: str) -> None:
        self._complaints.say(phrase, camera=camera[:64], key=key[:64], reason=why)

    def _set(self, watch: Watch, key: str, value: bool | float, by: By) -> None:
        assert self._flow is not None
        now_seconds = self._clock.wall_seconds()
        log.info("command carried out", camera=watch.camera, key=key, value=value, by=by)
        match key:
            case "enabled":
                watch.enabled = bool(value)
            case "threshold":
                watch.threshold = float(value)
            case "snooze_seconds":
                watch.snoozed_until_seconds = now_seconds + float(value)
        self._flow.refresh(watch)
        text = str(value).lower() if isinstance(value, bool) else f"{value:g}"
        try:
            self._books.log_change(SettingChange(watch.camera, key, text, now_seconds, by))
        except StoreError as error:
            log.error("change of setting not written", camera=watch.camera, reason=str(error))

    async def _keep(self, watch: Watch, said: FeedbackCommand, by: By) -> str | None:
        event_id = said.event_id
        if event_id is None:
            try:
                events = await self._books.events(watch.camera, None, EVENTS_LOOKED_AT)
            except StoreError as error:
                log.error("feedback not kept", camera=watch.camera, reason=str(error))
                return "feedback: the events could not be read; the log says why"
            sent = [event for event in events if not (event.suppressed_by or event.replay)]
            if not sent:
                return "feedback: no event was sent yet; name one by its event_id"
            event_id = sent[-1].event_id
        return await self.feedback(
            Feedback(
                event_id,
                watch.camera,
                said.correct,
                said.note,
                by,
                self._clock.wall_seconds(),
            )
        )
