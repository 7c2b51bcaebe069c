"""A model shared by two processes: same answers, and no silence when one is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native import NativeModel
from edgewatch.pipeline.engines.question import Form
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.errors import EngineFailed
from tests.pipeline.engines.asked_clips import asked
from tests.pipeline.engines.child.proc import gone

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]  # processes that load torch

CLIPS: list[AskedClip] = [
    asked(0),
    asked(1, frames=6, width=140, prompt="Look for fire. " * 20),
    asked(2, prompt="Smoke."),
]


@pytest.fixture
def setup(tiny: Path) -> EngineSetup:
    return EngineSetup(
        kind="native",
        model=tiny,
        device="cpu",
        max_batch=2,
        form=Form(words_tokens=6),
        largest_clip=LargestClip(frames=4, pixels=12_544),
        tensor_parallel=2,
    )


@pytest.fixture
async def shared(setup: EngineSetup) -> AsyncIterator[NativeModel]:
    model = NativeModel(setup, shared_seconds=3.0)
    await model.start()
    yield model
    await model.close()


async def test_two_processes_answer_as_one_and_are_told_apart_when_one_is_lost(
    setup: EngineSetup, shared: NativeModel
) -> None:
    alone = NativeModel(replace(setup, tensor_parallel=1))
    await alone.start()
    expected = [one.score for one in await alone.score(CLIPS)]
    said = await alone.words(CLIPS[1])
    await alone.close()

    async def answers_are_right() -> None:
        for _ in range(2):
            scores = [one.score for one in await shared.score(CLIPS)]
            assert scores == pytest.approx(expected, abs=1e-5)
        assert await shared.words(CLIPS[1]) == said

    await answers_are_right()
    [pid] = shared.shared_with
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(EngineFailed, match=r"did not answer within 3 s: one of them hangs"):
        await shared.score(CLIPS)
    await shared.close()
    assert gone(pid)

    await shared.start()
    await answers_are_right()
    [pid] = shared.shared_with
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match=r"rank 1 of the model was killed by signal 9"):
        await shared.score(CLIPS)


async def test_start_says_why_another_process_could_not_load(setup: EngineSetup) -> None:
    model = NativeModel(replace(setup, tensor_parallel=3))
    with pytest.raises(EngineFailed, match=r"tensor_parallel = 3 does not divide this model"):
        await model.start()
    assert model.shared_with == ()
