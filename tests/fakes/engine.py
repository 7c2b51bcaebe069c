"""An engine whose answers are written down beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edgewatch.pipeline.types import Answer, CameraName, Clip


class FakeEngine:
    """Keeps the engine contract: started before use, clips of a camera in order of time.

    `answers` is asked for each clip; it may raise what an engine may raise. Never more batches at
    once than it says that it takes.
    """

    name = "fake-1"

    def __init__(
        self,
        answers: Callable[[Clip], float] = lambda clip: 0.1,
        *,
        max_batch: int = 4,
        batches_in_flight: int = 1,
    ) -> None:
        self._answers = answers
        self.max_batch = max_batch
        self.batches_in_flight = batches_in_flight
        self._under_way = 0
        self.started = 0
        self.closed = 0
        self.batches: list[list[str]] = []
        self.described: list[str] = []
        self.forgotten: list[str] = []
        self.prompts: dict[CameraName, str] = {}
        self.memories: dict[str, bytes] = {}
        """By clip: what it says it knew before it judged it."""
        self.recalled: dict[CameraName, bytes] = {}
        self.hold: asyncio.Event | None = None
        self._running = False
        self._last_end: dict[CameraName, float] = {}

    async def start(self) -> None:
        self.started += 1
        self._running = True
        self._last_end.clear()  # what failed is given to it once more

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        assert self._running, "judged before start"
        assert self._under_way < self.batches_in_flight, "more batches at once than it takes"
        assert 1 <= len(clips) <= self.max_batch
        for clip in clips:
            assert clip.camera in self.prompts, "judged before it was told what to look for"
            assert len(clip.frames) % 2 == 0
            assert clip.end_seconds >= self._last_end.get(clip.camera, 0.0), "out of order"
            self._last_end[clip.camera] = clip.end_seconds
        self._under_way += 1
        try:
            return await self._answered(clips)
        finally:
            self._under_way -= 1

    async def _answered(self, clips: Sequence[Clip]) -> list[Answer]:
        if self.hold is not None:
            await self.hold.wait()
        answers = [Answer(self._answers(clip)) for clip in clips]
        self.batches.append([clip.clip_id for clip in clips])
        return answers

    async def describe(self, clip: Clip) -> str:
        self.described.append(clip.clip_id)
        return f"something odd in {clip.clip_id}"

    def instruct(self, camera: CameraName, prompt: str) -> None:
        self.prompts[camera] = prompt

    async def forget(self, camera: CameraName) -> None:
        self.forgotten.append(camera)
        self._last_end.pop(camera, None)

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        assert self._running, "asked for a memory before start"
        return self.memories.get(clip_id)

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        if memory not in self.memories.values():
            raise ValueError("this memory is another engine's")
        self.recalled[camera] = memory

    async def close(self) -> None:
        self.closed += 1
        self._running = False
