"""The flow: every stage built, joined and owned; the same for the daemon, replay and tests."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import structlog

from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.dispatch import Dispatch, Given
from edgewatch.pipeline.engines import batches_in_flight
from edgewatch.pipeline.errors import AnswerUnreadable, EngineFailed
from edgewatch.pipeline.events import NewId
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.roster import Roster, lost_events
from edgewatch.pipeline.scheduler import Scheduler, Waiting
from edgewatch.pipeline.types import Answer, CameraName, Clip, EndedBy
from edgewatch.pipeline.verdicts import verdict_of
from edgewatch.pipeline.watch import Feed, FeedKind, Observer, OpenCamera, Watch
from edgewatch.pipeline.words import Words

log = structlog.get_logger(__name__)

TICK_SECONDS = 1.0


class Flow:
    """Judges the clips of its feeds until it is told to stop, then drains.

    With `idle_ends` it ends by itself when every feed is through (replay); otherwise it goes on
    until `stop`. All methods belong to the event loop.
    """

    def __init__(
        self,
        *,
        judge: Judge,
        chronicle: Chronicle,
        open_camera: OpenCamera,
        clock: Clock,
        words: bool = True,
        idle_ends: bool = False,
        new_id: NewId = uuid7,
        local_now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._judge = judge
        self._chronicle = chronicle
        self._clock = clock
        self._idle_ends = idle_ends
        self._scheduler = Scheduler()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._progress_seconds = clock.monotonic_seconds()
        self._words = Words(judge=judge, chronicle=chronicle, wanted=words)
        self._tasks: asyncio.TaskGroup | None = None
        self._dispatch = Dispatch()
        self._ask_again: asyncio.TimerHandle | None = None
        self._latest: dict[FeedKind, asyncio.Task[None]] = {}
        """By what they are: judges the last batch and takes its answers, once those of the batch
        before it are taken."""
        self._unsettled: Counter[CameraName] = Counter()
        """Clips that the engine was given and whose verdicts are not out."""
        self._roster = Roster(
            chronicle=chronicle,
            open_camera=open_camera,
            clock=clock,
            on_change=self._wake.set,
            on_drop=self._drop,
            on_pair=judge.foresee,
            local_now=local_now,
            new_id=new_id,
        )

    @property
    def watches(self) -> Sequence[Watch]:
        """Every camera and recording in the flow."""
        return tuple(self._roster)

    def watch(self, camera: CameraName) -> Watch | None:
        """Return a camera's watch, None if there is no such camera."""
        return self._roster.get(camera)

    def add(self, feed: Feed, observers: Iterable[Observer] = ()) -> Watch:
        """Begin to watch a feed. Raises ValueError if its name is taken."""
        watch = self._roster.add(feed, tuple(observers))
        self._judge.engine.instruct(feed.camera, feed.plan.prompt)
        return watch

    async def remove(self, camera: CameraName) -> None:
        """Stop watching a camera; returns when what it has handed over is judged."""
        watch = self._roster[camera]
        self._roster.remove(watch)
        await watch.finished.wait()

    def change(self, feed: Feed) -> None:
        """Give a watched camera new settings."""
        self._judge.engine.instruct(feed.camera, feed.plan.prompt)
        self._roster.change(feed)

    def refresh(self, watch: Watch) -> None:
        """Act on what was changed in a watch at run time (enabled, threshold, snooze)."""
        watch.policy.snooze(watch.snoozed_until_seconds)
        self._roster.refresh(watch)

    def dismiss(self, camera: CameraName) -> None:
        """Stop watching a camera, unjudged clips and all; does not wait for its end."""
        watch = self._roster[camera]
        self._roster.remove(watch)
        while watch.mailbox is not None and watch.mailbox.take() is not None:
            pass

    def stop(self) -> None:
        """End every stream; `run` returns when what was handed over has been judged."""
        self._stopping.set()
        self._roster.stop()

    def abandon(self) -> None:
        """Wait no longer for threads, restarts and words that outlast the stop."""
        self._judge.stop()
        self._words.end()
        self._roster.abandon()

    async def ended(self, limit_seconds: float) -> bool:
        """Wait for the end of `run`; False if it does not come in time."""
        try:
            async with asyncio.timeout(limit_seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called, or all feeds are through."""
        return self._stopping.is_set()

    @property
    def stuck_seconds(self) -> float:
        """How long clips have waited without any being judged; 0 while nothing waits."""
        if not self._waiting():
            return 0.0
        return self._clock.monotonic_seconds() - self._progress_seconds

    async def run(self) -> None:
        """Judge until stopped, or idle, and drained."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(self._words.run(), name="words")
            self._tasks.create_task(self._keep_ticking(), name="tick")
            await self._judge_clips()
            self._stopping.set()
            self._words.end()
        await self._chronicle.close()
        self._ended.set()

    async def _keep_ticking(self) -> None:
        while not self._stopping.is_set():
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                await self._tick()

    async def _tick(self) -> None:
        now_seconds = self._clock.wall_seconds()
        for watch in self._roster:
            if not watch.feed.live:
                continue
            self._roster.switch(watch)
            async with watch.recording:
                events = watch.policy.tick(now_seconds) + lost_events(watch, now_seconds)
                await self._chronicle.events(watch, events)
        self._chronicle.engine(ready=self._judge.state.state == "ready")
        await self._chronicle.settle()

    async def _judge_clips(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._next_batch():
                self._give(batch)
            if not self._dispatch.under_way and not self._waiting():
                self._progress_seconds = self._clock.monotonic_seconds()
            for watch in self._roster.ended():
                if not self._unsettled[watch.camera]:
                    await self._finish(watch)
            if self._roster.idle and (self._stopping.is_set() or self._idle_ends):
                return

    def _next_batch(self) -> list[tuple[Watch, Clip]]:
        waiting = self._waiting()
        live = any(one.live for one in waiting)
        self._words.screening(live or any(one.live for one in self._dispatch.under_way))
        batch = []
        for camera in self._scheduler.choose(waiting, self._most_clips(waiting, live=live)):
            watch = self._roster[camera]
            clip = None if watch.mailbox is None else watch.mailbox.take()
            if clip is not None:
                batch.append((watch, clip))
        return batch

    def _most_clips(self, waiting: Sequence[Waiting], *, live: bool) -> int:
        """Return how many clips may go to the engine now; 0: none yet."""
        engine = self._judge.engine
        strides = [one.feed.plan.clips.stride_seconds for one in self._roster if one.feed.live]
        turn = self._dispatch.turn(
            sum(one.clips for one in waiting if one.live or not live),
            # Asked each time: an engine may lose a GPU, or find that less fits into memory
            max_batch=max(1, engine.max_batch),
            # An engine that is being mended has none to spare
            places=batches_in_flight(engine) if self._judge.state.state == "ready" else 1,
            # What is not live holds up no live video that comes meanwhile, and words about a
            # recording would give way to its next clips: a replay would say now this, now that
            behind=live or not (strides or self._words.wanted),
            deadline_seconds=min(strides, default=math.inf),
            now_seconds=self._clock.monotonic_seconds(),
        )
        if self._ask_again is not None:
            self._ask_again.cancel()
            self._ask_again = None
        if turn.again_seconds is not None:
            loop = asyncio.get_running_loop()
            self._ask_again = loop.call_later(turn.again_seconds, self._wake.set)
        return turn.clips

    def _waiting(self) -> list[Waiting]:
        latest = self._latest.get("recording")
        wordy = self._words.wanted and latest is not None and not latest.done()
        return [
            Waiting(watch.camera, clips, watch.feed.live, drill=watch.feed.kind == "drill")
            for watch in self._roster
            # A recording's clip may have to wait for words, and the next ones for it
            if (clips := watch.waiting_clips) and not (wordy and watch.feed.kind == "recording")
        ]

    def _give(self, batch: Sequence[tuple[Watch, Clip]]) -> None:
        """Have a batch judged, and its answers taken after those of the one before it."""
        now_seconds = self._clock.monotonic_seconds()
        if not self._dispatch.under_way:
            self._progress_seconds = now_seconds
        feed = batch[0][0].feed
        given = self._dispatch.give(len(batch), live=feed.live, now_seconds=now_seconds)
        self._unsettled.update(watch.camera for watch, _ in batch)
        assert self._tasks is not None
        self._latest[feed.kind] = self._tasks.create_task(
            self._judge_batch(batch, given, self._latest.get(feed.kind)), name="judge"
        )

    async def _judge_batch(
        self,
        batch: Sequence[tuple[Watch, Clip]],
        given: Given,
        before: asyncio.Task[None] | None,
    ) -> None:
        answers = await self._judge.judge([clip for _, clip in batch])
        now_seconds = self._progress_seconds = self._clock.monotonic_seconds()
        smooth = answers is not None and not self._judge.was_away(given.given_seconds)
        self._dispatch.judged(given, now_seconds, learn=smooth)
        if before is not None:
            await before  # verdicts in order; most often it was done long ago
        self._dispatch.leave(given)
        self._wake.set()
        await self._settle(batch, answers)
        self._unsettled.subtract(watch.camera for watch, _ in batch)
        self._progress_seconds = self._clock.monotonic_seconds()
        self._wake.set()

    async def _settle(
        self, batch: Sequence[tuple[Watch, Clip]], answers: Sequence[Answer] | None
    ) -> None:
        """Take what the engine answered, in order."""
        for number, (watch, clip) in enumerate(batch):
            watch.next_index = max(watch.next_index, clip.frames[-1].index + 1)
            if answers is None:
                self._give_up(watch, clip, "the engine failed over it twice")
            else:
                await self._accept(watch, clip, answers[number])

    async def _accept(self, watch: Watch, clip: Clip, answer: Answer) -> None:
        try:
            verdict = verdict_of(
                clip,
                answer,
                threshold=watch.threshold,
                engine=self._judge.engine.name,
                now_seconds=self._clock.monotonic_seconds(),
            )
        except AnswerUnreadable as error:
            self._give_up(watch, clip, str(error))
            return
        self._chronicle.verdict(watch, clip, verdict)
        async with watch.recording:
            events = watch.policy.judge(verdict)
            await self._chronicle.events(watch, events)
        if watch.feed.kind != "drill":  # an alert waits for no words: neither does a drill
            await self._words.consider(watch, clip, verdict)

    def _give_up(self, watch: Watch, clip: Clip, why: str) -> None:
        """Leave a clip unjudged because of the engine; a recording is then incomplete."""
        log.error("clip not judged", camera=watch.camera, clip_id=clip.clip_id, reason=why)
        self._chronicle.dropped(watch, clip, "engine_down")
        if watch.feed.kind == "recording":
            watch.error = EngineFailed(f"clip {clip.clip_id} was not judged: {why}")

    def _drop(self, watch: Watch, clip: Clip) -> None:
        """Count a clip that gave way to a newer one."""
        down = self._judge.was_away(clip.captured_seconds)
        self._chronicle.dropped(watch, clip, "engine_down" if down else "overload")

    async def _finish(self, watch: Watch) -> None:
        """Close the books of a thread that has ended and whose clips are all judged."""
        removed = watch.removed and watch.feed.kind != "drill"  # that is how a drill ends
        off = removed or watch.off_reason(datetime.now()) is not None
        ended_by: EndedBy = "disabled" if off else "stream_ended"
        async with watch.recording:
            events = watch.policy.lose(self._clock.wall_seconds(), ended_by)
            await self._chronicle.events(watch, events)
        self._roster.finish(watch)
        if watch.finished.is_set():
            self._scheduler.forget(watch.camera)
            del self._unsettled[watch.camera]
            self._words.forget(watch.camera)
            await self._judge.engine.forget(watch.camera)
