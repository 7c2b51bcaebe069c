"""A model in TensorRT-LLM: scores by the first token, words at lower priority, trials on doubt."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import structlog

from edgewatch.pipeline.engines.answers import (
    AnswerTokens,
    answer_of_tokens,
    answer_tokens,
    unreadable,
)
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.question import (
    IMAGE,
    VIDEO,
    Question,
    free_question,
    verdict_question,
    words_question,
)
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.tensorrt.checks import checked, weights_hash
from edgewatch.pipeline.engines.tensorrt.faults import Concern
from edgewatch.pipeline.engines.tensorrt.loading import load
from edgewatch.pipeline.engines.tensorrt.plan import Plan, misshapen
from edgewatch.pipeline.engines.tensorrt.requests import Library, RequestFailed, Requests
from edgewatch.pipeline.engines.tensorrt.selftest import Measured, self_test
from edgewatch.pipeline.engines.trial_clips import black_clip
from edgewatch.pipeline.errors import AnswerUnreadable, EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

TRIAL_SECONDS = 30.0
"""Longest wait for an answer in the self-test: kernels are still being chosen."""
CANARY_SECONDS = 5.0
"""Longest wait for the answer that shows that the engine lives."""
WORDS_SECONDS = 30.0
LEAST_LIMIT_SECONDS, MOST_LIMIT_SECONDS = 5.0, 25.0
"""Bounds of the wait for a clip's score; between them, `LIMIT_BATCHES` full batches."""
LIMIT_BATCHES = 10
PATIENCE_BATCHES = 2
"""Words run beside scores in the same steps, and hardly slow them; where a batch waits longer than
this many, they do, and are given up."""
LEAST_PATIENCE_SECONDS = 0.1


class _Loaded:
    """What there is once the model is loaded."""

    def __init__(self, library: Library, tokens: AnswerTokens, requests: Requests) -> None:
        self.library = library
        self.tokens = tokens
        self.requests = requests
        self.limit_seconds = TRIAL_SECONDS
        self.patience_seconds = LEAST_PATIENCE_SECONDS
        self.answered_seconds = -math.inf
        """When it last answered a trial, on the monotonic clock."""

    def take(self, measured: Measured, least_limit_seconds: float) -> None:
        """Set limits by what was measured."""
        limit_seconds = LIMIT_BATCHES * measured.batch_seconds
        self.limit_seconds = min(MOST_LIMIT_SECONDS, max(least_limit_seconds, limit_seconds))
        self.patience_seconds = max(
            LEAST_PATIENCE_SECONDS, PATIENCE_BATCHES * measured.batch_seconds
        )


