"""A flow on virtual time: fake cameras, a fake engine, real everything between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.stats import Stats
from tests.fakes.books import FakeBooks, FakeSpeaker
from tests.fakes.camera import FakeCamera, FakeCameras
from tests.fakes.clock import VirtualTimeLoop
from tests.fakes.engine import FakeEngine

T0 = 1_800_000_000.0


class LoopClock:
    """The virtual loop's time as wall and monotonic time."""

    def wall_seconds(self) -> float:
        return T0 + asyncio.get_running_loop().time()

    def monotonic_seconds(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Rig:
    """A flow with everything around it faked at the borders."""

    engine: FakeEngine
    flow: Flow
    chronicle: Chronicle
    judge: Judge
    clock: LoopClock
    cameras: FakeCameras = field(default_factory=FakeCameras)
    books: FakeBooks = field(default_factory=FakeBooks)
    speaker: FakeSpeaker = field(default_factory=FakeSpeaker)

    async def settle(self) -> None:
        """Let everything that is due happen, without time passing beyond a batch's wait."""
        await asyncio.sleep(0.05)


@asynccontextmanager
async def rig(
    engine: FakeEngine | None = None,
    *,
    idle_ends: bool = False,
    local_now: Callable[[], datetime] = lambda: datetime(2026, 11, 21, 12, 0),
    judge_timeout_seconds: float = 60.0,
    words: bool = True,
    books: FakeBooks | None = None,
) -> AsyncIterator[Rig]:
    engine = engine or FakeEngine()
    clock, cameras, speaker = LoopClock(), FakeCameras(), FakeSpeaker()
    books = books or FakeBooks()
    stats = Stats()
    judge = Judge(engine, stats=stats, clock=clock, judge_timeout_seconds=judge_timeout_seconds)
    chronicle = Chronicle(
        books=books,
        ledger=Ledger(),
        stats=stats,
        live=Announcer(speaker, Topics("edgewatch"), clock),
        replay=Announcer(speaker, Topics("edgewatch", replay=True), clock),
        clock=clock,
    )
    flow = Flow(
        judge=judge,
        chronicle=chronicle,
        open_camera=cameras,
        clock=clock,
        words=words,
        idle_ends=idle_ends,
        local_now=local_now,
    )
    await judge.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flow.run())
        yield Rig(engine, flow, chronicle, judge, clock, cameras, books, speaker)
        flow.stop()
        for camera in cameras.opened:
            camera.hung = False
            camera.end()
        await running


def on_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose time jumps."""

    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def watch_steadily(r: Rig, camera: FakeCamera, clips: int) -> None:
    """Hand over a clip of the last second each second."""
    for _ in range(clips):
        await asyncio.sleep(1.0)
        camera.see(r.clock.wall_seconds() - 1.0, r.clock.monotonic_seconds())
    await r.settle()
