"""Short memory and broken devices: what every scorer that computes here makes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import load_network as load_native
from edgewatch.pipeline.engines.native.scoring import Scorer as NativeScorer
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.positions import Grid
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network as Library
from edgewatch.pipeline.engines.transformers.network import load_network as load_library
from edgewatch.pipeline.engines.transformers.rows import Rows
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer
from tests.pipeline.engines.asked_clips import asked
from tests.pipeline.engines.transformers.test_scoring import Watched, make_scorer

CPU = torch.device("cpu")
PAIRS = 2
"""Of frames of a clip of these tests."""
See = Callable[[int], None]
"""Called with the number of clips that a device is shown, before it sees them; may raise."""
Change = Callable[[torch.Tensor], torch.Tensor]
"""Of the states behind a batch's clips."""


class AnyScorer(Protocol):
    """What the scorers have in common."""

    most_clips: int

    def score(self, clips: Sequence[AskedClip]) -> list[Answer]: ...

    def words(self, clip: AskedClip, give_way: Callable[[], None]) -> str: ...


MakeScorer = Callable[[See, Change], AnyScorer]


def same(states: torch.Tensor) -> torch.Tensor:
    return states


class WatchedLibrary(Watched):
    """The library's network on a device that may fail."""

    def __init__(self, network: Library, see: See, change: Change) -> None:
        super().__init__(network)
        self._before, self._change = see, change

    def see(self, patches: torch.Tensor, grid: Grid, clips: int) -> torch.Tensor:
        self._before(clips)
        return super().see(patches, grid, clips)

    def read(self, rows: Rows, features: torch.Tensor) -> torch.Tensor:
        return self._change(super().read(rows, features))


class WatchedPart:
    """The tower or the model of our own network, on a device that may fail."""

    def __init__(self, part: Any, *, before: See | None = None, after: Change = same) -> None:
        self._part, self._before, self._after = part, before, after

    def see(self, pixels: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        assert self._before
        self._before(sum(map(len, pixels)) // PAIRS)
        seen: list[torch.Tensor] = self._part.see(pixels)
        return seen

    def read(self, *batch: Any, **options: Any) -> torch.Tensor:
        return self._after(self._part.read(*batch, **options))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.fixture(scope="module", params=["transformers", "native"])
def make(request: pytest.FixtureRequest, checkpoint: Checkpoint) -> MakeScorer:
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    if request.param == "transformers":
        library = load_library(checkpoint, CPU)
        return lambda see, change: make_scorer(
            WatchedLibrary(library, see, change), checkpoint, scripts
        )
    network = load_native(checkpoint.directory, checkpoint.pixels, CPU)
    parts: tuple[Any, Any] = network.vision, network.language

    def native(see: See, change: Change) -> NativeScorer:
        vision: Any = WatchedPart(parts[0], before=see)
        language: Any = WatchedPart(parts[1], after=change)
        network.vision, network.language = vision, language
        answers = answer_tokens(scripts.encode, Form())
        return NativeScorer(network, checkpoint, scripts, answers, Form())

    return native


class Holding:
    """A device that holds so many clips; beyond, its allocator's error is raised."""

    def __init__(self, clips: int, error: str) -> None:
        self._clips = clips
        self._error = error
        self.batches: list[int] = []

    def __call__(self, clips: int) -> None:
        self.batches.append(clips)
        if clips <= self._clips:
            return
        if self._error == "cpu":
            torch.empty(1 << 60, dtype=torch.uint8)  # what torch raises on a CPU, for real
        raise {
            "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
            "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas"),
            "pinned": RuntimeError("CUDA error: out of memory"),
        }[self._error]


def scores(answers: Sequence[Answer]) -> list[float]:
    return [one.score for one in answers]


@pytest.mark.parametrize("error", ["cpu", "cuda", "cublas", "pinned"])
def test_batch_that_does_not_fit_is_halved_and_the_smaller_one_kept(
    make: MakeScorer, error: str
) -> None:
    clips = [asked(seed) for seed in range(7)]
    expected = scores(make(Holding(8, error), same).score(clips))
    small = Holding(2, error)
    tight = make(small, same)
    assert scores(tight.score(clips)) == pytest.approx(expected, abs=1e-4)
    assert small.batches == [7, 4, 2, 2, 2, 1]
    assert tight.most_clips == 2
    small.batches.clear()
    tight.score(clips[:3])
    assert small.batches == [2, 1]


def test_clip_that_does_not_fit_alone_is_refused_with_its_size(make: MakeScorer) -> None:
    tight = make(Holding(0, "cpu"), same)
    with pytest.raises(EngineFailed, match=r"4 frames of 112x112 \(32 tokens\).*fewer \[clips\]"):
        tight.score([asked()])
    with pytest.raises(EngineFailed, match="does not fit"):
        tight.words(asked(), lambda: None)


def test_other_errors_of_a_device_are_no_short_memory(make: MakeScorer) -> None:
    def broken(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    scorer = make(Holding(8, "cpu"), broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        scorer.score([asked(), asked(1)])
    assert scorer.most_clips == 8


def test_answer_that_is_no_number_is_no_verdict(make: MakeScorer) -> None:
    def mad(states: torch.Tensor) -> torch.Tensor:
        changed = states.clone()
        if len(states) == 3:  # the clips, and not the text in front of them
            changed[1] = float("nan")
        return changed

    answers = make(Holding(8, "cpu"), mad).score([asked(0), asked(1), asked(2)])
    assert [np.isnan(answer.score) for answer in answers] == [False, True, False]
    assert answers[1].prompt_hash
