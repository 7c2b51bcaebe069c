"""A stopwatch around an engine: how long each batch took, and which clips were in it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.pipeline.engines import Engine, batches_in_flight, figures_of, foresees
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.types import Answer, CameraName, Clip, FramePair


@dataclass(frozen=True, slots=True)
class Timed:
    """One judged clip, on the monotonic clock."""

    clip_id: str
    captured_seconds: float
    """When the last picture of its footage was decoded: the end of the footage."""
    given_seconds: float
    """When its batch was given to the engine."""
    engine_seconds: float
    """How long the engine took for its batch."""


class Stopwatch(Engine):
    """An engine that keeps the time of another."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.timed: list[Timed] = []
        self.batch_seconds: list[float] = []

    @property
    def name(self) -> str:
        """Name of the engine within."""
        return self._engine.name

    @property
    def max_batch(self) -> int:
        """As the engine within."""
        return self._engine.max_batch

    @property
    def batches_in_flight(self) -> int:
        """As the engine within."""
        return batches_in_flight(self._engine)

    @property
    def foresees(self) -> bool:
        """As the engine within."""
        return foresees(self._engine)

    @property
    def figures(self) -> EngineFigures | None:
        """As the engine within."""
        return figures_of(self._engine)

    def foresee(self, pair: FramePair) -> None:
        """Pass a pair of frames on, untimed."""
        if foresees(self._engine):
            self._engine.foresee(pair)

    async def start(self) -> None:
        """Start the engine within."""
        await self._engine.start()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Judge, and note how long it took."""
        began_seconds = time.monotonic()
        answers = await self._engine.judge(clips)
        took_seconds = time.monotonic() - began_seconds
        self.batch_seconds.append(took_seconds)
        self.timed += [
            Timed(clip.clip_id, clip.captured_seconds, began_seconds, took_seconds)
            for clip in clips
        ]
        return answers

    async def describe(self, clip: Clip) -> str:
        """Describe, untimed."""
        return await self._engine.describe(clip)

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Pass it on."""
        self._engine.instruct(camera, prompt)

    async def forget(self, camera: CameraName) -> None:
        """Forget a camera."""
        await self._engine.forget(camera)

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Pass on what it knew."""
        return await self._engine.memory_of(camera, clip_id)

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Pass it on."""
        await self._engine.recall(camera, memory)

    async def close(self) -> None:
        """Close the engine within."""
        await self._engine.close()
