"""A respondent: one model that is asked questions about pictures, and kept able to reply."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import structlog

import edgewatch
from edgewatch.config.errors import ConfigError
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines.model import SIMULATED, AskedClip, Model
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.tools.evaluation.choice import EngineChoice
from edgewatch.tools.vqa.pictures import PictureUnreadable, Sides, still_of
from edgewatch.tools.vqa.questions import PictureQuestion
from edgewatch.tools.vqa.results import Reply

log = structlog.get_logger(__name__)

MOST_TOKENS = 32
"""Of a reply: short answers are asked for."""
MOST_CHARACTERS = 4_000
"""Of a reply that are kept; thoughts and tags around an answer are not."""
STILL_FPS = 2.0
"""A still has no rate; a number must be there."""
BUSY_SECONDS = 0.05
MOST_BUSY_SECONDS = 2.0
"""Shortest and longest pause before a busy model is asked again."""
PATIENCE_SECONDS = 60.0
"""So long a model may be busy with one question before it goes without a reply."""
REPLY_SECONDS = 600.0
"""Longest wait for one reply: a large model on a processor takes its time."""
FAILURES_IN_A_ROW = 5
"""Questions without a reply before the evaluation ends: it is the engine and not they."""

_OF_NO_REPLY = {
    *("threshold", "least_mass", "explain_tokens", "prompt", "answers", "answer_prefix"),
    *("token_file", "ca_file", "request_seconds", "max_batch", "calibration"),
}
"""Keys of [engine] that change no reply."""

MakeModel = Callable[[EngineSetup], Model]


def setup_of(choice: EngineChoice, sides: Sides, most_tokens: int) -> EngineSetup:
    """Return what a model is made of that is shown single pictures and replies in words.

    Raises ConfigError for an engine that has no words.
    """
    engine = choice.settings.engine
    if engine.kind == "builtin":
        raise ConfigError(
            f"--engine {choice.name}: the built-in engine cannot reply in words; name a model: "
            "--engine transformers:DIR, tensorrt:DIR or remote:URL"
        )
    setup = engine_setup(choice.settings, baseline_dir=None)
    return replace(
        setup,
        # One picture after the other: more would only take memory. A server has its own queue.
        max_batch=setup.max_batch if engine.kind == "remote" else 1,
        send="image" if engine.kind == "remote" else setup.send,
        largest_clip=LargestClip(frames=2, pixels=sides.most_pixels, fps=STILL_FPS),
        form=replace(setup.form, words_tokens=most_tokens),
        judges=False,
        calibration=None,
    )


@dataclass(slots=True, eq=False)
class Respondent:
    """One model; all methods belong to one event loop."""

    choice: EngineChoice
    sides: Sides
    most_tokens: int
    make_model: MakeModel
    patience_seconds: float = PATIENCE_SECONDS
    load_seconds: float = 0.0
    at_once: int = 1
    """Questions that are asked at the same time."""
    _setup: EngineSetup = field(init=False)
    _model: Model = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _failures: int = 0
    _mending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _started: int = 0

    def __post_init__(self) -> None:
        self._setup = setup_of(self.choice, self.sides, self.most_tokens)
        self._model = self.make_model(self._setup)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="pictures")

    @property
    def engine(self) -> str:
        """As the model calls itself."""
        return self._model.name

    @property
    def simulated(self) -> str:
        """What of its arithmetic is imitated; empty where nothing is."""
        said: str = getattr(self._model, "simulated", "")
        return said or ("its arithmetic is imitated" if SIMULATED in self.engine else "")

    async def start(self) -> None:
        """Load the model. Raises EngineFailed."""
        began_seconds = time.monotonic()
        try:
            await self._model.start()
        except EngineFailed as error:
            raise EngineFailed(f"{self.choice.name}: {error}") from error
        self._started += 1
        self.load_seconds = time.monotonic() - began_seconds
        setup = self._setup
        if setup.kind == "remote":
            self.at_once = max(1, self._model.max_batch)
        else:
            self.at_once = max(1, len(setup.gpus) // setup.tensor_parallel)

    async def close(self) -> None:
        """Free everything; idempotent."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        try:
            await self._model.close()
        except EngineFailed as error:
            log.warning("engine did not close", engine=self.choice.name, reason=str(error))

    def key(self, question: PictureQuestion) -> str:
        """Name what a reply depends on. Raises OSError if the picture is gone."""
        about = {
            "engine": self.choice.settings.engine.model_dump(mode="json", exclude=_OF_NO_REPLY),
            "model": self.engine,
            "version": edgewatch.__version__,
            "sides": [self.sides.least_pixels, self.sides.most_pixels],
            "tokens": self.most_tokens,
            "asked": question.asked,
            "picture": question.picture.fingerprint,
        }
        text = json.dumps(about, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    async def reply(self, question: PictureQuestion) -> Reply:
        """Ask one question. Raises EngineFailed if the engine is of no use any more."""
        loop = asyncio.get_running_loop()
        try:
            frames = await loop.run_in_executor(
                self._threads, still_of, question.picture, self.sides
            )
        except PictureUnreadable as error:
            return Reply(None, reason=str(error))
        clip = AskedClip(frames, STILL_FPS, "", question.asked, still=True)
        began_seconds = time.monotonic()
        try:
            text = await self._words(clip)
        except (EngineFailed, EngineBusy) as error:
            self._failures += 1
            if self._failures >= FAILURES_IN_A_ROW:
                raise EngineFailed(
                    f"{self.choice.name} left {self._failures} questions in a row without a "
                    f"reply: {error}"
                ) from error
            return Reply(None, reason=str(error))
        self._failures = 0
        return Reply(cleaned(text, MOST_CHARACTERS), time.monotonic() - began_seconds)

    async def _words(self, clip: AskedClip) -> str:
        """Ask, and once more after a restart. Raises EngineFailed or EngineBusy."""
        started = self._started
        try:
            return await self._asked(clip)
        except EngineFailed as error:
            async with self._mending:
                if self._started == started:
                    log.warning("engine restarted", engine=self.choice.name, reason=str(error))
                    await self._model.close()
                    await self._model.start()
                    self._started += 1
            return await self._asked(clip)

    async def _asked(self, clip: AskedClip) -> str:
        loop = asyncio.get_running_loop()
        patience_ends_seconds = loop.time() + self.patience_seconds
        pause_seconds = BUSY_SECONDS
        while True:
            try:
                async with asyncio.timeout(REPLY_SECONDS):
                    return await self._model.words(clip)
            except TimeoutError:
                raise EngineFailed(f"did not reply within {REPLY_SECONDS:g} s") from None
            except EngineBusy:
                if loop.time() + pause_seconds > patience_ends_seconds:
                    raise
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, MOST_BUSY_SECONDS)
