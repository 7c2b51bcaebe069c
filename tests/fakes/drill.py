"""A drill's surroundings on virtual time: copies made at once, and a broker of a few lines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.backlog import MQTT, OutboxMessage
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.drill.composer import Composed, Composer, MakeIncident, NoPlace
from edgewatch.pipeline.drill.drills import Drills, Rules, Stage
from edgewatch.pipeline.drill.leak import LeakGuard
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.drill.surroundings import Delivery, Listener, Surroundings
from edgewatch.pipeline.drill.witness import Heard
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.notify.notices import WEBHOOK, Notices
from edgewatch.pipeline.scenes.incidents.incident import Placement
from edgewatch.pipeline.scenes.truth import FrameTruth, IncidentKind
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import CameraName, Clip, DrillMark, Event, Frame, Pixels
from edgewatch.pipeline.watch import Reports
from tests.fakes.books import FakeBooks, FakeSpeaker
from tests.fakes.camera import FakeCamera, FakeCameras
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import LoopClock

RED = (255, 0, 0)
MARGIN_SECONDS = 2.0


class RedSquare:
    """An incident that any test can see: the middle of the picture turns red."""

    kind: IncidentKind | None = "fire"

    def __init__(self, placement: Placement) -> None:
        self.begins_seconds = placement.begins_seconds
        self.ends_seconds = placement.begins_seconds + placement.lasts_seconds
        self.times: list[float] = []

    def compose(self, pixels: Pixels, time_seconds: float) -> tuple[Pixels, FrameTruth]:
        self.times.append(time_seconds)
        if not self.begins_seconds <= time_seconds < self.ends_seconds:
            return pixels, FrameTruth(time_seconds)
        mask = np.zeros(pixels.shape[:2], np.bool_)
        mask[8:20, 8:20] = True
        composed = np.where(mask[..., None], np.array(RED, np.uint8), pixels)
        composed.setflags(write=False)
        return composed, FrameTruth(time_seconds, self.kind, mask)


def is_red(clip: Clip) -> bool:
    """Whether the incident is in a clip's last picture."""
    red: bool = bool((clip.frames[-1].pixels[14, 14] == RED).all())
    return red


class InlineCopier:
    """Copies each clip at once, on the loop."""

    latest_frame: Frame | None = None

    def __init__(
        self,
        composer: Composer,
        outlet: Mailbox[Clip],
        reports: Reports,
        *,
        on_composed: Callable[[Composed], None],
        on_trouble: Callable[[str], None],
    ) -> None:
        self._composer, self._outlet, self._reports = composer, outlet, reports
        self._on_composed, self._on_trouble = on_composed, on_trouble
        self._ended = False

    def start(self) -> None:
        pass

    def take(self, clip: Clip, /) -> None:
        try:
            composed = self._composer.compose(clip)
        except NoPlace:
            self._on_trouble("no place")
            return
        self._on_composed(composed)
        self._outlet.offer(composed.clip)

    def stop(self) -> None:
        if not self._ended:
            self._ended = True
            self._reports.on_end(None)
            self._outlet.close()

    def join(self, timeout_seconds: float) -> bool:
        return self._ended


class DrillBooks(FakeBooks):
    """Books that keep drills as well; they take no event while `full`."""

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self.drills: list[DrillResult] = []
        self.notices: list[OutboxMessage] = []
        self.on_saved: Callable[[Sequence[OutboxMessage]], None] = lambda messages: None

    async def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        if self.full:
            raise StoreError("the disk is full")
        await super().save_event(event, messages)
        self.on_saved(messages)

    async def save_drill(self, result: DrillResult, messages: Sequence[OutboxMessage] = ()) -> None:
        self.drills.append(result)
        self.notices += messages

    async def last_drills(self) -> dict[str, DrillResult]:
        return {one.camera: one for one in self.drills}

    async def drills_passed(self) -> dict[str, float]:
        return {one.camera: one.started_seconds for one in self.drills if one.passed}

    async def known_since(self, camera: CameraName) -> float | None:
        return None


@dataclass
class FakeListener:
    """Hears what the fake broker passes on."""

    mark: DrillMark
    on_change: Callable[[], None]
    clock: LoopClock
    refused: str = ""
    heard: Heard = field(default_factory=Heard)

    async def run(self) -> None:
        await asyncio.sleep(0.1)
        if self.refused:
            self.heard.trouble = self.refused
        else:
            self.heard.subscribed_seconds = self.clock.monotonic_seconds()
        self.on_change()
        await asyncio.Event().wait()

    def take(self, payload: bytes) -> None:
        told = json.loads(payload)
        if told.get("nonce") == self.mark.nonce and self.heard.received_seconds is None:
            self.heard.received_seconds = self.clock.monotonic_seconds()
        self.on_change()


