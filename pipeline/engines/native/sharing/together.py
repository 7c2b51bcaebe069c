"""One scorer on several devices: each process runs it on its shard, batch for batch in lockstep.

The first process is asked, and says to the others what it is about to do; they do the same. It
alone sees: its tower keeps what it saw, and a model that needs several devices is many times the
tower's size. What it saw is handed over, and then all read. All of them come to the same states,
so nothing needs to be collected but on the first.

Memory that turns out to be short ends them all: one cannot take a smaller batch by itself while
the others wait for its sums.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from edgewatch.pipeline.engines.device_memory import free_sentence, is_out_of_memory
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.scoring import Launched, Scorer
from edgewatch.pipeline.engines.native.sharing.collective import hand_over
from edgewatch.pipeline.engines.native.words.describing import Style
from edgewatch.pipeline.errors import EngineBusy, EngineFailed

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Shown:
    """A clip, as far as others than the first process need it: all but its pixels."""

    shape: tuple[int, ...]
    fps: float
    prompt: str
    question: str
    still: bool

    @staticmethod
    def of(clip: AskedClip) -> Shown:
        """Return what is told of a clip."""
        return Shown(clip.frames.shape, clip.fps, clip.prompt, clip.question, clip.still)

    @property
    def clip(self) -> AskedClip:
        """A clip of that shape, whose pixels take no memory and are not to be looked at."""
        frames = np.broadcast_to(np.zeros((), np.uint8), self.shape)
        return AskedClip(frames, self.fps, self.prompt, question=self.question, still=self.still)


@dataclass(frozen=True, slots=True)
class Launch:
    """Launch these clips in batches of at most `most_clips`."""

    clips: tuple[Shown, ...]
    most_clips: int


@dataclass(frozen=True, slots=True)
class Compare:
    """Compute these clips' logits."""

    clips: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Describe:
    """Describe this clip; before each token a `Step` says whether to go on."""

    clip: Shown


@dataclass(frozen=True, slots=True)
class Step:
    """Write one more token, or give up."""

    go_on: bool


Tell = Callable[[Any], None]
"""Sends a message to all other processes."""
Hear = Callable[[], Any]
"""Waits for the next message of the first process."""
HandOver = Callable[["torch.Tensor"], None]
"""Gives the first process's tensor to all; elsewhere it is written over."""


class _SharedScorer(Scorer):
    """What both have in common."""

    def __init__(
        self,
        *parts: Any,
        share: HandOver = hand_over,
        style: Style | None = None,
        **options: Any,
    ) -> None:
        # One token of a model of this size takes longer than launching its kernels: no graphs.
        style = replace(style or Style(), graphs=False)
        super().__init__(*parts, style=style, lockstep=True, **options)
        self._share = share

    def _within_memory(self, clips: Sequence[AskedClip], part: list[int]) -> Launched | None:
        try:
            return self._launch(clips, part)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise EngineFailed(
                f"a batch of {len(part)} clips does not fit into the memory of "
                f"{free_sentence(self.network.device)}",
                "lower [engine] max_batch: engines that share a model cannot do so by themselves",
            ) from error


class LeadingScorer(_SharedScorer):
    """The first process's: tells the others, and hands over what it saw."""

    def __init__(self, *parts: Any, tell: Tell, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._tell = tell

    def launch(self, clips: Sequence[AskedClip]) -> list[Launched]:
        """See `Scorer`."""
        self._tell(Launch(tuple(map(Shown.of, clips)), self.most_clips))
        return super().launch(clips)

    def logits(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        """See `Scorer`."""
        self._tell(Compare(tuple(map(Shown.of, clips))))
        return super().logits(clips)

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str:
        """See `Scorer`."""
        self._tell(Describe(Shown.of(clip)))

        def together() -> None:
            try:
                give_way()
            except BaseException:
                self._tell(Step(go_on=False))
                raise
            self._tell(Step(go_on=True))

        return super().words(clip, together)

    def _features(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        features = super()._features(clips).contiguous()
        self._share(features)
        return features


class FollowingScorer(_SharedScorer):
    """Any other's: does what it is told, and is handed what the first one saw."""

    def __init__(self, *parts: Any, hear: Hear, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._hear = hear

    def obey(self, message: Any) -> None:
        """Do what the first process does. Raises EngineFailed."""
        match message:
            case Launch(clips, most_clips):
                self.most_clips = most_clips
                self.launch([one.clip for one in clips])
            case Compare(clips):
                self.logits([one.clip for one in clips])
            case Describe(shown):
                try:
                    self.words(shown.clip, self._wait_for_step)
                except EngineBusy:
                    return
            case _:
                raise EngineFailed(f"a process of the engine was told {message!r}")

    def _wait_for_step(self) -> None:
        if not self._hear().go_on:
            raise EngineBusy("the description was given up")

    def _features(self, clips: Sequence[AskedClip]) -> torch.Tensor:
        import torch

        side = self._checkpoint.pixels.side
        tokens = sum(math.prod(one.frames.shape[:3]) // (2 * side**2) for one in clips)
        network = self.network
        features = torch.empty(
            (tokens, network.sizes.language.width), dtype=network.dtype, device=network.device
        )
        self._share(features)
        return features
