"""The model in this process: launched by one thread, collected by another.

While the device computes a batch, the next one is laid out and launched, so that it never waits
for the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from edgewatch.pipeline.engines.device_memory import free_unused
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.loading import Loaded, load
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.worker import Turn, Worker
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 4.0
"""Longest wait for the threads at a close; whoever closes an engine allows 5."""

R = TypeVar("R")


class NativeModel:
    """A Qwen2.5-VL by our own forward, on a CPU or one GPU; see `Model`."""

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self._launcher: Worker | None = None
        self._collector: Worker | None = None
        self._loaded: Loaded | None = None
        self._name = f"native:{setup.model.name if setup.model else 'none'}"

    @property
    def name(self) -> str:
        """Kind, directory and hash of the checkpoint; without the hash before the first start."""
        return self._name

    @property
    def max_batch(self) -> int:
        """As it is set, or less where memory turned out to be short."""
        return self._loaded.scorer.most_clips if self._loaded else self._setup.max_batch

    async def start(self) -> None:
        """Load the checkpoint and score the largest clip once. Raises EngineFailed."""
        if self._loaded is not None:
            raise EngineFailed("the native engine was started twice")
        if self._launcher is not None and self._launcher.alive:
            raise EngineFailed(
                "the engine's last thread still computes and holds its memory",
                "restart edgewatch if this lasts: a kernel hangs",
            )
        self._launcher, self._collector = Worker("native-launch"), Worker("native-collect")
        self._launcher.start()
        self._collector.start()
        try:
            self._loaded = await self._launch(lambda turn: load(self._setup, lambda: turn.wanted))
        except EngineFailed:
            await self.close()
            raise
        self._name = f"native:{self._loaded.checkpoint.name}"
        log.info(
            "model loaded",
            engine=self._name,
            device=str(self._loaded.device),
            max_batch=self.max_batch,
        )

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order; may be called again while it runs. Raises EngineFailed."""
        scorer, collector = self._scorer(), self._collector
        most_clips = scorer.most_clips
        launched = await self._launch(lambda turn: scorer.launch(clips))
        if scorer.most_clips < most_clips:
            log.warning("memory is short: smaller batches", max_batch=scorer.most_clips)
        return await self._within(collector, lambda turn: scorer.collect(launched))

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip. Raises EngineFailed, or EngineBusy when clips wait to be scored."""
        scorer = self._scorer()
        if not self._setup.form.words_tokens:
            return ""
        return await self._launch(lambda turn: scorer.words(clip, _giving_way(turn)), urgent=False)

    async def close(self) -> None:
        """End the threads, within 4 s, and free the memory; idempotent.

        A job that hangs keeps its thread and its memory; `start` then refuses until it is gone.
        """
        loaded, self._loaded = self._loaded, None
        for worker in (self._collector, self._launcher):
            if worker is not None and not await worker.stop(CLOSE_SECONDS / 2):
                log.warning("engine thread still computes", waited_seconds=CLOSE_SECONDS / 2)
                return
        self._launcher = self._collector = None
        if loaded is not None:
            device = loaded.device
            del loaded
            free_unused(device)

    async def _launch(self, work: Callable[[Turn], R], *, urgent: bool = True) -> R:
        return await self._within(self._launcher, work, urgent=urgent)

    @staticmethod
    async def _within(
        worker: Worker | None, work: Callable[[Turn], R], *, urgent: bool = True
    ) -> R:
        if worker is None:
            raise EngineFailed("the native engine is not running: start it first")
        try:
            return await worker.run(work, urgent=urgent)
        except (EngineBusy, EngineFailed, asyncio.CancelledError):
            raise
        except Exception as error:
            # torch's errors have no base of their own; whatever it was, a new start is due.
            raise EngineFailed(f"the model broke: {type(error).__name__}: {error}") from error

    def _scorer(self) -> Scorer:
        if self._loaded is None:
            raise EngineFailed("the native engine is not running: start it first")
        return self._loaded.scorer


def _giving_way(turn: Turn) -> Callable[[], None]:
    def give_way() -> None:
        if turn.overtaken:
            raise EngineBusy("the description was given up: clips wait to be scored")
        if not turn.wanted:
            raise EngineBusy("the description was given up: nobody waits for it")

    return give_way
