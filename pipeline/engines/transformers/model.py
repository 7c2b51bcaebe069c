"""The model in this process: loading, scoring and describing in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import structlog

from edgewatch.pipeline.engines.model import SIMULATED, AskedClip
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.transformers.loading import Loaded, load
from edgewatch.pipeline.engines.worker import Turn, Worker
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

if TYPE_CHECKING:
    from edgewatch.pipeline.engines.transformers.general.scoring import GeneralScorer
    from edgewatch.pipeline.engines.transformers.scoring import Scorer

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 4.0
"""Longest wait for the thread at a close; whoever closes an engine allows 5."""

R = TypeVar("R")


class TransformersModel:
    """A model through Hugging Face's classes, on a CPU or one GPU; see `Model`."""

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self._worker: Worker | None = None
        self._loaded: Loaded | None = None
        self._name = f"transformers:{setup.model.name if setup.model else 'none'}"

    @property
    def name(self) -> str:
        """Kind, directory and hash of the checkpoint; without the hash before the first start.

        Ends in "~simulated" where a quantised checkpoint's arithmetic is imitated.
        """
        return self._name

    @property
    def max_batch(self) -> int:
        """As it is set, or less where memory turned out to be short."""
        return self._loaded.scorer.most_clips if self._loaded else self._setup.max_batch

    @property
    def simulated(self) -> str:
        """What of a quantised checkpoint's arithmetic is imitated; empty where nothing is."""
        arithmetic = self._loaded.arithmetic if self._loaded else None
        return arithmetic.simulated if arithmetic else ""

    async def start(self) -> None:
        """Load the checkpoint and score the largest clip once. Raises EngineFailed."""
        if self._worker is not None and self._loaded is not None:
            raise EngineFailed("the transformers engine was started twice")
        if self._worker is not None and self._worker.alive:
            raise EngineFailed(
                "the engine's last thread still computes and holds its memory",
                "restart edgewatch if this lasts: a kernel hangs",
            )
        self._worker = Worker("transformers-engine")
        self._worker.start()
        try:
            self._loaded = await self._run(lambda turn: load(self._setup, lambda: turn.wanted))
        except EngineFailed:
            await self.close()
            raise
        arithmetic = self._loaded.arithmetic
        mark = SIMULATED if self.simulated else ""
        self._name = f"transformers:{self._loaded.checkpoint.name}{mark}"
        log.info(
            "model loaded",
            engine=self._name,
            device=str(self._loaded.device),
            max_batch=self.max_batch,
            **({} if arithmetic is None else {"arithmetic": arithmetic.sentence}),
        )

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order. Raises EngineFailed."""
        scorer = self._scorer()
        most_clips = scorer.most_clips
        answers = await self._run(lambda turn: scorer.score(clips))
        if scorer.most_clips < most_clips:
            log.warning("memory is short: smaller batches", max_batch=scorer.most_clips)
        return answers

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip. Raises EngineFailed, or EngineBusy when clips wait to be scored."""
        scorer = self._scorer()
        if not self._setup.form.words_tokens:
            return ""
        return await self._run(lambda turn: scorer.words(clip, turn.give_way), urgent=False)

    async def close(self) -> None:
        """End the thread, within 4 s, and free the memory; idempotent.

        A job that hangs keeps the thread and its memory; `start` then refuses until it is gone.
        """
        self._loaded = None
        if self._worker is None:
            return
        if await self._worker.stop(CLOSE_SECONDS):
            self._worker = None
            _free_memory()
        else:
            log.warning("engine thread still computes", waited_seconds=CLOSE_SECONDS)

    async def _run(self, work: Callable[[Turn], R], *, urgent: bool = True) -> R:
        if self._worker is None:
            raise EngineFailed("the transformers engine is not running: start it first")
        try:
            return await self._worker.run(work, urgent=urgent)
        except (EngineBusy, EngineFailed, asyncio.CancelledError):
            raise
        except Exception as error:
            # torch's errors have no base of their own; whatever it was, a new start is due.
            raise EngineFailed(f"the model broke: {type(error).__name__}: {error}") from error

    def _scorer(self) -> Scorer | GeneralScorer:
        if self._loaded is None:
            raise EngineFailed("the transformers engine is not running: start it first")
        return self._loaded.scorer


def _free_memory() -> None:
    """Let the allocator give back what the model held, if torch was ever loaded."""
    import gc
    import sys

    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
