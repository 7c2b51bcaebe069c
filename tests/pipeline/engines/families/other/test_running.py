"""Every family here through the engine: scores, words, and what is refused at start."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch
import transformers

from edgewatch.pipeline.engines.families.other_rows import OWN_FAMILIES
from edgewatch.pipeline.engines.families.table import FAMILIES, family_of
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers import TransformersModel
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.forms import make_form
from edgewatch.pipeline.engines.transformers.general.spoken import spoken_tokens
from edgewatch.pipeline.errors import EngineFailed
from tests.fakes.tiny_families_other import OTHER_TINY
from tests.fakes.tiny_recipes import TINY
from tests.pipeline.engines.asked_clips import asked
from tests.pipeline.engines.families.other.test_served import SERVED

Checkpoint = Callable[[str], Path]
SCORED = ["blip-2", "blip-2 with T5", "fuyu", "kosmos-2", "phi4_multimodal"]
DESCRIBED = ["pix2struct", "vision-encoder-decoder"]


@asynccontextmanager
async def started(directory: Path, *, judges: bool = True) -> AsyncIterator[TransformersModel]:
    model = TransformersModel(
        EngineSetup(
            kind="transformers",
            model=directory,
            device="cpu",
            judges=judges,
            largest_clip=LargestClip(frames=4, pixels=12_544),
            form=Form(words_tokens=4),
        )
    )
    try:
        await model.start()
        yield model
    finally:
        await model.close()


def test_every_row_of_the_table_is_run_by_a_test() -> None:
    """By a tiny checkpoint here or with the chats, on the strict server, or by the fast path."""
    rows = {one for family in FAMILIES for one in family.model_types}
    tiny = {*TINY, *(name.split(" with ")[0] for name in OTHER_TINY), "qwen2_5_vl"}
    served = {one for family in SERVED for one in family.model_types}
    assert rows == tiny | served
    assert not tiny & served


def test_every_family_here_has_a_checkpoint_and_is_run() -> None:
    types = {one for family in OWN_FAMILIES for one in family.model_types}
    assert types == {name.split(" with ")[0] for name in OTHER_TINY}
    assert set(SCORED) | set(DESCRIBED) == set(OTHER_TINY)
    described = {family.model_types[0] for family in OWN_FAMILIES if family.answers == "words"}
    assert described == set(DESCRIBED)


@pytest.mark.parametrize("name", SCORED)
async def test_a_family_that_answers_scores_clips_by_what_it_sees(
    checkpoint: Checkpoint, name: str
) -> None:
    clips = [asked(seed) for seed in range(3)]
    async with started(checkpoint(name)) as model:
        answers = await model.score(clips)
        again = await model.score(list(reversed(clips)))
        words = await model.words(clips[0])
    assert all(0.0 < answer.score < 1.0 for answer in answers)
    assert len({answer.score for answer in answers}) == 3
    assert [answer.score for answer in again] == [answer.score for answer in reversed(answers)]
    assert len({answer.prompt_hash for answer in answers}) == 1
    assert isinstance(words, str)


@pytest.mark.parametrize("name", SCORED)
async def test_a_score_is_of_the_librarys_own_first_token(
    checkpoint: Checkpoint, name: str
) -> None:
    """Read from one forward of its class, the last position of all logits; T5's decoder's first."""
    directory, clip = checkpoint(name), asked(3)
    config = json.loads((directory / "config.json").read_text())
    family = family_of(config["model_type"])
    form = make_form(Source(family, directory, config))
    question = form.asked(verdict_question(clip.prompt, Form()), clip)
    kind = getattr(transformers, family.transformers_class)
    library = kind.from_pretrained(directory, dtype=torch.float32).eval()
    with torch.inference_mode():
        odds = library(**form.inputs(clip, question)).logits[0, -1].double().softmax(-1)
    tokens = spoken_tokens(form.encode, Form())
    yes, no = (odds[list(side)].sum().item() for side in (tokens.anomaly, tokens.normal))
    async with started(directory) as model:
        answer = (await model.score([clip]))[0]
    assert answer.score == pytest.approx(yes / (yes + no), abs=1e-5)
    assert answer.prompt_hash == question.hash


@pytest.mark.parametrize("name", DESCRIBED)
async def test_a_family_that_reads_pages_judges_nothing_and_writes_words(
    checkpoint: Checkpoint, name: str
) -> None:
    with pytest.raises(EngineFailed, match="cannot judge clips") as refused:
        async with started(checkpoint(name)):
            pass
    assert "set [engine] model to a family that answers" in str(refused.value)
    async with started(checkpoint(name), judges=False) as model:
        words = {await model.words(asked(seed)) for seed in range(3)}
    # It reads what stands in the picture: other pictures, other words.
    assert len(words) > 1
