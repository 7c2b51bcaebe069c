"""A watch: one camera in a flow, with its thread, mailbox, policy and what is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, Protocol

from edgewatch.config.schedule import Schedule
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import CameraError, EdgewatchError
from edgewatch.pipeline.events import EventPolicy, EventRules, NewId
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import Source, parse_source
from edgewatch.pipeline.types import (
    CameraName,
    Clip,
    Coverage,
    DrillMark,
    Event,
    Frame,
    FramePair,
    Health,
    SourceInfo,
    Verdict,
)

LIVE_CLIPS = 2
"""Clips a live camera may have waiting, so that a short stall of the engine costs none."""
REPLAY_CLIPS = 4
DRILL_CLIPS = 16
"""Copies of live clips that wait while the engine is busy with real ones."""


FeedKind = Literal["live", "drill", "recording"]


@dataclass(frozen=True, slots=True)
class Shadow:
    """What makes a feed a fire drill's: the clips of a live camera, with an incident in them."""

    mark: DrillMark
    open: OpenCamera
    """Makes what hands its clips over, instead of the flow's own reader."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What a flow is told to watch, and how."""

    plan: CameraPlan
    source: Source
    live: bool = True
    """Live: newest wins, reconnects, on the ledger. Otherwise a recording: lossless, once."""
    speed: float | None = None
    """Footage seconds a second for files; None plays as fast as it can be judged."""
    shadow: Shadow | None = None
    """Set for a fire drill, which is neither live nor a recording: see `pipeline/drill`."""

    @property
    def kind(self) -> FeedKind:
        """What it is to those who judge and write down."""
        if self.shadow is not None:
            return "drill"
        return "live" if self.live else "recording"

    @property
    def camera(self) -> CameraName:
        """Name under which it is watched."""
        return CameraName(self.plan.name)


def live_feed(plan: CameraPlan) -> Feed:
    """Make the feed of a configured camera; a file plays in real time. Raises ValueError."""
    source = parse_source(plan.url, password=plan.password)
    recorded = source.kind == "file"
    return Feed(plan, source, live=True, speed=1.0 if recorded else None)


class Observer:
    """Someone told of everything that happens to a feed, on the event loop; must be quick.

    Does nothing by itself: what is not overridden is not of interest.
    """

    def on_health(self, health: Health) -> None:
        """Take note that a camera's health changed."""

    def on_info(self, camera: CameraName, info: SourceInfo) -> None:
        """Take note that a source was opened."""

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Take note that a clip was judged."""

    def on_step(self, event: Event) -> None:
        """Take note that an event takes a step, before it is saved."""

    def on_event(self, event: Event) -> None:
        """Take note that an event took a step, sent or suppressed."""

    def on_dropped(self, clip: Clip, reason: Coverage) -> None:
        """Take note that a clip is not judged."""

    def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
        """Take note that a feed is through, cut short if there is an error."""


class CameraThread(Protocol):
    """The reader of one source, in its own thread."""

    @property
    def latest_frame(self) -> Frame | None:
        """The newest sampled picture; from any thread."""

    def start(self) -> None:
        """Begin to read."""

    def stop(self) -> None:
        """Ask it to end; returns at once."""

    def join(self, timeout_seconds: float) -> bool:
        """Wait for its end; False if it has not ended in time."""


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a camera thread says what happens; called on that thread."""

    on_health: Callable[[Health], None]
    on_info: Callable[[SourceInfo], None]
    on_end: Callable[[CameraError | None], None]
    on_unjudged: Callable[[float, float, Coverage], None]
    """Footage, or time without any, that comes into no clip: from, to (Unix times), why."""
    on_pair: Callable[[FramePair], None] | None = None
    """Two frames of a clip that is not complete yet; None: nobody wants them."""


OpenCamera = Callable[[Feed, int, Mailbox[Clip], Reports], CameraThread]
"""Makes the thread of a feed: feed, first frame index, outlet, reports."""


def rules_of(plan: CameraPlan) -> EventRules:
    """Take the event rules from a camera's settings.

    Twice the time that closes an event, or a few strides, without a verdict is silence.
    """
    return EventRules(
        open_after=plan.events.open_after,
        open_within=plan.events.open_within,
        close_after_seconds=plan.events.close_after_seconds,
        close_below=plan.events.close_below,
        cooldown_seconds=plan.events.cooldown_seconds,
        stale_seconds=max(
            2 * plan.events.close_after_seconds,
            plan.clips.seconds + 4 * plan.clips.stride_seconds,
        ),
    )