class FakeDelivery:
    """Outbox and broker in one: hands on what was saved, unless a link is broken."""

    def __init__(self, clock: LoopClock) -> None:
        self.connected = True
        self.drains = True
        self.passes_on = True
        self.refuses_witness = ""
        self.acknowledged: Callable[[str, bytes], None] = lambda topic, payload: None
        self.listener: FakeListener | None = None
        self._clock = clock

    def delivery(self) -> Delivery:
        return Delivery("", self.connected, "" if self.connected else "nobody answers")

    def witness(self, camera: str, mark: DrillMark, on_change: Callable[[], None]) -> Listener:
        refused = self.refuses_witness or ("" if self.connected else "refused")
        self.listener = FakeListener(mark, on_change, self._clock, refused)
        return self.listener

    def send(self, messages: Sequence[OutboxMessage]) -> None:
        if not (self.connected and self.drains):
            return
        for message in messages:
            if message.channel == MQTT:
                self.acknowledged(message.topic, message.payload)
                if self.listener and self.passes_on and "/drill/" in message.topic:
                    self.listener.take(message.payload)


@dataclass
class DrillRig:
    """A flow with drills, and everything around it faked at the borders."""

    flow: Flow
    chronicle: Chronicle
    drills: Drills
    engine: FakeEngine
    clock: LoopClock
    cameras: FakeCameras
    books: DrillBooks
    speaker: FakeSpeaker
    delivery: FakeDelivery
    guard: LeakGuard
    incidents: list[RedSquare]

    async def watch(self, camera: FakeCamera, clips: int) -> None:
        """Hand over a clip of the last second each second."""
        for _ in range(clips):
            await asyncio.sleep(1.0)
            camera.see(self.clock.wall_seconds() - 1.0, self.clock.monotonic_seconds())

    async def drill(self, clips: int = 12, **keys: Any) -> DrillResult:
        """Drill the front camera while it hands over so many clips; return what came of it."""
        ticket = self.drills.order("front", **keys)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self.watch(self.cameras["front"], clips))
            updates = [update async for update in ticket.updates()]
            watching.cancel()
        assert all(isinstance(one, Stage) for one in updates[:-1])
        assert isinstance(updates[-1], DrillResult)
        await asyncio.sleep(1.0)
        return updates[-1]


@asynccontextmanager
async def drill_rig(
    engine: FakeEngine | None = None,
    *,
    at: str | None = None,
    drill_topics: Topics | None = None,
    local_now: Callable[[], datetime] = lambda: datetime(2026, 11, 21, 12, 0),
) -> AsyncIterator[DrillRig]:
    """Run a flow and its drills on the running (virtual) loop.

    `drill_topics`: those that drills' events are (wrongly) announced on.
    """
    engine = engine or FakeEngine(lambda clip: 0.9 if is_red(clip) else 0.1)
    clock, cameras, speaker, books = LoopClock(), FakeCameras(), FakeSpeaker(), DrillBooks()
    stats, guard, delivery = Stats(), LeakGuard("edgewatch"), FakeDelivery(clock)
    notices = Notices(ways=(WEBHOOK,))
    topics = Topics("edgewatch")
    judge = Judge(engine, stats=stats, clock=clock)
    chronicle = Chronicle(
        books=books,
        ledger=Ledger(),
        stats=stats,
        live=Announcer(speaker, topics, clock, notices=notices),
        replay=Announcer(speaker, Topics("edgewatch", replay=True), clock),
        drill=Announcer(
            speaker, drill_topics or Topics("edgewatch", drill=True), clock, notices=notices
        ),
        guard=guard,
        clock=clock,
    )
    flow = Flow(
        judge=judge, chronicle=chronicle, open_camera=cameras, clock=clock, local_now=local_now
    )
    incidents: list[RedSquare] = []

    def incident(kind: str, seed: int) -> MakeIncident:
        def make(placement: Placement) -> RedSquare:
            incidents.append(RedSquare(placement))
            return incidents[-1]

        return make

    drills = Drills(
        Surroundings(
            flow=flow,
            judge=judge,
            clock=clock,
            delivery=delivery.delivery,
            leaks=lambda: guard.leaks,
            witness=delivery.witness,
            incident=incident,
            open_copier=InlineCopier,
        ),
        books,
        rules=Rules.of(kind="fire", at=at, every_days=7, remind=30, margin=MARGIN_SECONDS),
        speaker=speaker,
        topics=topics,
        stats=stats,
        notices=notices,
        local_now=local_now,
    )
    delivery.acknowledged = drills.acknowledged
    books.on_saved = delivery.send
    await judge.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flow.run())
        drilling = tasks.create_task(drills.run())
        yield DrillRig(
            flow,
            chronicle,
            drills,
            engine,
            clock,
            cameras,
            books,
            speaker,
            delivery,
            guard,
            incidents,
        )
        drilling.cancel()
        flow.stop()
        for camera in cameras.opened:
            camera.end()
        await running
