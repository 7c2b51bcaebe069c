"""The model in this process: launched by one thread, collected by another.

While the device computes a batch, the next one is laid out and launched, so that it never waits
for the host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import structlog

from edgewatch.pipeline.engines.device_memory import free_unused
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.foresight import Foresight
from edgewatch.pipeline.engines.native.loading import Loaded, load
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.native.sharing.collective import part
from edgewatch.pipeline.engines.native.sharing.group import Group
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.worker import Turn, Worker
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 4.0
"""Longest wait for the threads at a close; whoever closes an engine allows 5."""
SHARED_SECONDS = 30.0
"""Longest wait for an answer of a model that several processes share: one may hang, and the others
then wait for it. Less than a child is given for its answer, so that the reason is told."""
REASON_SECONDS = 1.0
"""What a process died of is told within this."""

R = TypeVar("R")


class NativeModel:
    """A Qwen2.5-VL by our own forward, on a CPU, one GPU or several that share it; see `Model`."""

    def __init__(
        self,
        setup: EngineSetup,
        *,
        shared_seconds: float = SHARED_SECONDS,
        close_seconds: float = CLOSE_SECONDS,
        loading: Callable[..., Loaded] = load,
    ) -> None:
        self._setup = setup
        self._load = loading
        self._shared_seconds = shared_seconds
        self._close_seconds = close_seconds
        self._voice = asyncio.Lock()
        """Held by whoever has a clip described: another text would throw away a paused one."""
        self._launcher: Worker | None = None
        self._collector: Worker | None = None
        self._group: Group | None = None
        self._lost: asyncio.Future[EngineFailed] | None = None
        """Done when a process that shares the model is gone; None: nobody shares it."""
        self._loaded: Loaded | None = None
        self._foresight = Foresight(self._see)
        self._name = f"native:{setup.model.name if setup.model else 'none'}"

    @property
    def name(self) -> str:
        """Kind, directory and hash of the checkpoint; without the hash before the first start."""
        return self._name

    @property
    def max_batch(self) -> int:
        """As it is set, or less where memory turned out to be short."""
        return self._loaded.scorer.most_clips if self._loaded else self._setup.max_batch

    @property
    def batches_in_flight(self) -> int:
        """One computes while the next is brought and laid out."""
        return 2

    @property
    def figures(self) -> EngineFigures:
        """What was counted since the start; all 0 before."""
        if self._loaded is None:
            return EngineFigures()
        return replace(self._loaded.scorer.figures, sight_forgone=self._foresight.forgone)

    @property
    def foresees(self) -> bool:
        """Whether it keeps what it sees of pairs of frames."""
        return self._setup.incremental and self._setup.vision_cache_bytes > 0

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        """Have pairs of frames seen while no clip is under way; returns at once."""
        if self._loaded is not None and self.foresees:
            self._foresight.offer(pairs)

    def forget(self, camera: str) -> None:
        """Free what is kept of a camera."""
        self._foresight.forget(camera)
        if self._loaded is not None:
            self._loaded.scorer.forget(camera)

    @property
    def shared_with(self) -> tuple[int, ...]:
        """Ids of the processes that share the model with this one."""
        return self._group.pids if self._group else ()

    async def start(self) -> None:
        """Load the checkpoint and score the largest clip once. Raises EngineFailed."""
        if self._loaded is not None:
            raise EngineFailed("the native engine was started twice")
        if any(worker is not None and worker.alive for worker in (self._launcher, self._collector)):
            raise EngineFailed(
                "the engine's last thread still computes and holds its memory",
                "restart edgewatch if this lasts: a kernel hangs",
            )
        self._launcher, self._collector = Worker("native-launch"), Worker("native-collect")
        self._launcher.start()
        self._collector.start()
        try:
            group = self._group = self._start_group()
            self._loaded = await self._unless_lost(
                self._launch(lambda turn: self._load(self._setup, lambda: turn.wanted, group=group))
            )
        except BaseException:
            await self.close()
            raise
        self._name = f"native:{self._loaded.checkpoint.name}{self._loaded.mark}"
        log.info(
            "model loaded",
            engine=self._name,
            device=str(self._loaded.device),
            arithmetic=self._loaded.arithmetic,
            max_batch=self.max_batch,
            **({"shared_by": self._setup.tensor_parallel} if group else {}),
        )

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order; may be called again while it runs. Raises EngineFailed."""
        scorer, collector = self._scorer(), self._collector
        most_clips = scorer.most_clips
        limit = self._shared_seconds
        with self._foresight.held_back(clips):
            launched = await self._unless_lost(
                self._launch(lambda turn: scorer.launch(clips)), within_seconds=limit
            )
            if scorer.most_clips < most_clips:
                log.warning("memory is short: smaller batches", max_batch=scorer.most_clips)
            return await self._unless_lost(
                self._within(collector, lambda turn: scorer.collect(launched)), within_seconds=limit
            )

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip, one at a time, with pauses for clips that wait to be scored.

        Raises EngineFailed, or EngineBusy when they leave too little time.
        """
        scorer = self._scorer()
        if not self._setup.form.words_tokens:
            return ""
        async with self._voice:
            while True:
                try:
                    return await self._unless_lost(
                        self._launch(lambda turn: scorer.words(clip, turn.give_way), urgent=False)
                    )
                except EngineBusy:
                    if not scorer.words_go_on:
                        raise

    async def close(self) -> None:
        """End the threads, within `close_seconds`, and free the memory; idempotent.

        A job that hangs keeps its thread and its memory; `start` then refuses until it is gone.
        """
        loaded, self._loaded = self._loaded, None
        self._foresight.close()
        group, self._group = self._group, None
        lost, self._lost = self._lost, None
        if group is not None and lost is not None and lost.done():
            group.end()  # first: threads that wait for them are let go
        workers = [each for each in (self._launcher, self._collector) if each is not None]
        # Both at once: a device that hangs keeps both.
        ended = await asyncio.gather(*(worker.stop(self._close_seconds) for worker in workers))
        if group is not None:
            group.end()
        if not all(ended):
            log.warning("engine thread still computes", waited_seconds=self._close_seconds)
            return
        self._launcher = self._collector = None
        if group is not None:
            part()
        if loaded is not None:
            device = loaded.device
            del loaded
            free_unused(device)

    async def _see(self, pairs: Sequence[AskedClip]) -> None:
        """See pairs of frames and wait for the device: no more of them than these are ahead."""
        scorer, collector = self._scorer(), self._collector
        done = await self._launch(lambda turn: scorer.foresee(pairs), urgent=False)
        if done is not None:
            await self._within(collector, lambda turn: done.synchronize())

    def _start_group(self) -> Group | None:
        """Start the processes that share the model, if any."""
        if self._setup.tensor_parallel < 2:
            return None
        loop = asyncio.get_running_loop()
        lost = self._lost = loop.create_future()

        def settle(failure: EngineFailed) -> None:
            if not lost.done():
                lost.set_result(failure)

        def tell(failure: EngineFailed) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(settle, failure)

        try:
            return Group(self._setup, tell)
        except OSError as error:
            raise EngineFailed(f"a process of the engine could not be started ({error})") from error

    async def _unless_lost(
        self, work: Coroutine[Any, Any, R], *, within_seconds: float | None = None
    ) -> R:
        """Wait for work, but no longer than those who share the model can do their part.

        Raises EngineFailed that says which of them is gone, or that one hangs.
        """
        lost = self._lost
        if lost is None:
            return await work
        task = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {task, lost}
        try:
            await asyncio.wait(either, timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                if not isinstance(task.exception(), EngineFailed):
                    return task.result()
                # Mostly since another one is gone, which is about to be told with its reason.
                await asyncio.wait({lost}, timeout=REASON_SECONDS)
                if not lost.done():
                    return task.result()
            if not lost.done():
                lost.set_result(
                    EngineFailed(
                        f"the processes that share the model did not answer within "
                        f"{within_seconds:g} s: one of them hangs"
                    )
                )
            failure = lost.result()
            raise EngineFailed(failure.what, failure.cure)
        finally:
            task.cancel()

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
