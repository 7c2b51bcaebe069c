"""Two engines, or one asked twice, over the same clips: the second's answers are kept aside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.errors import EngineBusy
from edgewatch.pipeline.types import Answer, CameraName, Clip

BUSY_SECONDS = 0.05
"""Between two tries where the second engine is busy; the caller limits the whole."""


class BothEngines:
    """Judges with the first, and has the second judge the same clips under another camera's name.

    So each may have a prompt and a memory of its own, also where both are the same engine. A busy
    second one is waited for: an engine that learns must not be given a clip twice.
    """

    def __init__(self, first: Engine, second: Engine, *, second_prompt: str) -> None:
        self.answers: dict[str, Answer] = {}
        """The second's, by clip id."""
        self._first = first
        self._second = second
        self._second_prompt = second_prompt

    @property
    def name(self) -> str:
        """The first one's name, which its verdicts carry."""
        return self._first.name

    @property
    def second_name(self) -> str:
        """The second one's."""
        return self._second.name

    @property
    def max_batch(self) -> int:
        """Most clips that both can use well."""
        return min(self._first.max_batch, self._second.max_batch)

    async def start(self) -> None:
        """Start both. Raises EngineFailed."""
        await self._first.start()
        if self._second is not self._first:
            await self._second.start()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score each clip with both; return the first's. Raises EngineBusy, EngineFailed."""
        answers = await self._first.judge(clips)
        twins = [replace(clip, camera=twin(clip.camera)) for clip in clips]
        for clip, answer in zip(clips, await self._second_answers(twins), strict=True):
            self.answers[clip.clip_id] = answer
        return answers

    async def _second_answers(self, clips: Sequence[Clip]) -> list[Answer]:
        while True:
            try:
                return await self._second.judge(clips)
            except EngineBusy:
                await asyncio.sleep(BUSY_SECONDS)

    async def describe(self, clip: Clip) -> str:
        """Say in words what the first one sees."""
        return await self._first.describe(clip)

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Tell the first one this prompt, the second one its own."""
        self._first.instruct(camera, prompt)
        self._second.instruct(twin(camera), self._second_prompt)

    async def forget(self, camera: CameraName) -> None:
        """Let go of what both keep for a camera."""
        await self._first.forget(camera)
        await self._second.forget(twin(camera))

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return what the first one knew of a camera before a clip."""
        return await self._first.memory_of(camera, clip_id)

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Have the first one know that of a camera. Raises ValueError."""
        await self._first.recall(camera, memory)

    async def close(self) -> None:
        """Close both; idempotent."""
        try:
            if self._second is not self._first:
                await self._second.close()
        finally:
            await self._first.close()


def twin(camera: CameraName) -> CameraName:
    """Return the name of a recording's second opinion; no file leads to such a one."""
    return CameraName(f"{camera}~b")
