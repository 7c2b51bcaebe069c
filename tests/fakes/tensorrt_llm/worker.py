"""The executor: a thread that batches requests, keeps KV blocks, and can die unnoticed."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass, field

from tests.fakes.tensorrt_llm.answers import first_token
from tests.fakes.tensorrt_llm.parameters import SamplingParams
from tests.fakes.tensorrt_llm.record import Control, RequestError, report
from tests.fakes.tensorrt_llm.results import CompletionOutput, RequestOutput
from tests.fakes.tensorrt_llm.videos import Seen

OUT_OF_MEMORY = (
    "CUDA out of memory. Tried to allocate 1.21 GiB. GPU 0 has a total capacity of 121.69 GiB"
)
WORDS = ("A", "bright", "thing", "moves", "through", "the", "middle", "of", "the", "picture")


@dataclass
class Request:
    """A request in the executor."""

    number: int
    result: RequestOutput
    sampling: SamplingParams
    prompt_tokens: int
    pads: int
    seen: Seen | None
    mark: str
    blocks: int
    prompt: str
    output: CompletionOutput = field(default_factory=CompletionOutput)


class Worker:
    """Steps as the library's executor does: some requests an iteration, answers in any order."""

    def __init__(
        self, *, max_batch_size: int, max_num_tokens: int, kv_blocks: int, block_reuse: bool
    ) -> None:
        self._max_batch_size = max_batch_size
        self._max_num_tokens = max_num_tokens
        self._kv_blocks = self._free_blocks = kv_blocks
        self._reuse: dict[str, Seen | None] | None = {} if block_reuse else None
        self._changed = threading.Condition()
        self._waiting: list[Request] = []
        self._active: list[Request] = []
        self._aborted: set[int] = set()
        self._closing = False
        self._random = random.Random(7)
        self.hashing = True
        self.control = Control()
        self._thread = threading.Thread(target=self._run, name="executor", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        with self._changed:
            return len(self._waiting) + len(self._active)

    def submit(self, request: Request) -> None:
        with self._changed:
            self._waiting.append(request)
            self._changed.notify_all()

    def abort(self, number: int) -> None:
        with self._changed:
            self._aborted.add(number)
            self._changed.notify_all()

    def close(self) -> int:
        """End the thread; return how many blocks were never given back."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(5.0)
        return self._kv_blocks - self._free_blocks

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._waiting or self._active)
                if self._closing:
                    self._cancel()
                    return
            time.sleep(self.control.step_seconds)
            with self._changed:
                self._cancel()
                fresh = self._admit()
            if not self._forward(fresh):
                report("zombie")
                return  # and nobody hears of it

    def _cancel(self) -> None:
        for request in [r for r in (*self._waiting, *self._active) if r.number in self._aborted]:
            (self._waiting if request in self._waiting else self._active).remove(request)
            request.output.finish_reason = "cancelled"
            request.output.logprobs = []
            self._end(request, request.output, held=request.blocks if request.output.index else 0)

    def _admit(self) -> list[Request]:
        fresh: list[Request] = []
        tokens = 0
        while self._waiting and len(self._active) + len(fresh) < self._max_batch_size:
            request = self._waiting[0]
            fits = tokens + request.prompt_tokens <= self._max_num_tokens
            if not fits or request.blocks > self._free_blocks:
                break
            self._waiting.pop(0)
            self._free_blocks -= request.blocks
            request.output.index = 1  # stands for: it holds blocks
            tokens += request.prompt_tokens
            fresh.append(request)
        return fresh

    def _forward(self, fresh: list[Request]) -> bool:
        """Run one step; False if the thread dies of it."""
        if fresh:
            report("step", requests=len(fresh), tokens=sum(r.prompt_tokens for r in fresh))
        with self._changed:
            self._active += fresh
            active = list(self._active)
        for request in fresh:
            if request.mark == "exit":
                os._exit(137)
            if request.mark == "never":
                return False
            if request.mark == "oom":
                return self._fail_all(OUT_OF_MEMORY)
            if request.seen and not request.pads:
                return self._fail_all(
                    "Multimodal token count mismatch: found 0 image tokens in input_ids but "
                    f"received {request.seen.tokens} image embeddings."
                )
        if len({request.sampling.logprobs is None for request in active}) > 1:
            # The sampler takes the largest of all, None among them.
            return self._fail_all(
                "'>' not supported between instances of 'NoneType' and 'int'", lives=True
            )
        self._random.shuffle(active)
        for request in active:
            self._advance(request)
        return True

    def _advance(self, request: Request) -> None:
        if request.mark in ("request_error", "input_error"):
            text = {
                "request_error": "Encountered an error: the device hiccupped",
                "input_error": "The prompt is invalid: multimodal input not supported here",
            }[request.mark]
            self._drop(request, RequestError(text))
            return
        if request.mark == "slow":
            return  # it stays active, and is answered only by an abort
        output, sampling = request.output, request.sampling
        seen = self._recalled(request)
        logprobs = first_token(
            seen.brightness if seen else 0.5, request.mark, max(1, sampling.logprobs or 1)
        )
        output.token_ids.append(next(iter(logprobs)))
        if sampling.logprobs:
            output.logprobs.append(logprobs)
        if len(output.token_ids) < min(sampling.max_tokens, len(WORDS)):
            return
        whole = len(output.token_ids) < sampling.max_tokens
        output.finish_reason = "stop" if whole else "length"
        if sampling.detokenize:
            output.text = " ".join(WORDS[: len(output.token_ids)])
        output.index = 0
        self._drop(request, output)

    def _recalled(self, request: Request) -> Seen | None:
        """Return what the model sees: with blocks reused and no hashes, what it saw before."""
        if self._reuse is None:
            return request.seen
        key = request.prompt
        if self.hashing and request.seen:
            key += str(request.seen.content)
        return self._reuse.setdefault(key, request.seen)

    def _drop(self, request: Request, end: CompletionOutput | Exception) -> None:
        with self._changed:
            if request in self._active:
                self._active.remove(request)
            self._end(request, end, held=request.blocks)

    def _end(self, request: Request, end: CompletionOutput | Exception, *, held: int) -> None:
        self._free_blocks += held
        self._aborted.discard(request.number)
        request.output.index = 0
        request.result.finish(end)

    def _fail_all(self, text: str, *, lives: bool = False) -> bool:
        for request in list(self._active):
            self._drop(request, RequestError(text))
        return lives
