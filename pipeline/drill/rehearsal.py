"""The rehearsal: one fire drill from its first clip to what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from edgewatch.pipeline.drill.composer import Composed, Composer
from edgewatch.pipeline.drill.facts import Facts
from edgewatch.pipeline.drill.limits import Limits, clips_wanted
from edgewatch.pipeline.drill.names import shadow_of
from edgewatch.pipeline.drill.observing import LiveClips, ShadowSteps
from edgewatch.pipeline.drill.progress import Progress, Score, Verdict
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.drill.surroundings import Copier, Listener, Surroundings
from edgewatch.pipeline.errors import EngineError
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.scenes.incidents.incident import CameraKind
from edgewatch.pipeline.types import Clip, DrillMark
from edgewatch.pipeline.watch import CameraThread, Feed, Reports, Shadow, Watch

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
"""How often the facts are looked at while nothing happens."""
SPARE_SECONDS = 5.0
"""Beyond its limit, for a drill whose own steps hang; then it ends all the same."""

GONE_SECONDS = 2.0
"""What the copies get to be gone before the result is told."""

OnStage = Callable[[str, float], None]
"""Told of each stage, and the seconds from the start at which it was reached."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which drill is wanted."""

    mark: DrillMark
    seed: int
    scene: CameraKind
    limits: Limits
    by: str


