"""The roster: which cameras and recordings are watched, and the threads that read them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import CameraUnreachable, EdgewatchError
from edgewatch.pipeline.events import NewId
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import (
    CameraName,
    Clip,
    Coverage,
    Event,
    FramePair,
    Health,
    SourceInfo,
)
from edgewatch.pipeline.watch import (
    DRILL_CLIPS,
    LIVE_CLIPS,
    REPLAY_CLIPS,
    Feed,
    Observer,
    OpenCamera,
    Reports,
    Watch,
)


class Roster:
    """Starts and stops the thread of each feed. Belongs to the event loop.

    `on_change` is called whenever a mailbox may have something new; `on_drop` with each clip
    that a live mailbox let go; `on_pair` with two frames of a live camera's clip that is not
    complete yet, the newest ones where several wait.
    """

    def __init__(
        self,
        *,
        chronicle: Chronicle,
        open_camera: OpenCamera,
        clock: Clock,
        on_change: Callable[[], None],
        on_drop: Callable[[Watch, Clip], None],
        on_pair: Callable[[FramePair], None],
        local_now: Callable[[], datetime],
        new_id: NewId = uuid7,
    ) -> None:
        self._chronicle = chronicle
        self._open_camera = open_camera
        self._clock = clock
        self._on_change = on_change
        self._on_drop = on_drop
        self._on_pair = on_pair
        self._local_now = local_now
        self._new_id = new_id
        self._watches: dict[CameraName, Watch] = {}
        self._stopping = False

    def __iter__(self) -> Iterator[Watch]:
        return iter(tuple(self._watches.values()))

    def __getitem__(self, camera: CameraName) -> Watch:
        return self._watches[camera]

    def get(self, camera: CameraName) -> Watch | None:
        """Return a camera's watch, None if there is no such camera."""
        return self._watches.get(camera)

    @property
    def idle(self) -> bool:
        """Whether no thread is at work and no clip waits."""
        return not any(watch.running for watch in self)

    def add(self, feed: Feed, observers: Sequence[Observer]) -> Watch:
        """Begin to watch a feed. Raises ValueError if its name is taken."""
        if feed.camera in self._watches:
            raise ValueError(f"a camera named {feed.camera!r} is already watched")
        now_seconds = self._clock.wall_seconds()
        watch = Watch(feed, observers=observers, now_seconds=now_seconds, new_id=self._new_id)
        self._watches[feed.camera] = watch
        self._chronicle.begin(watch)
        self.switch(watch)
        return watch

    def change(self, feed: Feed) -> None:
        """Give a camera new settings; its source is opened anew only if it must be."""
        watch = self._watches[feed.camera]
        if watch.change_plan(feed):
            watch.stop()  # it starts again, with the new settings, when it is through
        self.refresh(watch)

    def refresh(self, watch: Watch) -> None:
        """Act on changed settings of a watch."""
        watch.over = False
        self._chronicle.settings(watch)
        self.switch(watch)

    def remove(self, watch: Watch) -> None:
        """Stop watching for good; `finish` follows when its clips are judged."""
        watch.removed = True
        watch.stop()
        self._on_change()

    def stop(self) -> None:
        """End every stream."""
        self._stopping = True
        for watch in self:
            watch.stop()
        self._on_change()

    def abandon(self) -> None:
        """Give up on threads that did not end in time; what they still hold is lost."""
        for watch in self:
            if watch.mailbox is not None:
                watch.through = True
                watch.mailbox.close()

    def switch(self, watch: Watch) -> None:
        """Start or stop a camera's thread as its settings and its schedule want it."""
        off = watch.off_reason(self._local_now())
        if off or watch.removed or self._stopping:
            watch.stop()
            if off and not watch.running:
                self._turn_off(watch, off)
        elif not watch.running and not watch.over:
            self._start(watch)

    def ended(self) -> list[Watch]:
        """Return the watches whose thread has ended and whose clips are all judged."""
        # Not by the mailbox alone: it is closed before the thread's last words are heard here.
        through = [
            watch
            for watch in self
            if watch.through and watch.mailbox is not None and watch.mailbox.finished
        ]
        return through + [watch for watch in self if watch.removed and not watch.running]

    def finish(self, watch: Watch) -> None:
        """Put an ended watch to rest: gone, off, over, or started again."""
        watch.mailbox = None
        watch.thread = None
        if watch.removed or not watch.feed.live:
            watch.error = watch.error or _cut_short(watch)
            del self._watches[watch.camera]
            self._chronicle.end(watch)
            watch.finished.set()
            return
        watch.over = watch.health.reason == "ended"
        self.switch(watch)

    def _turn_off(self, watch: Watch, off: Coverage) -> None:
        self._health(watch, Health(watch.camera, "off", self._clock.wall_seconds(), off))

    def _start(self, watch: Watch) -> None:
        loop = asyncio.get_running_loop()
        capacity = {"live": LIVE_CLIPS, "drill": DRILL_CLIPS, "recording": REPLAY_CLIPS}
        mailbox: Mailbox[Clip] = Mailbox(
            capacity=capacity[watch.feed.kind],
            when_full="wait" if watch.feed.kind == "recording" else "drop_oldest",
            on_change=lambda: _call_in(loop, self._on_change),
            on_drop=lambda clip: _call_in(loop, partial(self._on_drop, watch, clip)),
        )
        reports = Reports(
            on_health=lambda health: _call_in(loop, partial(self._health, watch, health)),
            on_info=lambda info: _call_in(loop, partial(self._info, watch, info)),
            on_end=lambda error: _call_in(loop, partial(self._end, watch, error)),
            on_unjudged=lambda start, end, why: _call_in(
                loop, partial(self._chronicle.unjudged, watch, start, end, why)
            ),
            on_pair=self._pairs(loop) if watch.feed.live else None,
        )
        mailbox.tap = watch.tap
        watch.mailbox = mailbox
        watch.stopped = watch.through = False
        opener = watch.feed.shadow.open if watch.feed.shadow else self._open_camera
        watch.thread = opener(watch.feed, watch.next_index, mailbox, reports)
        watch.thread.start()

    def _pairs(self, loop: asyncio.AbstractEventLoop) -> Callable[[FramePair], None]:
        """Return where a camera's thread puts pairs: one place, as an older one is late anyway."""
        place: Mailbox[FramePair] = Mailbox(
            capacity=1,
            when_full="drop_oldest",
            on_change=lambda: _call_in(loop, take),
            on_drop=lambda _: _call_in(loop, self._chronicle.stats.pair_dropped),
        )

        def take() -> None:
            if (pair := place.take()) is not None:
                self._on_pair(pair)

        def put(pair: FramePair) -> None:
            place.offer(pair)

        return put

    def _health(self, watch: Watch, health: Health) -> None:
        if watch.set_health(health):
            self._chronicle.health(watch, health)

    def _info(self, watch: Watch, info: SourceInfo) -> None:
        known, watch.info = watch.info, info
        self._chronicle.info(watch, info, is_news=info != known)

    @staticmethod
    def _end(watch: Watch, error: EdgewatchError | None) -> None:
        watch.error = watch.error or error
        watch.through = True


def _call_in(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Run a call on the loop; a thread that outlived the loop has nobody left to tell."""
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


def _cut_short(watch: Watch) -> EdgewatchError | None:
    """Say that a recording was stopped before its end: what was judged is not all of it."""
    recorded = watch.feed.kind == "recording"
    if not recorded or not watch.stopped or watch.health.reason == "ended":
        return None
    return CameraUnreachable(
        "interrupted", f"{watch.feed.source.display} was not read to its end: it was interrupted."
    )


def lost_events(watch: Watch, now_seconds: float) -> list[Event]:
    """End the event of a camera that stayed away as long as quiet would have taken to end it."""
    away_since = watch.away_since_seconds
    if away_since is None or watch.policy.open_event is None:
        return []
    if now_seconds - away_since <= watch.policy.rules.close_after_seconds:
        return []
    return watch.policy.lose(now_seconds, "camera_lost")
