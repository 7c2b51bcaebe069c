"""The model as engines see it: loading, scoring, words that give way, closing, starting again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.engines.transformers import TransformersModel
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.fakes.tiny_qwen import make_tiny_qwen
from tests.pipeline.engines.asked_clips import asked

SECONDS = 30.0


@pytest.fixture
def setup(tiny: Path) -> EngineSetup:
    return EngineSetup(
        kind="transformers",
        model=tiny,
        device="cpu",
        max_batch=4,
        largest_clip=LargestClip(frames=4, pixels=12_544),
    )


@pytest.fixture
async def model(setup: EngineSetup) -> AsyncIterator[TransformersModel]:
    running = TransformersModel(setup)
    await running.start()
    yield running
    await running.close()


async def test_table_of_models_makes_it(setup: EngineSetup) -> None:
    made: Model = create_model(setup)
    assert isinstance(made, TransformersModel)
    assert made.max_batch == 4
    await made.close()


async def test_scores_lie_between_0_and_1_and_carry_the_questions_hash(
    model: TransformersModel,
) -> None:
    answers = await model.score([asked(seed) for seed in range(4)])
    assert all(0.0 < answer.score < 1.0 for answer in answers)
    assert len({answer.score for answer in answers}) == 4
    assert len({answer.prompt_hash for answer in answers}) == 1


async def test_name_tells_kind_directory_and_hash(model: TransformersModel, tiny: Path) -> None:
    kind, name = model.name.split(":")
    assert (kind, name.partition("@")[0]) == ("transformers", tiny.name)
    assert len(name.partition("@")[2]) == 8


async def test_closed_model_starts_again_and_answers_the_same(model: TransformersModel) -> None:
    before = await model.score([asked()])
    await model.close()
    await model.close()
    with pytest.raises(EngineFailed, match="start it first"):
        await model.score([asked()])
    await model.start()
    assert await model.score([asked()]) == before
    with pytest.raises(EngineFailed, match="twice"):
        await model.start()


async def test_failed_start_says_why_and_the_next_may_succeed(
    setup: EngineSetup, copy: Path
) -> None:
    config = copy / "config.json"
    kept = config.read_bytes()
    config.unlink()
    model = TransformersModel(replace(setup, model=copy))
    for _ in range(2):
        with pytest.raises(EngineFailed, match=r"config\.json"):
            await model.start()
    config.write_bytes(kept)
    await model.start()
    assert len(await model.score([asked()])) == 1
    await model.close()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda setup: replace(setup, form=Form("Anomaly", "Normal")), "tokens of this model"),
        (lambda setup: replace(setup, tensor_parallel=2), "tensor_parallel"),
        (lambda setup: replace(setup, quantize="int8"), "int8.*CUDA"),
        (lambda setup: replace(setup, model=None), "model"),
        (lambda setup: replace(setup, device="cuda:63"), "GPUs"),
        (lambda setup: replace(setup, largest_clip=LargestClip(4, 10**12)), "not enough memory"),
    ],
)
async def test_setup_that_cannot_work_is_refused(
    setup: EngineSetup, change: Callable[[EngineSetup], EngineSetup], named: str
) -> None:
    model = TransformersModel(change(setup))
    with pytest.raises(EngineFailed, match=named):
        await model.start()
    await model.close()


async def test_batch_is_smaller_from_the_start_where_memory_is_short(setup: EngineSetup) -> None:
    model = TransformersModel(replace(setup, max_batch=10**7))
    await model.start()
    assert 1 <= model.max_batch < 10**7
    await model.close()


async def test_checkpoint_that_lacks_a_weight_is_refused(setup: EngineSetup, copy: Path) -> None:
    lose_a_weight(copy)
    model = TransformersModel(replace(setup, model=copy))
    with pytest.raises(EngineFailed, match="lacks 1 weights"):
        await model.start()


def lose_a_weight(directory: Path) -> None:
    from safetensors.torch import load_file, save_file

    shard = min(directory.glob("*.safetensors"))
    weights = load_file(shard)
    del weights[min(weights)]
    save_file(weights, shard, {"format": "pt"})


# Words


async def test_words_come_and_none_where_none_are_asked_for(
    model: TransformersModel, setup: EngineSetup
) -> None:
    assert await model.words(asked())
    silent = TransformersModel(replace(setup, form=Form(words_tokens=0)))
    await silent.start()
    assert await silent.words(asked()) == ""
    await silent.close()


async def test_words_give_way_to_clips_that_wait_to_be_scored(
    setup: EngineSetup, tmp_path: Path
) -> None:
    model = await talkative(setup, tmp_path)
    async with asyncio.timeout(SECONDS):
        words = asyncio.create_task(model.words(asked()))
        while not words.done():  # the first may come before the words have begun
            assert len(await model.score([asked(1)])) == 1
        with pytest.raises(EngineBusy, match="clips wait"):
            await words
        await model.close()


async def test_words_end_when_their_caller_leaves(setup: EngineSetup, tmp_path: Path) -> None:
    model = await talkative(setup, tmp_path)
    async with asyncio.timeout(SECONDS):
        words = asyncio.create_task(model.words(asked()))
        await asyncio.sleep(0)
        words.cancel()
        with pytest.raises(asyncio.CancelledError):
            await words
        assert len(await model.score([asked(1)])) == 1
        await model.close()


async def test_close_ends_words_under_way(setup: EngineSetup, tmp_path: Path) -> None:
    model = await talkative(setup, tmp_path)
    async with asyncio.timeout(SECONDS):
        words = asyncio.create_task(model.words(asked()))
        await asyncio.sleep(0)
        await model.close()
        with pytest.raises((EngineBusy, EngineFailed)):
            await words


async def talkative(setup: EngineSetup, folder: Path) -> TransformersModel:
    """A started model whose words would take minutes: nothing but giving way ends them."""
    directory = make_tiny_qwen(folder / "talkative")
    (directory / "generation_config.json").write_text('{"eos_token_id": []}', "utf-8")
    model = TransformersModel(replace(setup, model=directory, form=Form(words_tokens=10**6)))
    await model.start()
    return model
