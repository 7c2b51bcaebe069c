"""A seat: one engine of an evaluation, kept at work, with what its work takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import AnswerUnreadable, EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip, Verdict
from edgewatch.pipeline.verdicts import verdict_of
from edgewatch.tools.evaluation.choice import EngineChoice
from edgewatch.tools.evaluation.judgement import ClipAnswer, Judgement

log = structlog.get_logger(__name__)

BUSY_SECONDS = 0.05
JUDGE_SECONDS = 900.0
"""Longest wait for a batch: a large model on a processor takes minutes, and nothing is live."""
FAILURES_IN_A_ROW = 3
"""Recordings that an engine may fail over before the evaluation ends."""

MakeEngine = Callable[[EngineSetup], Engine]


class NotJudged(Exception):
    """An engine could not judge one recording; the message says which engine, and why."""


@dataclass(slots=True, eq=False)
class Seat:
    """One engine; all methods belong to the event loop, and one recording is judged at a time.

    What it answers depends on the recording alone: batches never mix recordings, and are cut the
    same each time.
    """

    choice: EngineChoice
    plan: CameraPlan
    make_engine: MakeEngine
    load_seconds: float = 0.0
    max_batch: int = 1
    """Clips that are judged together: what the engine takes when it has started."""
    _engine: Engine | None = None
    _failures: int = 0

    @property
    def engine(self) -> Engine:
        """The running engine. Raises EngineFailed if there is none."""
        if self._engine is None:
            raise EngineFailed(f"{self.choice.name} was not started")
        return self._engine

    async def start(self) -> None:
        """Load the engine. Raises EngineFailed."""
        self._engine = self.make_engine(engine_setup(self.choice.settings, baseline_dir=None))
        began_seconds = time.monotonic()
        try:
            await self._engine.start()
        except EngineFailed as error:
            raise EngineFailed(f"{self.choice.name}: {error}") from error
        self.load_seconds = time.monotonic() - began_seconds
        self.max_batch = max(1, self._engine.max_batch)

    async def close(self) -> None:
        """Free the engine; idempotent."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            try:
                await engine.close()
            except EngineFailed as error:
                log.warning("engine did not close", engine=self.choice.name, reason=str(error))

    async def judge(self, camera: CameraName, clips: AsyncIterator[Clip]) -> Judgement:
        """Judge all clips of a recording. Raises NotJudged, and EngineFailed if it is no use."""
        sitting = _Sitting(camera)
        try:
            await self._hear(sitting, clips)
            self._failures = 0
        except (EngineFailed, AnswerUnreadable) as error:
            self._failures += 1
            async for _ in clips:  # so that nobody waits for this engine to take them
                pass
            if self._failures >= FAILURES_IN_A_ROW:
                raise EngineFailed(
                    f"{self.choice.name} failed over {self._failures} recordings in a row: {error}"
                ) from error
            raise NotJudged(f"{self.choice.name} did not judge it: {error}") from error
        return sitting.judgement(self.engine, self.load_seconds)

    async def _hear(self, sitting: _Sitting, clips: AsyncIterator[Clip]) -> None:
        self.engine.instruct(sitting.camera, self.plan.prompt)
        batch: list[Clip] = []
        async for clip in clips:
            batch.append(clip)
            if len(batch) == self.max_batch:
                await self._judge_batch(sitting, batch)
                batch = []
        if batch:
            await self._judge_batch(sitting, batch)
        await self.engine.forget(sitting.camera)

    async def _judge_batch(self, sitting: _Sitting, batch: Sequence[Clip]) -> None:
        sitting.begin()
        step = max(1, min(len(batch), self.engine.max_batch))
        for first in range(0, len(batch), step):
            part = batch[first : first + step]
            began_seconds = time.monotonic()
            answers = await self._answers(sitting.camera, part)
            sitting.take(part, answers, self.engine.name, time.monotonic() - began_seconds)

    async def _answers(self, camera: CameraName, clips: Sequence[Clip]) -> list[Answer]:
        """Ask, and once more after a restart. Raises EngineFailed."""
        try:
            return await self._asked(clips)
        except EngineFailed as error:
            log.warning("engine restarted", engine=self.choice.name, reason=str(error))
            await self.close()
            await self.start()
            self.engine.instruct(camera, self.plan.prompt)
            if self.choice.settings.engine.kind == "builtin":
                # What it had learnt of this recording is gone: other answers would follow
                raise
            return await self._asked(clips)

    async def _asked(self, clips: Sequence[Clip]) -> list[Answer]:
        try:
            async with asyncio.timeout(JUDGE_SECONDS):
                while True:
                    try:
                        answers = await self.engine.judge(clips)
                        break
                    except EngineBusy:
                        await asyncio.sleep(BUSY_SECONDS)
        except TimeoutError:
            raise EngineFailed(f"did not judge a batch within {JUDGE_SECONDS:g} s") from None
        if len(answers) != len(clips):
            raise EngineFailed(f"{len(clips)} clips were answered {len(answers)} times")
        return answers


@dataclass(slots=True)
class _Sitting:
    """One recording before one engine, so far."""

    camera: CameraName
    verdicts: list[Verdict] = field(default_factory=list)
    engine_ms: list[float] = field(default_factory=list)
    batch_ms: list[float] = field(default_factory=list)
    began_seconds: float | None = None
    ended_seconds: float = 0.0

    def begin(self) -> None:
        """Note that clips are handed in."""
        if self.began_seconds is None:
            self.began_seconds = time.monotonic()

    def take(
        self, clips: Sequence[Clip], answers: Sequence[Answer], engine: str, seconds: float
    ) -> None:
        """Keep the answers to a batch. Raises AnswerUnreadable."""
        self.ended_seconds = time.monotonic()
        for clip, answer in zip(clips, answers, strict=True):
            self.verdicts.append(
                verdict_of(
                    clip, answer, threshold=0.5, engine=engine, now_seconds=self.ended_seconds
                )
            )
        self.engine_ms += [round(1000.0 * seconds / len(clips), 3)] * len(clips)
        self.batch_ms += [round(1000.0 * seconds, 3)] * len(clips)

    def judgement(self, engine: Engine, load_seconds: float) -> Judgement:
        """Return what was said."""
        began_seconds = self.ended_seconds if self.began_seconds is None else self.began_seconds
        return Judgement(
            engine=engine.name,
            simulated=str(getattr(engine, "simulated", "")),
            answers=tuple(
                ClipAnswer(
                    one.media_start_seconds,
                    one.media_end_seconds,
                    one.score,
                    one.uncertain,
                    one.warming_up,
                )
                for one in self.verdicts
            ),
            engine_ms=tuple(self.engine_ms),
            batch_ms=tuple(self.batch_ms),
            judging_seconds=self.ended_seconds - began_seconds,
            load_seconds=load_seconds,
        )
