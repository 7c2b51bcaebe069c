"""The chronicle: writes down what happens to a watch (store, ledger, figures, log, broker)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import structlog

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.coverage import SETTLE_EVERY_MS
from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.errors import DrillLeak, StoreError
from edgewatch.pipeline.events import interrupted
from edgewatch.pipeline.kept_settings import KeptSettings
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import (
    CameraName,
    Clip,
    Coverage,
    Event,
    Health,
    Interval,
    SourceInfo,
    Verdict,
)
from edgewatch.pipeline.watch import FeedKind, Watch

log = structlog.get_logger(__name__)

SETTLE_SECONDS = SETTLE_EVERY_MS / 1000
"""How often the ledger is written."""
CLOCK_SET_SECONDS = 2.0
"""A wall clock that departs this much from the monotonic one was set, or the machine slept."""

_EVENT_PHRASES = {"new": "event opened", "update": "event updated", "end": "event ended"}


class Books(Protocol):
    """Where records are kept; a StoreThread in the product."""

    async def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        """Keep an event and what is to be sent of it, all or nothing."""

    def save_verdict(self, verdict: Verdict) -> None:
        """Keep a verdict, soon."""

    async def save_coverage(self, intervals: Sequence[Interval]) -> None:
        """Keep intervals of the ledger."""

    async def open_events(self) -> list[Event]:
        """Return the events without an end, oldest first."""

    async def verdicts(
        self, camera: CameraName, since_seconds: float, until_seconds: float
    ) -> list[Verdict]:
        """Return the verdicts whose footage overlaps [since, until)."""


class EvidenceFiles(Protocol):
    """Who knows where evidence lies; the keeper of evidence in the product."""

    def files_of(self, event: Event) -> tuple[str | None, str | None]:
        """Return an event's video and thumbnail, below the folder of evidence; at once."""