class TensorRtModel:
    """A checkpoint in TensorRT-LLM; to be hosted by a child process, once in it.

    All methods belong to one event loop; `start` blocks it while the model loads, and `score` for
    the time of preprocessing.
    """

    def __init__(
        self,
        setup: EngineSetup,
        *,
        canary_seconds: float = CANARY_SECONDS,
        least_limit_seconds: float = LEAST_LIMIT_SECONDS,
    ) -> None:
        self._setup = setup
        self._canary_seconds = canary_seconds
        self._least_limit_seconds = least_limit_seconds
        self._room = Plan.of(setup)
        self._loaded: _Loaded | None = None
        self._hash = ""
        self._missed = 0
        """Batches in a row of which a clip was not answered in time."""
        self._trial = asyncio.Lock()
        self._speaking = asyncio.Lock()
        self._words_limit: asyncio.Timeout | None = None

    @property
    def name(self) -> str:
        """Kind, directory and hash of the weights."""
        model = self._setup.model.name if self._setup.model else "none"
        return f"tensorrt:{model}@{self._hash}" if self._hash else f"tensorrt:{model}"

    @property
    def max_batch(self) -> int:
        """As set."""
        return self._setup.max_batch

    async def start(self) -> None:
        """Check the checkpoint, load it, and try it. Raises EngineFailed with a cure."""
        model = self._setup.model
        if model is None:
            raise EngineFailed("[engine] model is missing", "set it to a checkpoint's directory")
        found = checked(model, self._setup.largest_clip)
        for warning in found.warnings:
            log.warning("checkpoint", warning=warning)
        self._hash = weights_hash(model)
        log.info(
            "engine loading",
            model=str(model),
            quantisation=found.quantisation,
            weights_bytes=found.weights_bytes,
            kv_tokens=self._room.kv_tokens,
        )
        library = load(self._setup, model, self._room)
        requests = Requests(
            library,
            in_flight=self._room.in_flight,
            words_tokens=self._setup.form.words_tokens,
        )
        self._loaded = loaded = _Loaded(
            library, answer_tokens(_encoder(library), self._setup.form), requests
        )
        await self._test(loaded)

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips. Raises EngineFailed if TensorRT-LLM is, or seems to be, dead."""
        loaded = self._ready()
        loop = asyncio.get_running_loop()
        hush = loop.call_later(loaded.patience_seconds, self._hush)
        try:
            async with asyncio.TaskGroup() as tasks:
                asked = [
                    tasks.create_task(self._outcome(loaded, clip), name=f"clip {number}")
                    for number, clip in enumerate(clips)
                ]
        except* EngineFailed as failures:
            raise _first(failures) from failures
        finally:
            hush.cancel()
        outcomes = [task.result() for task in asked]
        late = [one for one in outcomes if isinstance(one, RequestFailed) and one.late]
        self._missed = self._missed + 1 if late else 0
        if self._missed > 1:
            raise EngineFailed(f"TensorRT-LLM was late for two batches in a row ({late[0]})")
        return [
            unreadable(self._question(clip).hash) if isinstance(outcome, Exception) else outcome
            for clip, outcome in zip(clips, outcomes, strict=True)
        ]

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip. Raises EngineBusy if scores wait for it, or EngineFailed."""
        loaded = self._ready()
        form = self._setup.form
        if not form.words_tokens:
            return ""
        question = (
            free_question(clip.question) if clip.question else words_question(clip.prompt, form)
        )
        prompt = question.chat(IMAGE if clip.still else VIDEO)
        async with self._speaking:
            try:
                _check(clip, prompt)
                async with asyncio.timeout(None) as self._words_limit:
                    return await _words(loaded.requests, clip, prompt)
            except TimeoutError:
                raise EngineBusy("words were given up, as clips wait to be scored") from None
            except RequestFailed as error:
                await self._weigh(loaded, error)
                raise EngineBusy(f"no words: {error}") from error
            finally:
                self._words_limit = None

    async def close(self) -> None:
        """Shut TensorRT-LLM down; idempotent. May block: whoever hosts it sets the limit."""
        loaded, self._loaded = self._loaded, None
        if loaded:
            loaded.library.llm.shutdown()

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise EngineFailed("TensorRT-LLM is not loaded")
        return self._loaded

    def _question(self, clip: AskedClip) -> Question:
        return verdict_question(clip.prompt, self._setup.form)

    async def _outcome(self, loaded: _Loaded, clip: AskedClip) -> Answer | Exception:
        """Return a clip's answer, or why it has none. Raises EngineFailed if none will have one."""
        question = self._question(clip)
        try:
            prompt = question.chat()
            _check(clip, prompt)
            first = await loaded.requests.first_token(
                prompt, clip.frames, clip.fps, loaded.limit_seconds
            )
            return answer_of_tokens(first, loaded.tokens, self._setup.form, question.hash)
        except AnswerUnreadable as error:
            log.warning("clip not scored", reason=str(error))
            return error
        except RequestFailed as error:
            log.warning("clip not scored", reason=str(error))
            await self._weigh(loaded, error)
            return error

    async def _weigh(self, loaded: _Loaded, failure: RequestFailed) -> None:
        """Find out what a failure means for the engine. Raises EngineFailed if it is gone."""
        if failure.concern is Concern.ENGINE:
            raise EngineFailed(f"TensorRT-LLM is gone ({failure})")
        if failure.concern is Concern.CLIP:
            return
        failed_seconds = time.monotonic()
        clip = black_clip(self._setup.largest_clip)
        async with self._trial:
            if loaded.answered_seconds > failed_seconds:
                return  # it was tried for another clip of the batch
            try:
                await loaded.requests.first_token(
                    self._question(clip).chat(), clip.frames, clip.fps, self._canary_seconds
                )
            except RequestFailed as error:
                raise EngineFailed(
                    f"TensorRT-LLM accepts clips and does not answer ({failure}; then {error})",
                    "lower [engine] max_batch" if "out of memory" in str(failure) else "",
                ) from error
            loaded.answered_seconds = time.monotonic()
        log.warning("engine suspected, but it answers", reason=str(failure))

    async def _test(self, loaded: _Loaded) -> None:
        async def ask(clip: AskedClip) -> dict[int, float]:
            try:
                return await loaded.requests.first_token(
                    self._question(clip).chat(), clip.frames, clip.fps, TRIAL_SECONDS
                )
            except RequestFailed as error:
                raise EngineFailed(f"TensorRT-LLM failed at its self-test ({error})") from error

        try:
            measured = await self_test(ask, self._setup.largest_clip, self.max_batch)
        except* EngineFailed as failures:
            raise _first(failures) from failures
        loaded.take(measured, self._least_limit_seconds)
        inputs = getattr(loaded.library.llm, "input_processor", None)
        if getattr(inputs, "multimodal_hashing_supported", True) is False:
            log.warning("videos are not told apart by hashes", cure="blocks are never reused here")
        log.info(
            "engine tried",
            clip_ms=round(1000 * measured.clip_seconds),
            batch_ms=round(1000 * measured.batch_seconds),
            limit_seconds=round(loaded.limit_seconds, 1),
        )

    def _hush(self) -> None:
        """End the description under way: a batch waits longer than it should."""
        if self._words_limit is not None and not self._words_limit.expired():
            self._words_limit.reschedule(asyncio.get_running_loop().time())


async def _words(requests: Requests, clip: AskedClip, prompt: str) -> str:
    if clip.still:
        return await requests.text_about_picture(prompt, clip.frames[0], WORDS_SECONDS)
    return await requests.text(prompt, clip.frames, clip.fps, WORDS_SECONDS)


def _check(clip: AskedClip, prompt: str) -> None:
    """Raise RequestFailed for a clip with which TensorRT-LLM would go wrong."""
    if reason := misshapen(clip.frames, clip.fps):
        raise RequestFailed(Concern.CLIP, reason)
    # A prompt of the settings could bring a second video, or end its turn. Without a video,
    # the forward pass fails and takes the engine along.
    places = prompt.count("<|video_pad|>") + prompt.count("<|image_pad|>")
    if "<|" in clip.prompt + clip.question or places != 1:
        raise RequestFailed(Concern.CLIP, 'the prompt holds "<|", which begins control tokens')


def _encoder(library: Library) -> Callable[[str], Sequence[int]]:
    tokenizer = library.llm.tokenizer
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False))


def _first(failures: BaseExceptionGroup[EngineFailed]) -> EngineFailed:
    """Return one failure of several that came at once."""
    one = failures.exceptions[0]
    return _first(one) if isinstance(one, BaseExceptionGroup) else one
