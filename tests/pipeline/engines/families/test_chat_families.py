"""Families that are asked in a chat: our scores are those of the library's forward and inputs."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from edgewatch.pipeline.engines.families.pictures import about_pictures
from edgewatch.pipeline.engines.families.table import family_of
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.engines.question import Form, Question, verdict_question, words_question
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers.general.checkpoint import read_general
from edgewatch.pipeline.engines.transformers.general.form import Source
from edgewatch.pipeline.engines.transformers.general.forms import make_form
from edgewatch.pipeline.engines.transformers.general.network import GeneralNetwork
from edgewatch.pipeline.engines.transformers.general.scoring import GeneralScorer
from edgewatch.pipeline.engines.transformers.general.spoken import spoken_tokens
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer
from tests.fakes.tiny_families import tiny_model, write_files
from tests.fakes.tiny_recipes import TINY
from tests.pipeline.engines.asked_clips import asked
from tests.pipeline.engines.families.official import (
    IN_A_CHAT,
    official_inputs,
    official_model,
    official_score,
)

Tiny = Callable[[str], Path]

FORM = Form(words_tokens=6)
CLIPS = [asked(1, frames=4), asked(2, frames=4), asked(3, frames=4, height=84, width=140)]


def setup_of(directory: Path) -> EngineSetup:
    return EngineSetup(
        kind="transformers",
        model=directory,
        device="cpu",
        form=FORM,
        largest_clip=LargestClip(frames=4, pixels=12_544),
    )


async def judged(directory: Path, clips: list[AskedClip]) -> tuple[list[Answer], str, str]:
    """Return the engine's answers, its words on the first clip, and its name."""
    model = create_model(setup_of(directory))
    await model.start()
    try:
        return await model.score(clips), await model.words(clips[0]), model.name
    finally:
        await model.close()


def as_shown(name: str, clip: AskedClip, question: Question) -> tuple[AskedClip, Question]:
    """Return what a family is shown of a clip of 4 frames at 4 a second, and what it is told."""
    if name not in IN_A_CHAT:
        return clip, question
    if family_of(name).media == "image":
        return replace(clip, frames=clip.frames[2:3]), about_pictures(question, 1, 0.0)
    return clip, about_pictures(question, 4, 0.25)


TOWER = {
    "model_type": "siglip_vision_model",
    "hidden_size": 256,
    "image_size": 64,
    "intermediate_size": 48,
    "num_attention_heads": 2,
    "num_hidden_layers": 1,
    "patch_size": 32,
    "rms_norm_eps": 1e-6,
    "vision_use_head": False,
    "vocab_offset": 352,
    "vocab_size": 16,
}
"""Stands for Gemma 3n's tower, which is timm's and cannot be made without that package."""


def has(package: str) -> bool:
    return find_spec(package) is not None


@pytest.mark.parametrize("name", sorted(TINY))
def test_engine_scores_and_words_are_the_librarys(name: str, tiny_family: Tiny) -> None:
    """Of each clip the score of one forward on the official inputs; words of its `generate`."""
    if name == "gemma3n" and not has("timm"):
        pytest.skip("its vision tower is timm's, which is not installed")
    directory = tiny_family(name)
    answers, words, engine = asyncio.run(judged(directory, CLIPS))
    model = official_model(name, directory)
    form = make_form(read_general(directory).source)
    tokens = spoken_tokens(form.encode, FORM)
    for clip, answer in zip(CLIPS, answers, strict=True):
        inputs = official_inputs(
            name, directory, *as_shown(name, clip, verdict_question(clip.prompt, FORM))
        )
        expected = official_score(model, inputs, tokens.anomaly, tokens.normal)
        assert answer.score == pytest.approx(expected, abs=1e-5)
    assert len({round(answer.score, 4) for answer in answers}) == 3, "every clip looks another way"
    assert engine.startswith(f"transformers:tiny-{name}@")

    inputs = official_inputs(
        name, directory, *as_shown(name, CLIPS[0], words_question(CLIPS[0].prompt, FORM))
    )
    with torch.inference_mode():
        written = model.generate(**inputs, max_new_tokens=6, do_sample=False, pad_token_id=0)[0]
    assert words == form.decode(written[inputs["input_ids"].shape[1] :].tolist())
    assert words


