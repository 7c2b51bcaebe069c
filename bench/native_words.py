"""Part of `bench.native`: words for one suspect, alone and while clips are screened.

Through the model's own threads, as in the engine's process: two batches of eight are always under
way, and the words are asked for again whenever they had to give way.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import cast

from bench.native_run import Bench
from bench.native_subjects import checkpoint_of
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.accuracy.gates import Passed
from edgewatch.pipeline.engines.native.loading import Loaded
from edgewatch.pipeline.engines.native.model import NativeModel
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.worker import Worker
from edgewatch.pipeline.errors import EngineBusy

WORDS_TOKENS = 96
"""Of a description: the setting's default."""
BATCH = 8
TIMES = 3
WARM_SECONDS = 0.5


class ReadyModel(NativeModel):
    """A model whose scorer is there already."""

    def __init__(self, scorer: Scorer, bench: Bench) -> None:
        super().__init__(EngineSetup(kind="native", form=Form(words_tokens=WORDS_TOKENS)))
        # No gates: they compare with transformers and with files, `accuracy` does it here.
        passed = cast("Passed", None)
        self._ready = Loaded(checkpoint_of(bench.shape), scorer, bench.device, passed)

    async def start(self) -> None:
        """Start the threads."""
        self._launcher, self._collector = Worker("native-launch"), Worker("native-collect")
        self._launcher.start()
        self._collector.start()
        self._loaded = self._ready


@dataclass(frozen=True, slots=True)
class Screened:
    """Clips that were screened in a stretch of time."""

    clips: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Clips a second."""
        return self.clips / self.seconds


def words(bench: Bench) -> None:
    """Time words in every precision."""
    for precision in bench.precisions:
        if bench.enough(25, f"words {precision}"):
            asyncio.run(_words(bench, precision))


async def _words(bench: Bench, precision: str) -> None:
    weights = bench.weights("fp8" if precision == "fp8" else "bf16")
    scorer = bench.scorer(weights.network(), words_tokens=WORDS_TOKENS)
    model = ReadyModel(scorer, bench)
    await model.start()
    try:
        alone = [await _described(model, scorer, bench.clips(TIMES + 1)[0])]
        alone = [await _described(model, scorer, clip) for clip in bench.clips(TIMES + 1)[1:]]
        calm, _ = await _screening(bench, model, scorer, described=False)
        loaded, tokens = await _screening(bench, model, scorer, described=True)
    finally:
        await model.close()
    loss = 1.0 - loaded.per_second / calm.per_second
    bench.figures |= {
        f"{precision}_words_tokens_per_second": max(alone),
        f"{precision}_words_screening_loss": loss,
        f"{precision}_words_tokens_per_second_while_screening": tokens / loaded.seconds,
    }
    bench.say(
        f"{precision} words: {max(alone):.1f} tokens/s alone; screening {calm.per_second:.2f} "
        f"clips/s, with words {loaded.per_second:.2f} ({100 * loss:.1f} % lost, "
        f"{tokens / loaded.seconds:.1f} tokens/s)"
    )


async def _described(model: NativeModel, scorer: Scorer, clip: AskedClip) -> float:
    """Score a clip, have it described, and return the tokens a second of the description."""
    await model.score([clip])
    before, began = scorer._describer.written, time.perf_counter()
    await model.words(clip)
    return (scorer._describer.written - before) / (time.perf_counter() - began)


async def _screening(
    bench: Bench, model: NativeModel, scorer: Scorer, *, described: bool
) -> tuple[Screened, int]:
    """Screen as fast as it goes for some seconds; return what was, and tokens written meanwhile."""
    seconds = bench.options.seconds
    stop = asyncio.Event()
    ends: list[tuple[float, int]] = []
    began = time.perf_counter() + min(WARM_SECONDS, seconds)
    batches = bench.batches(BATCH if bench.device.type == "cuda" else 1)

    async def screen() -> None:
        while not stop.is_set():
            batch = next(batches)
            await model.score(batch)
            now = time.perf_counter()
            if now >= began:
                ends.append((now, len(batch)))
            if now >= began + seconds and len(ends) > 2:
                stop.set()

    async def describe() -> None:
        for clip in bench.clips(TIMES) * 1000:
            while not stop.is_set():
                try:
                    await model.words(clip)
                    break
                except EngineBusy:
                    await asyncio.sleep(0)
            if stop.is_set():
                return

    before = scorer._describer.written
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(screen())
        if described:
            tasks.create_task(describe())
    # From the first answer on: it was begun before.
    screened = Screened(sum(clips for _, clips in ends[1:]), ends[-1][0] - ends[0][0])
    return screened, scorer._describer.written - before
