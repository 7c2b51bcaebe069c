"""Self-test of a loaded engine: does it see, does it keep clips apart, how long does it take?"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import LargestClip
from edgewatch.pipeline.engines.tensorrt.plan import LOGPROBS
from edgewatch.pipeline.engines.trial_clips import black_clip, noise_clip
from edgewatch.pipeline.errors import EngineFailed

SAME_WITHIN = 0.1
"""Two answers to one clip may differ by so much in the logarithm of the best token: kernels choose
their order of adding by what else is in the batch."""

FirstToken = Mapping[int, float]
Ask = Callable[[AskedClip], Awaitable[FirstToken]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the self-test saw."""

    clip_seconds: float
    """One clip alone."""
    batch_seconds: float
    """A full batch."""


async def self_test(ask: Ask, largest: LargestClip, max_batch: int) -> Measured:
    """Try an engine. Raises EngineFailed that says what it did wrong."""
    black, noise = black_clip(largest), noise_clip(largest)
    first = _sound(await ask(black))
    other = _sound(await ask(noise))
    started = time.monotonic()
    again = _sound(await ask(black))
    clip_seconds = time.monotonic() - started
    if _distance(first, again) > SAME_WITHIN:
        raise EngineFailed(
            "the engine answers the same clip differently each time: "
            f"{_distance(first, again):.3f} apart in the logarithm of a probability"
        )
    if first == other:
        raise EngineFailed(
            "the engine answers a black clip and noise alike: it does not see the video, or "
            "answers for the clip before"
        )
    # A batch is asked at once; each answer must be that of its own clip.
    started = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        asked = [
            tasks.create_task(_asked(ask, noise if number % 2 else black), name=f"trial {number}")
            for number in range(max_batch)
        ]
    batch_seconds = time.monotonic() - started
    for number, task in enumerate(asked):
        own, strange = (other, first) if number % 2 else (first, other)
        answer = _sound(task.result())
        if _distance(answer, own) > _distance(answer, strange):
            raise EngineFailed("the engine mixes up the clips of a batch")
    return Measured(clip_seconds, batch_seconds)


async def _asked(ask: Ask, clip: AskedClip) -> FirstToken:
    return await ask(clip)


def _sound(answer: FirstToken) -> FirstToken:
    if len(answer) < LOGPROBS:
        raise EngineFailed(f"the engine named {len(answer)} tokens, not {LOGPROBS}")
    if any(math.isnan(value) for value in answer.values()):
        raise EngineFailed(
            "the engine's probabilities are no numbers: the checkpoint is damaged, or its "
            "quantisation is not right for this GPU",
            "export the checkpoint again (docs/engines.md)",
        )
    total = sum(math.exp(value) for value in answer.values())
    if total > 1.001:
        raise EngineFailed(f"the engine's probabilities add up to {total:.3f}")
    return answer


def _distance(one: FirstToken, other: FirstToken) -> float:
    """Return how far apart two answers are: at the tokens that both find most probable."""
    best = {max(one, key=one.__getitem__), max(other, key=other.__getitem__)}
    floor = min(*one.values(), *other.values())
    return max(abs(one.get(token, floor) - other.get(token, floor)) for token in best)