@pytest.mark.parametrize("name", ["internvl", "llava_onevision", "qwen2_vl", "qwen3_vl"])
def test_still_picture_is_shown_as_the_library_shows_one(name: str, tiny_family: Tiny) -> None:
    """A still is an image where the family knows images, and the question stays as it is."""
    directory = tiny_family(name)
    clip = asked(4, frames=1, height=112, width=84)
    still = replace(clip, frames=clip.frames.repeat(2, axis=0), still=True)
    form = make_form(read_general(directory).source)
    question = Question("Look at it.", "What is it?", "")
    assert form.asked(question, still) == question
    ours = form.inputs(still, question)
    if name == "llava_onevision":
        still = replace(still, frames=still.frames[:1], still=False)
    theirs = official_inputs(name, directory, still, question)
    for key, value in theirs.items():
        torch.testing.assert_close(ours[key].to(value.dtype), value, atol=1e-5, rtol=1e-5)


def test_chat_family_shows_a_still_without_a_word_about_videos(tiny_family: Tiny) -> None:
    form = make_form(read_general(tiny_family("gemma3")).source)
    clip = asked(4, frames=2)
    question = Question("", "What is it?", "")
    assert form.asked(question, replace(clip, still=True)) == question
    assert "2 pictures" in form.asked(question, clip).user


def test_answer_prefix_is_the_last_that_the_model_reads(tiny_family: Tiny) -> None:
    form = make_form(read_general(tiny_family("llava")).source)
    inputs = form.inputs(asked(1), Question("Look.", "What is it?", "<answer>\n"))
    assert inputs["input_ids"][0, -9:].tolist() == form.encode("<answer>\n")


def test_llava_without_a_template_is_asked_by_its_makers(tiny_family: Tiny, tmp_path: Path) -> None:
    """The first checkpoints came without one; the model card says how they are asked."""
    bare = Path(shutil.copytree(tiny_family("llava"), tmp_path / "bare"))
    (bare / "chat_template.json").unlink()
    question = Question("Look.", "What is it?", "")
    with_one, without = (
        make_form(read_general(directory).source).inputs(asked(1), question)["input_ids"]
        for directory in (tiny_family("llava"), bare)
    )
    assert torch.equal(with_one, without)


def test_text_begins_once(tiny_family: Tiny) -> None:
    """Gemma's template writes the first token itself; the tokenizer must not add another."""
    form = make_form(read_general(tiny_family("gemma3")).source)
    tokens = form.inputs(asked(1), Question("Look.", "What is it?", ""))["input_ids"][0].tolist()
    [first] = form.encode("<bos>")
    assert tokens.count(first) == 1
    assert tokens[0] == first


@pytest.fixture(scope="module")
def without_timm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return a Gemma 3n's directory and its model, both but for the tower the real ones."""
    directory = tmp_path_factory.mktemp("families") / "tiny-gemma3n"
    ids = write_files("gemma3n", directory)
    return directory, tiny_model("gemma3n", directory, ids, tower=TOWER)


def test_gemma_3n_scores_with_another_tower(without_timm: tuple[Path, Any]) -> None:
    """Its form, language model and places for pictures are held to the library without timm."""
    directory, model = without_timm
    family = family_of("gemma3n")
    form = make_form(Source(family, directory, json.loads((directory / "config.json").read_text())))
    tokens = spoken_tokens(form.encode, FORM)
    scorer = GeneralScorer(GeneralNetwork(model), family, form, tokens, FORM)
    scores = [answer.score for answer in scorer.score(CLIPS)]
    for clip, score in zip(CLIPS, scores, strict=True):
        question = verdict_question(clip.prompt, FORM)
        inputs = official_inputs("gemma3n", directory, *as_shown("gemma3n", clip, question))
        expected = official_score(model, inputs, tokens.anomaly, tokens.normal)
        assert score == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for score in scores}) == 3
    assert scorer.words(CLIPS[0], lambda: None)


@pytest.mark.skipif(has("timm"), reason="timm is installed")
def test_gemma_3n_without_timm_says_what_to_install(without_timm: tuple[Path, Any]) -> None:
    directory, model = without_timm
    wanted = (directory / "config.json").read_text()
    model.save_pretrained(directory)
    (directory / "config.json").write_text(wanted)
    with pytest.raises(EngineFailed, match="timm") as caught:
        asyncio.run(judged(directory, []))
    assert caught.value.cure == "pip install timm torchvision"