class Watch:
    """State of one camera in a flow; lives on the event loop."""

    def __init__(
        self,
        feed: Feed,
        *,
        observers: Sequence[Observer],
        now_seconds: float,
        new_id: NewId = uuid7,
    ) -> None:
        self.feed = feed
        self.camera = feed.camera
        self.observers = tuple(observers)
        self.policy = EventPolicy(
            self.camera,
            rules_of(feed.plan),
            now_seconds=now_seconds,
            new_id=new_id,
            replay=feed.kind == "recording",
            drill=feed.shadow.mark if feed.shadow else None,
        )
        self.threshold = feed.plan.threshold
        self.enabled = feed.plan.enabled
        self.snoozed_until_seconds: float | None = None
        self.schedule = Schedule.parse(feed.plan.schedule)
        self.health = Health(self.camera, "connecting", now_seconds, "starting")
        self.away_since_seconds: float | None = now_seconds
        """Unix time since which no picture comes; None while it is online."""
        self.info: SourceInfo | None = None
        self.mailbox: Mailbox[Clip] | None = None
        self.tap: Callable[[Clip], None] | None = None
        """Told of each of its clips, on its thread, once it waits to be judged (see `listen`)."""
        self.thread: CameraThread | None = None
        self.next_index = 0
        self.error: EdgewatchError | None = None
        self.stopped = False
        """Its thread was asked to end."""
        self.through = False
        """Its thread has said its last word; what it said before has been heard."""
        self.over = False
        """A live recording came to its end: it is not opened again."""
        self.removed = False
        self.finished = asyncio.Event()
        """Set when a recording or a removed camera is through: nothing of it will come."""
        self.recording = asyncio.Lock()
        """Held while events are made and saved, so that their order is that of the policy."""

    @property
    def running(self) -> bool:
        """Whether its thread is at work, or clips of it still wait."""
        return self.mailbox is not None

    @property
    def overridden(self) -> tuple[str, ...]:
        """Name what an operator set to something else than the file says."""
        plan = self.feed.plan
        pairs = {
            "enabled": (self.enabled, plan.enabled),
            "threshold": (self.threshold, plan.threshold),
        }
        return tuple(key for key, (value, file) in pairs.items() if value != file)

    @property
    def waiting_clips(self) -> int:
        """Clips in the mailbox."""
        return 0 if self.mailbox is None else len(self.mailbox)

    def listen(self, tap: Callable[[Clip], None] | None) -> None:
        """Have its clips told to `tap` from now on, over its restarts too; None: no longer."""
        self.tap = tap
        if self.mailbox is not None:
            self.mailbox.tap = tap

    def stop(self) -> None:
        """Ask its thread to end; the mailbox closes when it has."""
        if self.thread:
            self.stopped = True
            self.thread.stop()

    def off_reason(self, now: datetime) -> Coverage | None:
        """Say why it should not be watched at this local time; None if it should."""
        if not self.feed.live:
            return None
        if not self.enabled:
            return "disabled"
        if not self.schedule.covers(now):
            return "scheduled_off"
        return None

    def change_plan(self, feed: Feed) -> bool:
        """Take new settings; True if the source must be opened anew for them."""
        old, self.feed = self.feed, feed
        self.policy.change_rules(rules_of(feed.plan))
        self.schedule = Schedule.parse(feed.plan.schedule)
        if feed.plan.threshold != old.plan.threshold:
            self.threshold = feed.plan.threshold
        if feed.plan.enabled != old.plan.enabled:
            self.enabled = feed.plan.enabled
        return _reading(old) != _reading(feed)

    def set_health(self, health: Health) -> bool:
        """Keep a new health; False if it says nothing new.

        Whatever is not online makes the state unknown at once.
        """
        if health == replace(self.health, since_seconds=health.since_seconds):
            return False
        self.health = health
        if health.state == "online":
            self.away_since_seconds = None
            return True
        if self.away_since_seconds is None:
            self.away_since_seconds = health.since_seconds
        self.policy.pause(health.since_seconds)
        return True


def _reading(feed: Feed) -> tuple[object, ...]:
    """Return what decides how a source is read."""
    plan = feed.plan
    return (feed.source, feed.speed, plan.clips, plan.loop, Reading.of(plan))
