"""One run of `bench.native`: its options, the network on the device, and what was found so far."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from bench.engine_subjects import TEXT_AFTER, TEXT_BEFORE
from bench.native_subjects import (
    FRAMES,
    SIDE,
    TEXT_LAST,
    Cameras,
    FixedScripts,
    Precision,
    Shape,
    ShapeName,
    Weights,
    noise_clips,
    random_source,
    scorer_of,
    shape_of,
    weights_of,
)
from bench.native_work import clip_flop
from edgewatch.pipeline.engines.device_memory import free_unused
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.prefixes import LEAST_TOKENS
from edgewatch.pipeline.engines.native.scoring import Scorer

if TYPE_CHECKING:
    from edgewatch.pipeline.engines.native.network import Network

CACHE_BYTES = 512_000_000
"""For what was seen: the setting's default."""
CLIPS = 32
"""Different clips that batches are made of, in turn."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured, and for how long."""

    shape: ShapeName = "7b"
    precisions: tuple[str, ...] = ("bf16", "fp8")
    batches: tuple[int, ...] = (8, 1, 4, 2, 16)
    seconds: float = 5.0
    random_seconds: float = 30.0
    until: float = float("inf")
    """Monotonic time at which nothing new is begun."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What is known of a clip before it is read."""

    name: str
    incremental: bool
    """Half of its pairs of frames were seen before."""
    question_first: bool


VARIANTS = (
    Variant("plain", False, False),
    Variant("incremental", True, False),
    Variant("question_first", False, True),
    Variant("both", True, True),
)


class Bench:
    """The state that a run's parts share. One thread only."""

    def __init__(self, options: Options, say: Callable[[str], None]) -> None:
        import torch

        self.options = options
        self.say = say
        self.figures: dict[str, float] = {}
        self.device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self.shape: Shape = shape_of(options.shape)
        self._clips: list[AskedClip] = []
        self._held: tuple[Precision, Weights] | None = None

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """Those asked for, in order."""
        return cast("tuple[Precision, ...]", self.options.precisions)

    @property
    def left_seconds(self) -> float:
        """Until nothing new is begun."""
        return self.options.until - time.monotonic()

    def enough(self, seconds: float, what: str) -> bool:
        """Whether so many seconds are left; tells what is left out otherwise."""
        if self.left_seconds >= seconds:
            return True
        self.say(f"left out for want of time: {what}")
        return False

    def weights(self, precision: Precision) -> Weights:
        """Return random weights on the device; only one precision's are held at a time."""
        if precision not in ("bf16", "fp8"):
            raise ValueError(f"precision {precision!r} is neither bf16 nor fp8")
        if self._held is None or self._held[0] != precision:
            self.let_go()
            began = time.perf_counter()
            made = weights_of(self.shape, random_source(self.shape, self.device, precision))
            self._held = precision, made
            self.say(f"{precision} weights made in {time.perf_counter() - began:.1f} s")
        return self._held[1]

    def let_go(self) -> None:
        """Free the weights."""
        self._held = None
        self.let_go_unused()

    def let_go_unused(self) -> None:
        """Give back what nothing refers to."""
        gc.collect()
        free_unused(self.device)

    def scorer(
        self, network: Network, variant: Variant = VARIANTS[0], *, words_tokens: int = 0
    ) -> Scorer:
        """Return a scorer of a variant, with caches of its own."""
        text = TEXT_BEFORE + TEXT_AFTER
        after = TEXT_LAST if variant.question_first else TEXT_AFTER
        scripts = FixedScripts(self.shape, text - after, after)
        most = max(self.options.batches)
        return scorer_of(
            network,
            self.shape,
            scripts,
            most_clips=most,
            words_tokens=words_tokens,
            sight_bytes=CACHE_BYTES if variant.incremental else 0,
        )

    def clips(self, count: int) -> list[AskedClip]:
        """Return so many different clips of noise."""
        if len(self._clips) < count:
            self._clips = noise_clips(max(count, CLIPS if self.device.type == "cuda" else count))
        return self._clips[:count]

    def batches(self, count: int, variant: Variant = VARIANTS[0]) -> Iterator[Sequence[AskedClip]]:
        """Return batches without end: of all the clips there are in turn, or a camera's each."""
        if variant.incremental:
            cameras = Cameras(count)
            while True:
                yield cameras.next()
        clips = itertools.cycle(self.clips(count) and self._clips)
        while True:
            yield [next(clips) for _ in range(count)]

    def flop(self, variant: Variant) -> float:
        """Return the operations of one clip."""
        text, pairs, tokens = TEXT_BEFORE + TEXT_AFTER, FRAMES // 2, SIDE // 28
        known = text - TEXT_LAST if variant.question_first else TEXT_BEFORE
        return clip_flop(
            self.shape.sizes,
            pairs=pairs,
            seen_pairs=pairs // 2 if variant.incremental else pairs,
            rows=tokens,
            columns=tokens,
            known=known if known >= LEAST_TOKENS else 0,
            text=text,
        )
