"""Part of `bench.native`: clips of sizes at random for long, and no growth of memory."""

from __future__ import annotations

import time
from collections import deque
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.native_clock import IN_FLIGHT, wait_for
from bench.native_run import Bench
from bench.native_subjects import FPS, VariedScripts, scorer_of
from edgewatch.pipeline.engines.device_memory import resident_bytes
from edgewatch.pipeline.engines.model import AskedClip

PROMPTS = 24
LARGEST_TOKENS = 1200
"""Of a clip at random."""
SETTLE_SHARE = 0.3
"""Of the time, in which caches fill: growth is counted from then on."""


def random_sizes(bench: Bench) -> None:
    """Score batches of clips of any size with any text; memory must not grow, nor a score be lost.

    Growth is what the largest amount held after a batch in the last third exceeds that of the
    third before it: of the GPU's memory, on a CPU of the process's.
    """
    import torch

    precision = bench.precisions[0]
    scorer = scorer_of(
        bench.weights(precision).network(), bench.shape, VariedScripts(bench.shape), most_clips=8
    )
    random = np.random.default_rng(7)
    noise = random.integers(0, 256, 1 << 24, np.uint8)
    gpu = bench.device.type == "cuda"
    seconds = min(bench.options.random_seconds, bench.left_seconds)
    began = time.monotonic()
    held: list[tuple[float, int]] = []
    clips = 0
    flying: deque[Any] = deque()
    while (now := time.monotonic() - began) < seconds or len(held) < 4:
        batch = [_any_clip(random, noise) for _ in range(int(random.integers(1, 9)))]
        flying.append(scorer.launch(batch))
        clips += len(batch)
        if len(flying) >= IN_FLIGHT:
            scores = [answer.score for answer in scorer.collect(flying.popleft())]
            if not np.isfinite(scores).all():
                raise ArithmeticError(f"a score is no number: {scores}")
            held.append((now, torch.cuda.memory_allocated() if gpu else resident_bytes()))
    while flying:
        scorer.collect(flying.popleft())
    wait_for(bench.device)
    parts = _thirds(held, seconds)
    growth = max(parts[2]) - max(parts[1])
    reserved = torch.cuda.memory_reserved() if gpu else 0
    bench.figures |= {
        "random_clips": clips,
        "random_seconds": seconds,
        "random_growth_mb": growth / 1e6,
        "random_reserved_gb": reserved / 1e9,
        "random_most_clips": scorer.most_clips,
    }
    bench.say(
        f"random sizes: {clips} clips in {seconds:.0f} s, held at most by thirds "
        f"{'/'.join(f'{max(part) / 1e9:.3f}' for part in parts)} GB, growth {growth / 1e6:+.1f} MB,"
        f" reserved {reserved / 1e9:.2f} GB, largest batch {scorer.most_clips}"
    )


def _thirds(held: list[tuple[float, int]], seconds: float) -> list[list[int]]:
    """Return what was held in each third of the time, each at least once."""
    edges = (0.0, SETTLE_SHARE * seconds, (1 + SETTLE_SHARE) / 2 * seconds, float("inf"))
    parts = [[amount for at, amount in held if low <= at < high] for low, high in pairwise(edges)]
    return [part or [held[-1][1]] for part in parts]


def _any_clip(random: np.random.Generator, noise: npt.NDArray[np.uint8]) -> AskedClip:
    """Return a clip of 2 to 20 frames and at most `LARGEST_TOKENS`."""
    while True:
        pairs, rows, columns = (int(random.integers(1, most)) for most in (11, 17, 17))
        if pairs * rows * columns <= LARGEST_TOKENS:
            break
    shape = (2 * pairs, 28 * rows, 28 * columns, 3)
    size = int(np.prod(shape))
    first = int(random.integers(0, len(noise) - size)) if size < len(noise) else 0
    frames = np.resize(noise[first : first + size], shape)
    return AskedClip(frames, FPS, f"Report {random.integers(PROMPTS)}.")
