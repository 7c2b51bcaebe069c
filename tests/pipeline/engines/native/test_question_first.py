"""The question before the video: read once, and the same logits as transformers' own forward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgewatch.pipeline.engines.answers import answer_tokens
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native.network import load_network
from edgewatch.pipeline.engines.native.scoring import Scorer
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.qwen.checkpoint import Checkpoint, read_checkpoint
from edgewatch.pipeline.engines.qwen.pixels import grid_of
from edgewatch.pipeline.engines.qwen.script import ScriptReader
from edgewatch.pipeline.engines.transformers.network import Network as Library
from edgewatch.pipeline.engines.transformers.network import load_network as load_library
from edgewatch.pipeline.engines.transformers.rows import Row, lay_out
from tests.pipeline.engines.asked_clips import asked

FORM = Form(question_first=True)
SMOKE = "Smoke is an anomaly. " * 8
FALLS = "A person who falls and stays on the ground is an anomaly. " * 4
CLIPS = [
    asked(1, frames=4, height=112, width=112, prompt=SMOKE),
    asked(2, frames=6, height=196, width=336, prompt=FALLS),
    asked(3, frames=4, height=112, width=112, prompt=SMOKE),
    asked(4, frames=4, height=112, width=112, prompt=FALLS),
]


@pytest.fixture(scope="module")
def checkpoint(tiny: Path) -> Checkpoint:
    return read_checkpoint(tiny)


@pytest.fixture(scope="module")
def scripts(checkpoint: Checkpoint) -> ScriptReader:
    return ScriptReader(checkpoint.directory, checkpoint.video_token)


@pytest.fixture(scope="module")
def scorer(checkpoint: Checkpoint, scripts: ScriptReader) -> Scorer:
    network = load_network(checkpoint.directory, checkpoint.pixels, torch.device("cpu"))
    return Scorer(network, checkpoint, scripts, answer_tokens(scripts.encode, FORM), FORM)


@pytest.fixture(scope="module")
def library(checkpoint: Checkpoint) -> Library:
    return load_library(checkpoint, torch.device("cpu"))


def of_library(
    library: Library, checkpoint: Checkpoint, scripts: ScriptReader, clip: AskedClip
) -> torch.Tensor:
    grid = grid_of(clip.frames.shape, checkpoint.pixels)
    rows = lay_out(
        [Row(scripts.script(verdict_question(clip.prompt, FORM)), clip.fps)],
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


def test_logits_with_the_question_known_are_the_librarys(
    scorer: Scorer, library: Library, checkpoint: Checkpoint, scripts: ScriptReader
) -> None:
    theirs = [of_library(library, checkpoint, scripts, clip) for clip in CLIPS]
    for again in range(2):  # the second time both questions are known from the first
        ours = scorer.logits(CLIPS)
        for one, other in zip(ours, theirs, strict=True):
            assert float((one - other).norm() / other.norm()) < 1e-5, again


def test_next_to_nothing_is_read_behind_the_video(scripts: ScriptReader) -> None:
    first = scripts.script(verdict_question(SMOKE, FORM))
    behind = scripts.script(verdict_question(SMOKE, Form()))
    assert len(first.after) < 16 < len(behind.after)
    assert len(first.before) + len(first.after) == len(behind.before) + len(behind.after)


def test_answers_say_that_another_question_was_asked(scorer: Scorer) -> None:
    (answer,) = scorer.score(CLIPS[:1])
    assert answer.prompt_hash == verdict_question(SMOKE, FORM).hash
    assert answer.prompt_hash != verdict_question(SMOKE, Form()).hash