class Chronicle:
    """Tells everyone concerned; decides nothing. Recordings are not on the ledger.

    Of a fire drill only its events are kept and sent, as a drill's: no verdict, no figure, no
    second of it stands among those of the camera.
    """

    def __init__(
        self,
        *,
        books: Books,
        ledger: Ledger,
        stats: Stats,
        live: Announcer,
        replay: Announcer,
        clock: Clock,
        drill: Announcer | None = None,
        guard: LeakGuard | None = None,
    ) -> None:
        """`drill`: who speaks on the drill's topics; `guard`: stops what would leave them."""
        self.stats = stats
        self.kept: KeptSettings | None = None
        """Remembers what operators set; None where nothing outlives the run."""
        self.evidence: EvidenceFiles | None = None
        """Who knows where an event's video and thumbnail lie; None: there are none."""
        self._books = books
        self._ledger = ledger
        drill = drill or Announcer(None, Topics(drill=True), clock)
        self._announcers: dict[FeedKind, Announcer] = {
            "live": live,
            "recording": replay,
            "drill": drill,
        }
        self._guard = guard
        self._clock = clock
        self._settled_seconds = clock.monotonic_seconds()
        self._read_seconds = (clock.wall_seconds(), clock.monotonic_seconds())
        """Both clocks at their last reading."""

    def announcer(self, watch: Watch) -> Announcer:
        """Return who speaks for a watch on MQTT."""
        return self._announcers[watch.feed.kind]

    def begin(self, watch: Watch) -> None:
        """Open the books of a watch, as an operator left it."""
        if watch.feed.live:
            if self.kept:
                self.kept.restore(watch)
            self._ledger.watch(watch.camera, self._now_ms(), _coverage_of(watch.health))
            self.announcer(watch).introduce(watch.camera)
            self.announcer(watch).state(watch.policy.state)
            self.announcer(watch).health(watch.health)
            self.settings(watch)

    def end(self, watch: Watch) -> None:
        """Close the books of a watch that is gone."""
        if watch.feed.live:
            if self.kept and watch.removed:
                self.kept.forget(watch.camera)
            self._ledger.unwatch(watch.camera, self._now_ms())
            self.stats.forget(watch.camera)
        if watch.feed.kind != "drill":
            self.announcer(watch).removed(watch.camera)
        for observer in watch.observers:
            observer.on_end(watch.camera, watch.error)

    def settings(self, watch: Watch, error: str | None = None) -> None:
        """Publish what an operator can change at run time, and why a command changed nothing."""
        if watch.feed.live:
            if self.kept:
                self.kept.keep(watch)
            self.announcer(watch).settings(
                watch.camera,
                enabled=watch.enabled,
                threshold=watch.threshold,
                snoozed_until_seconds=watch.snoozed_until_seconds,
                overridden=watch.overridden,
                error=error,
            )

    def info(self, watch: Watch, info: SourceInfo, *, is_news: bool) -> None:
        """Write down what a source is; in the log only if it is not what it was before."""
        if is_news:
            log.info(
                "camera opened",
                camera=watch.camera,
                codec=info.codec,
                width=info.width,
                height=info.height,
                fps=info.fps,
                decoding=info.decoding,
            )
        for observer in watch.observers:
            observer.on_info(watch.camera, info)

    def health(self, watch: Watch, health: Health) -> None:
        """Write down a change of health."""
        if watch.feed.live:
            log.info(
                "camera health",
                camera=watch.camera,
                state=health.state,
                reason=health.reason,
                detail=health.detail,
            )
            self._ledger.watch(watch.camera, self._now_ms(), _coverage_of(health))
        if watch.feed.kind != "drill":
            self.announcer(watch).state(watch.policy.state)
            self.announcer(watch).health(health)
        for observer in watch.observers:
            observer.on_health(health)

    def verdict(self, watch: Watch, clip: Clip, verdict: Verdict) -> None:
        """Write down a verdict."""
        if watch.feed.kind == "drill":
            self._rehearsed(watch, clip, verdict)
            return
        self.stats.judged(
            verdict.latency_ms,
            self._clock.monotonic_seconds(),
            uncertain=verdict.uncertain,
            camera=verdict.camera if watch.feed.live else None,
            score=verdict.score,
        )
        self.announcer(watch).verdict(verdict)
        self._books.save_verdict(verdict)
        if watch.feed.live:
            self._ledger.judged(watch.camera, _ms(verdict.start_seconds), _ms(verdict.end_seconds))
        log.info(
            "clip judged",
            camera=verdict.camera,
            label=verdict.label,
            score=round(verdict.score, 3),
            threshold=verdict.threshold,
            latency_ms=round(verdict.latency_ms),
            warming_up=verdict.warming_up,
        )
        for observer in watch.observers:
            observer.on_verdict(clip, verdict)

    def _rehearsed(self, watch: Watch, clip: Clip, verdict: Verdict) -> None:
        self.stats.drill_clips += 1
        log.info(
            "drill clip judged",
            camera=watch.camera,
            score=round(verdict.score, 3),
            threshold=verdict.threshold,
            latency_ms=round(verdict.latency_ms),
        )
        for observer in watch.observers:
            observer.on_verdict(clip, verdict)

    def dropped(self, watch: Watch, clip: Clip, reason: Coverage) -> None:
        """Write down that a clip is not judged."""
        for observer in watch.observers:
            observer.on_dropped(clip, reason)
        if watch.feed.kind == "drill":
            log.warning("drill clip dropped", camera=watch.camera, reason=reason)
            return
        self.stats.dropped(reason)
        log.warning("clip dropped", camera=watch.camera, clip_id=clip.clip_id, reason=reason)
        if watch.feed.live:
            start_ms, end_ms = _ms(clip.start_seconds), _ms(clip.end_seconds)
            self._ledger.dropped(watch.camera, start_ms, end_ms, reason)

    def unjudged(
        self, watch: Watch, start_seconds: float, end_seconds: float, reason: Coverage
    ) -> None:
        """Write down footage, or time without any, that came into no clip (Unix times).

        A verdict over the same time still wins.
        """
        if watch.feed.live:
            self._ledger.dropped(watch.camera, _ms(start_seconds), _ms(end_seconds), reason)

    def engine(self, *, ready: bool) -> None:
        """Write down whether the engine can judge; cheap to call again with the same."""
        self._ledger.engine(self._now_ms(), ready=ready)

    async def events(self, watch: Watch, events: Sequence[Event]) -> None:
        """Save events with what is to be sent of them. The caller holds `watch.recording`."""
        for event in map(self._with_files, events):
            for observer in watch.observers:
                observer.on_step(event)
            saved = await self._save_event(event, self._messages(watch.feed.kind, event))
            if watch.feed.kind != "drill":
                self.stats.event(event)
            elif not saved:
                continue
            self._log_event(event)
            for observer in watch.observers:
                observer.on_event(event)
        if watch.feed.kind != "drill":
            self.announcer(watch).state(watch.policy.state)

    async def end_interrupted(self) -> None:
        """Give every event that was open when the last process died its end."""
        for event in await self._books.open_events():
            verdicts = await self._books.verdicts(event.camera, event.start_seconds, float("inf"))
            last = max((one.end_seconds for one in verdicts if one.anomalous), default=None)
            end = self._with_files(interrupted(event, last))
            kind: FeedKind = "recording" if event.replay else "drill" if event.drill else "live"
            await self._save_event(end, self._messages(kind, end))
            self._log_event(end)

    async def settle(self) -> None:
        """Save the ledger as far as it can no longer change; seldom, to spare the disk."""
        now_ms = self._now_ms()
        now_seconds = self._clock.monotonic_seconds()
        if now_seconds - self._settled_seconds >= SETTLE_SECONDS:
            self._settled_seconds = now_seconds
            await self._save(self._ledger.advance(now_ms))

    async def close(self) -> None:
        """Save the ledger to its end."""
        await self._save(self._ledger.close(self._now_ms()))

    def _messages(self, kind: FeedKind, event: Event) -> list[OutboxMessage]:
        """Return what is to be sent of an event; nothing that would leave the drill's topics."""
        try:
            messages = self._announcers[kind].event_messages(event)
        except DrillLeak as error:
            if self._guard:
                self._guard.leaked(event_id=event.event_id, reason=str(error))
            return []
        guard = self._guard
        return [
            one
            for one in messages
            if guard is None or guard.lets_pass(one.topic, one.payload, one.channel)
        ]

    def _with_files(self, event: Event) -> Event:
        if self.evidence is None or event.drill is not None:
            return event
        video, thumbnail = self.evidence.files_of(event)
        return replace(event, video=video, thumbnail=thumbnail)

    async def _save_event(self, event: Event, messages: Sequence[OutboxMessage]) -> bool:
        """Keep an event; False if neither disk nor memory took it."""
        try:
            await self._books.save_event(event, messages)
        except StoreError as error:
            # The books hold back thousands of events for a full disk; beyond that, watching goes
            # on, and the loss is in the log and on the stats topic.
            self.stats.dropped("event_unstored")
            log.error(
                "event not stored", camera=event.camera, event_id=event.event_id, reason=str(error)
            )
            return False
        return True

    async def _save(self, intervals: Sequence[Interval]) -> None:
        if not intervals:
            return
        try:
            await self._books.save_coverage(intervals)
        except StoreError as error:
            log.error("coverage not stored", intervals=len(intervals), reason=str(error))

    def _now_ms(self) -> int:
        """Return Unix time; the ledger hears first if the clock was set since the last reading."""
        last_wall_seconds, last_seconds = self._read_seconds
        self._read_seconds = self._clock.wall_seconds(), self._clock.monotonic_seconds()
        wall_seconds, seconds = self._read_seconds
        expected_seconds = last_wall_seconds + seconds - last_seconds
        if abs(wall_seconds - expected_seconds) > CLOCK_SET_SECONDS:
            log.warning("clock set", step_seconds=round(wall_seconds - expected_seconds, 3))
            self._ledger.clock_set(_ms(expected_seconds), _ms(wall_seconds))
        return _ms(wall_seconds)

    @staticmethod
    def _log_event(event: Event) -> None:
        if event.drill is not None:
            log.info(
                "drill event",
                camera=event.camera,
                event_id=event.event_id,
                type=event.type,
                drill_id=event.drill.drill_id,
            )
            return
        say = log.warning if event.type == "new" else log.info
        say(
            _EVENT_PHRASES[event.type],
            camera=event.camera,
            event_id=event.event_id,
            peak_score=round(event.peak_score, 3),
            clips=event.clips,
            description=event.description,
            suppressed_by=event.suppressed_by,
            ended_by=event.ended_by,
        )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _coverage_of(health: Health) -> Coverage:
    """Say what a second of this health counts as as long as no verdict covers it."""
    match health.state:
        case "online":
            return "too_short"
        case "connecting":
            return "connecting"
        case "off":
            return "scheduled_off" if health.reason == "scheduled_off" else "disabled"
        case "frozen" | "dark" | "covered":
            return "frozen"
        case "offline":
            return "offline"
