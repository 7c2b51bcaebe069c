"""The judge: one engine kept running, with time limits, restarts and back-off."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.engines import Engine, foresees
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import Answer, Clip, FramePair

log = structlog.get_logger(__name__)

BUSY_RETRY_SECONDS = 0.05
MAX_RESTART_DELAY_SECONDS = 30.0

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class EngineState:
    """Whether clips can be judged now."""

    state: Literal["starting", "ready", "down"]
    since_seconds: float
    """Unix time."""
    detail: str = ""


class Judge:
    """Gives batches to the engine; restarts it when it fails, and returns the batch to it once."""

    def __init__(
        self,
        engine: Engine,
        *,
        stats: Stats,
        clock: Clock,
        judge_timeout_seconds: float = 60.0,
        start_timeout_seconds: float = 600.0,
        close_timeout_seconds: float = 5.0,
    ) -> None:
        self._engine = engine
        self._stats = stats
        self._clock = clock
        self._judge_timeout_seconds = judge_timeout_seconds
        self._start_timeout_seconds = start_timeout_seconds
        self._close_timeout_seconds = close_timeout_seconds
        self._stop = asyncio.Event()
        self._failures = 0
        self._asking = 0
        """Batches that the engine has."""
        self._life = 0
        """Counts the engine's starts: who failed before the last one need not restart it."""
        self._mending = asyncio.Lock()
        """Held from a failure until the batch was tried again."""
        self._state = EngineState("starting", clock.wall_seconds())
        self._back_seconds = -math.inf
        """When the engine was last back from a restart, on the monotonic clock."""

    @property
    def engine(self) -> Engine:
        """The engine; its name goes into each verdict."""
        return self._engine

    @property
    def state(self) -> EngineState:
        """Whether the engine is there."""
        return self._state

    def was_away(self, captured_seconds: float) -> bool:
        """Say whether the engine is away, or was at some time since then (monotonic clock).

        A clip that waited for a restart and gives way just after it is lost to the restart.
        """
        return self._state.state != "ready" or captured_seconds < self._back_seconds

    async def start(self) -> None:
        """Load the engine for the first time. Raises EngineFailed."""
        await self._limited(self._engine.start(), self._start_timeout_seconds, "start")
        self._set("ready")

    def stop(self) -> None:
        """Wait for no restart any more; what is being judged is finished."""
        self._stop.set()

    async def close(self) -> None:
        """Close the engine within the time it is given."""
        await self._close_engine()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer] | None:
        """Score clips; None if the engine failed twice over them: they are not judged.

        A batch is given to a restarted engine once, so that a clip that kills every engine
        cannot keep killing it. May be called while another batch is judged, as often as the
        engine takes batches at once. What fails together is tried again one by one, so that only
        the batch that is to blame is given up.
        """
        async with self._mending:
            life = self._life
        try:
            return await self._ask(clips)
        except EngineFailed as error:
            failure = error
        async with self._mending:
            if life == self._life and not await self._restart(failure):
                return None
            try:
                return await self._ask(clips)
            except EngineFailed as error:
                await self._restart(error)
                return None

    def foresee(self, pair: FramePair) -> None:
        """Let the engine have two frames of a clip to come, if it wants them; never raises."""
        if self._state.state != "ready" or not foresees(self._engine):
            return
        try:
            self._engine.foresee(pair)
        except Exception:  # the border to code that is not ours: clips are judged all the same
            log.exception("engine error", task="foresee")

    async def describe(self, clip: Clip) -> str:
        """Say what is wrong in a clip; empty if the engine cannot say it in time."""
        try:
            return await self._limited(
                self._engine.describe(clip), self._judge_timeout_seconds, "describe a clip"
            )
        except (EngineBusy, EngineFailed) as error:
            self._stats.words_given_up += 1
            log.warning("clip not described", camera=clip.camera, reason=str(error))
            return ""

    async def _ask(self, clips: Sequence[Clip]) -> list[Answer]:
        self._asking += 1
        try:
            answers = await self._asked(clips)
        finally:
            self._asking -= 1
        if len(answers) != len(clips):
            raise EngineFailed(f"{len(clips)} clips were answered {len(answers)} times")
        self._failures = 0
        return answers

    async def _asked(self, clips: Sequence[Clip]) -> list[Answer]:
        while True:
            # A batch behind another one waits for it as well
            limit_seconds = self._judge_timeout_seconds * self._asking
            try:
                return await self._limited(
                    self._engine.judge(clips), limit_seconds, "judge a batch"
                )
            except EngineBusy:
                if self._stop.is_set():
                    raise EngineFailed("the engine was still busy at the stop") from None
                await self._wait(BUSY_RETRY_SECONDS)

    async def _limited(self, call: Awaitable[R], limit_seconds: float, task: str) -> R:
        """Await an engine call; whatever it throws becomes an EngineFailed."""
        try:
            async with asyncio.timeout(limit_seconds):
                return await call
        except TimeoutError:
            raise EngineFailed(f"did not {task} within {limit_seconds:g} s") from None
        except (EngineBusy, EngineFailed):
            raise
        except Exception as error:  # the border to code that is not ours: name it, keep watching
            log.exception("engine error", task=task)
            raise EngineFailed(f"could not {task}: {type(error).__name__}: {error}") from error

    async def _restart(self, error: EngineFailed) -> bool:
        """Start the engine anew, as often as it takes; False if told to stop meanwhile."""
        self._set("down", str(error))
        while not self._stop.is_set():
            delay_seconds = min(MAX_RESTART_DELAY_SECONDS, 0.5 * 2**self._failures)
            self._failures += 1
            self._stats.engine_restarts += 1
            log.error("engine failed", reason=str(error), restart_in_seconds=delay_seconds)
            await self._close_engine()
            await self._wait(delay_seconds)
            if self._stop.is_set():
                return False
            self._set("starting", str(error))
            try:
                await self._limited(self._engine.start(), self._start_timeout_seconds, "start")
            except (EngineBusy, EngineFailed) as again:
                error = EngineFailed(str(again))
                self._set("down", str(again))
                continue
            self._life += 1
            self._back_seconds = self._clock.monotonic_seconds()
            self._set("ready")
            return True
        return False

    async def _close_engine(self) -> None:
        try:
            await self._limited(self._engine.close(), self._close_timeout_seconds, "close")
        except (EngineBusy, EngineFailed) as error:
            log.warning("engine did not close", reason=str(error))

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            return

    def _set(self, state: Literal["starting", "ready", "down"], detail: str = "") -> None:
        self._state = EngineState(state, self._clock.wall_seconds(), detail)
        log.info("engine state", state=state, engine=self._engine.name, detail=detail)
