"""Logits are those of transformers' own forward, for every geometry, packing and prefix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import Network, load_network
from edgewatch.pipeline.engines.native.prefixes import Prefixes
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network as Library
from edgewatch.pipeline.engines.transformers.network import load_network as load_library
from edgewatch.pipeline.engines.transformers.rows import Row, lay_out
from tests.pipeline.engines.asked_clips import asked

if TYPE_CHECKING:
    import torch

GEOMETRIES = (
    (4, 112, 112),
    (20, 252, 252),
    (6, 196, 336),
    (8, 112, 224),
    (2, 28, 28),
    (10, 84, 140),
    (6, 308, 56),
)
"""(frames, height, width)."""
RELATIVE = 1e-5


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.fixture(scope="module")
def network(checkpoint: Checkpoint) -> Network:
    import torch

    return load_network(checkpoint.directory, checkpoint.pixels, torch.device("cpu"))


@pytest.fixture(scope="module")
def library(checkpoint: Checkpoint) -> Library:
    import torch

    return load_library(checkpoint, torch.device("cpu"))


@pytest.fixture
def scorer(network: Network, checkpoint: Checkpoint) -> Scorer:
    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    form = Form()
    return Scorer(network, checkpoint, scripts, answer_tokens(scripts.encode, form), form)


def clip_of(geometry: tuple[int, int, int], seed: int = 0, prompt: str = "Look.") -> AskedClip:
    frames, height, width = geometry
    return asked(seed, frames=frames, height=height, width=width, prompt=prompt)


def of_library(library: Library, checkpoint: Checkpoint, clip: AskedClip) -> torch.Tensor:
    """One clip's logits by the library's forward, in its own way with windows."""
    import torch

    scripts = ScriptReader(checkpoint.directory, checkpoint.video_token)
    script = scripts.script(verdict_question(clip.prompt, Form()))
    grid = grid_of(clip.frames.shape, checkpoint.pixels)
    rows = lay_out(
        [Row(script, clip.fps)],
        grid,
        video_token=checkpoint.video_token,
        temporal_patch=checkpoint.pixels.temporal_patch,
        tokens_per_second=checkpoint.tokens_per_second,
    )
    with library.windows.ungrouped(), torch.inference_mode():
        patches = library.patcher.patches(torch.from_numpy(clip.frames[None].copy()))
        states = library.read(rows, library.see(patches, grid, 1))
        logits: torch.Tensor = library.model.lm_head(states)[0]
    return logits


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_one_clip(
    scorer: Scorer, library: Library, checkpoint: Checkpoint, geometry: tuple[int, int, int]
) -> None:
    clip = clip_of(geometry)
    ours = scorer.logits([clip])[0]
    assert difference(ours, of_library(library, checkpoint, clip)) < RELATIVE


MIXED = [
    clip_of((4, 112, 112), 1),
    clip_of((6, 196, 336), 2, "A longer prompt, of other length."),
    clip_of((4, 112, 112), 3),
    clip_of((4, 112, 112), 4, "Smoke."),
    clip_of((2, 28, 28), 5),
]


@pytest.mark.parametrize("least_tokens", [1, 10_000], ids=["prefixes known", "all read"])
def test_clips_of_many_sizes_and_prompts_in_one_batch(
    scorer: Scorer, library: Library, checkpoint: Checkpoint, least_tokens: int
) -> None:
    scorer._prefixes = Prefixes(scorer.network.language, least_tokens=least_tokens)
    ours: Sequence[torch.Tensor] = list(scorer.logits(MIXED))
    theirs = [of_library(library, checkpoint, clip) for clip in MIXED]
    assert max(map(difference, ours, theirs)) < RELATIVE
