"""`bench.native --quick`: a tiny model on a CPU, held against transformers.

Its checkpoint is written by transformers and loaded as any other. Logits are compared for clips of
several sizes, alone and in mixed batches, with texts known and read; then again where half of each
clip was seen before. Times are told as ratios to the library's forward in the same run.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.native_peer import Library
from bench.native_subjects import Cameras, noise_clips, shape_of
from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.prefixes import Prefixes
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import read_checkpoint
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from tests.fakes.tiny_qwen import make_tiny_qwen

if TYPE_CHECKING:
    import torch

SIZES = ((20, 252, 252), (6, 196, 336), (4, 112, 112), (8, 112, 224), (2, 28, 28), (10, 84, 140))
"""(frames, height, width)."""
PROMPTS = ("Look.", "A longer prompt, of another length.", "Look.", "Smoke.", "Look.", "Look.")
ROUNDS = 3
CACHE_BYTES = 4_000_000


def quick_figures(say: Callable[[str], None]) -> dict[str, float]:
    """Return every figure."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tiny = _Tiny(make_tiny_qwen(Path(folder) / "tiny-qwen"))
    say(f"torch {torch.__version__}, tiny model, {tiny.network.dtype}, one thread")
    clips = [
        replace(clip, prompt=prompt)
        for size, prompt in zip(SIZES, PROMPTS, strict=True)
        for clip in noise_clips(1, frames=size[0], height=size[1], width=size[2], seed=size[1])
    ]
    return {
        "logits_max_relative_difference_transformers": tiny.difference(clips),
        "incremental_max_relative_difference": tiny.incremental_difference(),
        **tiny.times(),
    }


class _Tiny:
    """The tiny model, in the engine and in the library."""

    def __init__(self, directory: Path) -> None:
        import torch
        from transformers import Qwen2_5_VLForConditionalGeneration

        self._checkpoint = read_checkpoint(directory)
        self._scripts = ScriptReader(directory, self._checkpoint.video_token)
        self._answers = answer_tokens(self._scripts.encode, Form())
        cpu = torch.device("cpu")
        self.network: Network = load_network(directory, self._checkpoint.pixels, cpu)
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            directory, dtype=torch.float32, attn_implementation="sdpa"
        )
        shape = replace(
            shape_of("tiny"),
            config=model.config.to_dict() | {"video_token_id": self._checkpoint.video_token},
        )
        self._library = Library(model, shape, self._scripts)

    def scorer(self, *, cached: bool = False, least_tokens: int = 1) -> Scorer:
        """Return a scorer with caches of its own."""
        scorer = Scorer(
            self.network,
            self._checkpoint,
            self._scripts,
            self._answers,
            Form(words_tokens=0),
            most_clips=8,
            sight_bytes=CACHE_BYTES if cached else 0,
        )
        scorer._prefixes = Prefixes(self.network.language, least_tokens=least_tokens)
        return scorer

    def difference(self, clips: Sequence[AskedClip]) -> float:
        """Return how far logits are from the library's at most: alone, and all in one batch.

        In a batch twice: with the texts in front of the videos known, and with all read.
        """
        theirs = [self._library.logits([clip])[0] for clip in clips]
        known, read = self.scorer(least_tokens=1), self.scorer(least_tokens=10_000)
        found = [known.logits([clip])[0] for clip in clips]
        found += [*known.logits(clips), *read.logits(clips)]
        return max(map(_relative, found, theirs * 3))

    def incremental_difference(self) -> float:
        """Return how far logits are from the library's at most where half a clip is known."""
        cameras, scorer = Cameras(2, frames=8, side=112), self.scorer(cached=True)
        worst = 0.0
        for _ in range(4):
            clips = cameras.next()
            theirs = [self._library.logits([clip])[0] for clip in clips]
            worst = max(worst, *map(_relative, scorer.logits(clips), theirs))
        figures = scorer.figures
        assert figures.sight_hits == 3 * 2 * 2, figures  # three later clips' halves, two cameras
        return worst

    def times(self) -> dict[str, float]:
        """Time one clip of the usual size: the library's forward in ms, all else as ratios."""
        clips, cameras = noise_clips(1), Cameras(1)
        plain, cached = self.scorer(), self.scorer(cached=True)
        works: dict[str, Callable[[], object]] = {
            "transformers": lambda: self._library.logits(clips),
            "plain": lambda: plain.score(clips),
            "incremental": lambda: cached.score(cameras.next()),
        }
        found: dict[str, list[float]] = {name: [] for name in works}
        for number in range(ROUNDS + 1):
            for name, work in works.items():
                began = time.perf_counter()
                work()
                if number:
                    found[name].append(time.perf_counter() - began)
        medians = {name: statistics.median(each) for name, each in found.items()}
        library = medians.pop("transformers")
        ratios = {f"{name}_ratio_transformers": library / each for name, each in medians.items()}
        return {"transformers_ms": 1e3 * library, **ratios}


def _relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())
