"""Parts of `bench.native`: how near to transformers in float32, and how much memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.engine_subjects import TEXT_AFTER, TEXT_BEFORE
from bench.native_peer import anomaly_of, library_of
from bench.native_run import CACHE_BYTES, VARIANTS, Bench
from bench.native_subjects import FPS, FRAMES, SIDE, FixedScripts, Precision
from edgewatch.pipeline.engines.memory_plan import WORDS_TOKENS
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.memory import usage_of_weights
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.setup import LargestClip

if TYPE_CHECKING:
    import torch

NOISE_CLIPS = 2
MOST_TIMES_THE_LIBRARYS = 1.2
"""Of its own error in bfloat16: what ours may be."""


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """What the library says in float32, with the places that we count."""

    logits: torch.Tensor
    """(clips, vocabulary), on the host."""
    anomaly: Sequence[float]


def accuracy(bench: Bench) -> None:
    """Hold logits and P(anomaly) against transformers in float32, at full shapes."""
    import torch

    clips = accuracy_clips(bench)
    bench.let_go()
    exact = Exact(*_of_library(bench, torch.float32, clips))
    _tell(bench, exact, "transformers_bf16", *_of_library(bench, torch.bfloat16, clips))
    for precision in bench.precisions:
        if not bench.enough(10, f"accuracy {precision}"):
            continue
        scorer = bench.scorer(bench.weights(precision).network())
        logits = scorer.logits(clips).float().cpu()
        _tell(bench, exact, precision, logits, anomaly_of(logits, bench.shape))
        alone = torch.cat([scorer.logits([clip]).float().cpu() for clip in clips])
        crowd = scorer.logits((clips * 8)[:8]).float().cpu()[: len(clips)]
        worst = max(_relative(crowd, alone), _relative(logits, alone))
        one, other = (anomaly_of(each, bench.shape) for each in (crowd, alone))
        moved = np.abs(np.subtract(one, other))
        bench.figures[f"{precision}_alone_or_in_a_batch_logits"] = worst
        bench.figures[f"{precision}_alone_or_in_a_batch_anomaly"] = float(moved.max())
        bench.say(f"{precision}: alone or in a batch of 8: logits {worst:.5f}, P {moved.max():.5f}")
    ours, theirs = (
        bench.figures.get(f"{name}_logits_relative_error", math.nan)
        for name in ("bf16", "transformers_bf16")
    )
    if math.isfinite(ours):
        bench.figures["bf16_error_ratio_transformers"] = ours / theirs
        bench.say(f"bf16: {ours / theirs:.3f}x transformers' own (<= {MOST_TIMES_THE_LIBRARYS})")


def accuracy_clips(bench: Bench) -> list[AskedClip]:
    """Return clips of noise, and one that changes smoothly in space and time."""
    rows = np.linspace(0.0, 1.0, SIDE)
    times = np.arange(1, FRAMES + 1)[:, None, None, None] * 12.0
    smooth = times * (rows[:, None] * rows)[None, ..., None] + np.array([0.0, 5.0, 10.0])
    frames = np.ascontiguousarray(smooth.clip(0, 255).astype(np.uint8))
    return [*bench.clips(NOISE_CLIPS), AskedClip(frames, FPS, "Report anything.")]


def _of_library(
    bench: Bench, dtype: torch.dtype, clips: Sequence[AskedClip]
) -> tuple[torch.Tensor, list[float]]:
    """Return logits on the host and P(anomaly) by the library, clip by clip."""
    import torch

    library = library_of(bench.shape, bench.device, dtype, FixedScripts(bench.shape))
    logits = torch.cat([library.logits([clip]).float().cpu() for clip in clips])
    del library
    bench.let_go_unused()
    return logits, anomaly_of(logits, bench.shape)


def _tell(
    bench: Bench, exact: Exact, name: str, logits: torch.Tensor, anomaly: Sequence[float]
) -> None:
    error = _relative(logits, exact.logits)
    moved = float(np.abs(np.subtract(anomaly, exact.anomaly)).max())
    bench.figures[f"{name}_logits_relative_error"] = error
    bench.figures[f"{name}_anomaly_max_abs_difference"] = moved
    shown = " ".join(f"{one:.4f}" for one in anomaly)
    bench.say(
        f"{name:18s} against transformers float32: logits {error:.5f}, P {shown} "
        f"(by at most {moved:.4f})"
    )


def _relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def memory(bench: Bench) -> None:
    """Hold the memory that was planned against torch's own peak, by batch."""

    if bench.device.type != "cuda":
        bench.say("memory: torch counts none on a CPU")
        return
    for precision in bench.precisions:
        bench.let_go()
        _memory_of(bench, precision)


def _memory_of(bench: Bench, precision: Precision) -> None:
    import torch

    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    network = bench.weights(precision).network()
    loading = torch.cuda.max_memory_allocated() - before
    weights = torch.cuda.memory_allocated() - before
    bench.figures[f"{precision}_weights_gb"] = weights / 1e9
    bench.figures[f"{precision}_loading_peak_gb"] = loading / 1e9
    bench.say(f"{precision}: weights {weights / 1e9:.2f} GB, {loading / 1e9:.2f} while made")
    made = bench.weights(precision)
    for batch in (1, 8):
        for words_tokens in (0, WORDS_TOKENS):
            planned = usage_of_weights(
                bench.shape.sizes,
                made.vision,
                made.language,
                LargestClip(FRAMES, SIDE * SIDE, FPS),
                text_tokens=TEXT_BEFORE + TEXT_AFTER,
                words_tokens=words_tokens,
                sight_bytes=CACHE_BYTES,
            ).peak_bytes(batch)
            scorer = bench.scorer(network, VARIANTS[1], words_tokens=words_tokens)
            torch.cuda.reset_peak_memory_stats()
            _use(scorer, bench, batch, describe=words_tokens > 0)
            peak = torch.cuda.max_memory_allocated() - before
            del scorer
            bench.let_go_unused()
            name = f"{precision}_batch_{batch}" + ("_words" if words_tokens else "")
            bench.figures[f"{name}_peak_gb"] = peak / 1e9
            bench.figures[f"{name}_planned_over_peak"] = planned / peak
            bench.say(
                f"{name}: planned {planned / 1e9:.2f} GB, peak {peak / 1e9:.2f} GB "
                f"({100 * (planned / peak - 1):+.1f} %)"
            )


def _use(scorer: Scorer, bench: Bench, batch: int, *, describe: bool) -> None:
    """Score batches as the engine does, two at a time, and have one clip described."""
    batches = bench.batches(batch, VARIANTS[1])
    flying = [scorer.launch(next(batches)) for _ in range(2)]
    for one in flying:
        scorer.collect(one)
    if describe:
        scorer.words(next(batches)[0], lambda: None)
    scorer.score(next(batches))
