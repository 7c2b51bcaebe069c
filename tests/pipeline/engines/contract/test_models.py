"""What every model that computes here does: scoring, words that give way, closing, starting again.

One contract for all kinds: whatever runs clips must pass it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.engines.model import Model
from edgewatch.pipeline.engines.models import create_model_here
from edgewatch.pipeline.engines.question import Form, verdict_question
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from tests.fakes.tiny_qwen import make_tiny_qwen
from tests.pipeline.engines.asked_clips import asked

SECONDS = 30.0
KINDS = ("transformers", "native")


@pytest.fixture(params=KINDS)
def setup(request: pytest.FixtureRequest, tiny: Path) -> EngineSetup:
    return EngineSetup(
        kind=request.param,
        model=tiny,
        device="cpu",
        max_batch=4,
        largest_clip=LargestClip(frames=4, pixels=12_544),
    )


@pytest.fixture
async def model(setup: EngineSetup) -> AsyncIterator[Model]:
    running = create_model_here(setup)
    await running.start()
    yield running
    await running.close()


async def test_scores_come_in_order_between_0_and_1_with_the_questions_hash(model: Model) -> None:
    clips = [asked(seed, prompt=f"Look at {seed % 2}.") for seed in range(6)]
    answers = await model.score(clips)
    assert all(0.0 < answer.score < 1.0 for answer in answers)
    assert len({answer.score for answer in answers}) == 6
    assert [answer.prompt_hash for answer in answers] == [
        verdict_question(clip.prompt, Form()).hash for clip in clips
    ]
    for clip, together in zip(clips, answers, strict=True):
        [alone] = await model.score([clip])
        assert alone.score == pytest.approx(together.score, abs=1e-4)
    assert await model.score(clips) == answers


async def test_batches_asked_at_the_same_time_are_not_mixed_up(model: Model) -> None:
    batches = [[asked(seed), asked(seed + 100, frames=2)] for seed in range(6)]
    expected = [await model.score(batch) for batch in batches]
    async with asyncio.timeout(SECONDS):
        found = await asyncio.gather(*(model.score(batch) for batch in batches))
    for ours, theirs in zip(found, expected, strict=True):
        assert np.allclose([one.score for one in ours], [one.score for one in theirs], atol=1e-4)


async def test_caller_who_leaves_costs_the_others_nothing(model: Model) -> None:
    async with asyncio.timeout(SECONDS):
        tasks = [asyncio.create_task(model.score([asked(seed)])) for seed in range(6)]
        await asyncio.sleep(0)
        for left in tasks[::2]:
            left.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, asyncio.CancelledError) for one in done[::2])
    scores = [one[0].score for one in done[1::2] if not isinstance(one, BaseException)]
    alone = [(await model.score([asked(seed)]))[0].score for seed in (1, 3, 5)]
    assert scores == pytest.approx(alone, abs=1e-4)


async def test_name_tells_kind_directory_and_hash(
    model: Model, setup: EngineSetup, tiny: Path
) -> None:
    kind, name = model.name.split(":")
    assert (kind, name.partition("@")[0]) == (setup.kind, tiny.name)
    assert len(name.partition("@")[2]) == 8
    assert model.max_batch == 4


async def test_closed_model_starts_again_and_answers_the_same(model: Model) -> None:
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
    model = create_model_here(replace(setup, model=copy))
    for _ in range(2):
        with pytest.raises(EngineFailed, match=r"config\.json"):
            await model.start()
    config.write_bytes(kept)
    await model.start()
    assert len(await model.score([asked()])) == 1
    await model.close()


async def test_close_while_clips_are_judged_answers_or_fails_them(model: Model) -> None:
    async with asyncio.timeout(SECONDS):
        tasks = [asyncio.create_task(model.score([asked(seed)] * 4)) for seed in range(4)]
        await asyncio.sleep(0)
        await model.close()
        done = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, list | EngineFailed) for one in done)
    assert isinstance(done[-1], EngineFailed)
    await model.start()
    assert len(await model.score([asked()])) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda setup: replace(setup, form=Form("Anomaly", "Normal")), "tokens of this model"),
        (lambda setup: replace(setup, quantize="int8"), "int8"),
        (lambda setup: replace(setup, model=None), "model"),
        (lambda setup: replace(setup, model=Path("/nowhere")), "/nowhere is no directory"),
        (lambda setup: replace(setup, device="cuda:63"), "GPUs"),
    ],
)
async def test_setup_that_cannot_work_is_refused(
    setup: EngineSetup, change: Callable[[EngineSetup], EngineSetup], named: str
) -> None:
    model = create_model_here(change(setup))
    with pytest.raises(EngineFailed, match=named):
        await model.start()
    await model.close()


# Words


async def test_words_come_and_none_where_none_are_asked_for(
    model: Model, setup: EngineSetup
) -> None:
    assert await model.words(asked())
    silent = create_model_here(replace(setup, form=Form(words_tokens=0)))
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


async def talkative(setup: EngineSetup, folder: Path) -> Model:
    """A started model whose words would take minutes: nothing but giving way ends them."""
    directory = make_tiny_qwen(folder / "talkative")
    (directory / "generation_config.json").write_text('{"eos_token_id": []}', "utf-8")
    model = create_model_here(replace(setup, model=directory, form=Form(words_tokens=10**6)))
    await model.start()
    return model