class Rehearsal:
    """Rehearses the alarm of one camera, once. All methods belong to the event loop.

    The camera's own clips are judged first, as ever. Copies of them, with the incident from the
    second one on, are judged under another name with what the engine knows of the camera; what
    comes of those goes the way that an alert goes, to the drill's topics. Nothing is left behind.
    """

    def __init__(self, order: Order, around: Surroundings, watch: Watch, on_stage: OnStage) -> None:
        self._order = order
        self._around = around
        self._watch = watch
        self._on_stage = on_stage
        self._name = shadow_of(watch.camera)
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._progress = Progress(
            order.limits,
            watch.policy.rules,
            threshold=watch.threshold,
            started_seconds=around.clock.monotonic_seconds(),
        )
        self._started_seconds = around.clock.monotonic_seconds()
        self._began_seconds = around.clock.wall_seconds()
        self._leaks_before = around.leaks()
        self._live = LiveClips(self._changed.set)
        self._copier: Copier | None = None
        """There once the copies have begun."""
        self._wanted = clips_wanted(order.limits, watch.feed.plan.clips.stride_seconds)
        self._shown: dict[str, bool] = {}
        """By copy: whether it shows the incident."""
        self._shown_seconds: float | None = None
        self._composing_trouble = ""
        self._witness: Listener = around.witness(watch.camera, order.mark, self._changed.set)

    async def run(self) -> DrillResult:
        """Drill, and return what came of it; takes no longer than its limit, and a little."""
        log.info("drill began", camera=self._watch.camera, drill_id=self._order.mark.drill_id)
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(self._witness.run(), name="drill witness")
            try:
                verdict = await self._until_decided()
            finally:
                listening.cancel()
                shadow = self._dismantle()
        result = self._result(verdict)
        if shadow is not None:
            with suppress(TimeoutError):  # a stuck engine lets go of its clips when it will
                async with asyncio.timeout(GONE_SECONDS):
                    await shadow.finished.wait()
        return result

    def acknowledged(self, payload: bytes) -> None:
        """Note that the broker has a message of a drill."""
        if self._order.mark.drill_id.encode() in payload:
            self._reach("outbox")

    # -- one look after the other ------------------------------------------------------------

    async def _until_decided(self) -> Verdict:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._order.limits.total + SPARE_SECONDS):
                while True:
                    self._changed.clear()
                    await self._go_on()
                    now_seconds = self._around.clock.monotonic_seconds()
                    if (verdict := self._progress.decide(self._facts(), now_seconds)) is not None:
                        return verdict
                    left_seconds = self._progress.due_seconds() - now_seconds
                    await self._change(min(LOOK_SECONDS, max(0.0, left_seconds)))
        return self._progress.broken(self._facts())

    async def _change(self, limit_seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_seconds):
                await self._changed.wait()

    async def _go_on(self) -> None:
        heard = self._witness.heard
        if heard.subscribed_seconds is not None and self._reach("subscribed"):
            self._watch.observers = (*self._watch.observers, self._live)
            self._watch.listen(self._on_clip)
        ended = self._around.flow.stopping or self._watch.removed
        if self._copier is None and not ended and (first := self._live.take_judged()) is not None:
            await self._begin(first)
        if heard.received_seconds is not None:
            self._reach("witness", heard.received_seconds)

    def _on_clip(self, clip: Clip) -> None:
        """Take a live clip, on the camera's thread."""
        self._soon(lambda: self._came(clip))

    def _came(self, clip: Clip) -> None:
        self._reach("camera")
        if self._copier is None:
            self._live.add(clip)
        else:
            self._copy(clip)

    def _copy(self, clip: Clip) -> None:
        if self._copier is not None and self._wanted > 0:
            self._wanted -= 1
            self._copier.take(clip)

    async def _begin(self, first: Clip) -> None:
        """Have the copies judged, from one of a clip on that has just been judged itself."""
        engine = self._around.judge.engine
        try:
            async with asyncio.timeout(self._order.limits.engine):
                memory = await engine.memory_of(self._watch.camera, first.clip_id)
                if memory is not None:
                    await engine.recall(self._name, memory)
        except (EngineError, TimeoutError, ValueError) as error:
            log.warning("drill without the engine's memory", reason=str(error) or "timed out")
        observer = ShadowSteps(self._judged, self._reach)
        shadow = self._around.flow.add(self._feed(), [observer])
        shadow.threshold = self._progress.threshold
        for clip in self._live.since(first):
            self._copy(clip)

    def _feed(self) -> Feed:
        real = self._watch.feed
        plan = replace(
            real.plan, name=self._name, password=None, enabled=True, loop=False, schedule=()
        )
        return Feed(plan, real.source, live=False, shadow=Shadow(self._order.mark, self._open))

    def _open(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> CameraThread:
        make = self._around.incident(self._order.mark.kind, self._order.seed)
        self._copier = self._around.open_copier(
            Composer(
                self._name,
                make,
                self._order.scene,
                stride_seconds=self._watch.feed.plan.clips.stride_seconds,
            ),
            outlet,
            reports,
            on_composed=self._on_composed,
            on_trouble=lambda trouble: self._soon(lambda: self._no_copies(trouble)),
        )
        return self._copier

    def _on_composed(self, composed: Composed) -> None:
        """Note a copy, on its thread, before it can be judged."""
        self._shown[composed.clip.clip_id] = composed.shown
        self._soon(lambda: self._composed(composed.shown))

    def _composed(self, shown: bool) -> None:
        self._reach("composed")
        if shown and self._shown_seconds is None:
            self._shown_seconds = self._around.clock.monotonic_seconds()

    def _no_copies(self, trouble: str) -> None:
        self._composing_trouble = trouble
        self._changed.set()

    def _judged(self, clip_id: str, score: float, anomalous: bool) -> None:
        self._progress.judged(Score(score, anomalous, shown=self._shown.get(clip_id, False)))
        self._reach("engine")

    def _reach(self, stage: str, at_seconds: float | None = None) -> bool:
        now_seconds = self._around.clock.monotonic_seconds() if at_seconds is None else at_seconds
        if not self._progress.reach(stage, now_seconds):
            return False
        self._on_stage(stage, now_seconds - self._started_seconds)
        self._changed.set()
        return True

    def _soon(self, call: Callable[[], object]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call)

    # -- what is so --------------------------------------------------------------------------

    def _facts(self) -> Facts:
        around, heard = self._around, self._witness.heard
        engine, delivery = around.judge.state, around.delivery()
        return Facts(
            health=self._watch.health,
            engine_state=engine.state,
            engine_detail=engine.detail,
            stuck_seconds=around.flow.stuck_seconds,
            live_waiting=sum(one.waiting_clips for one in around.flow.watches if one.feed.live),
            store_trouble=delivery.store_trouble,
            publisher_connected=delivery.connected,
            publisher_detail=delivery.detail,
            witness_trouble=heard.trouble,
            copying=self._copier is not None,
            composing_trouble=self._composing_trouble,
            leaks=around.leaks() - self._leaks_before + heard.leaked,
            interrupted_by=self._interruption(),
        )

    def _interruption(self) -> str:
        watch = self._watch
        if self._around.flow.stopping:
            return "the service is stopping"
        if watch.removed or watch.health.state == "off":
            return f"{watch.camera} was switched off meanwhile"
        if watch.policy.open_event is not None:
            return f"a real event opened on {watch.camera}, which goes first"
        return ""

    def _result(self, verdict: Verdict) -> DrillResult:
        progress, order = self._progress, self._order
        took_seconds = self._around.clock.monotonic_seconds() - self._started_seconds
        received_seconds, shown_seconds = self._witness.heard.received_seconds, self._shown_seconds
        latency_seconds = None
        if received_seconds is not None and shown_seconds is not None:
            latency_seconds = max(0.0, received_seconds - shown_seconds)
        control = progress.control
        return DrillResult(
            drill_id=order.mark.drill_id,
            camera=self._watch.camera,
            kind=order.mark.kind,
            outcome=verdict.outcome,
            started_seconds=self._began_seconds,
            took_seconds=took_seconds,
            limit_seconds=order.limits.total,
            terms=order.limits.terms,
            stages=progress.stages,
            engine=self._around.judge.engine.name,
            threshold=progress.threshold,
            score=progress.best,
            control_score=None if control is None else control.score,
            real_score=self._live.first_score,
            clips=len(progress.scores),
            link=verdict.link,
            sentence=verdict.sentence,
            cure=verdict.cure,
            findings=tuple(self._findings()),
            latency_seconds=latency_seconds,
            by=order.by,
        )

    def _findings(self) -> list[str]:
        found, control = [], self._progress.control
        if control is not None and control.anomalous:
            found.append(
                f"the untouched copy alone scored {control.score:.3f}, at or above the threshold: "
                "the camera's picture itself looks abnormal now, so the drill proves the alarm's "
                "way, and not that the incident was seen"
            )
        until_seconds = self._watch.snoozed_until_seconds
        if until_seconds is not None and until_seconds > self._around.clock.wall_seconds():
            until = f"{datetime.fromtimestamp(until_seconds):%H:%M:%S}"
            found.append(f"this camera is snoozed until {until}: a real event would not be sent")
        if strange := self._witness.heard.strange:
            found.append(f"{strange} messages on the drill's topic were not of this drill")
        if "store" in self._progress.stages and (trouble := self._facts().store_trouble):
            found.append(f"the event waits in memory for the disk: {trouble}")
        return found

    def _dismantle(self) -> Watch | None:
        """Take everything down; returns the shadow's watch, which ends by itself."""
        watch, flow = self._watch, self._around.flow
        watch.listen(None)
        watch.observers = tuple(one for one in watch.observers if one is not self._live)
        shadow = flow.watch(self._name)
        if shadow is not None:
            flow.dismiss(self._name)
        return shadow
