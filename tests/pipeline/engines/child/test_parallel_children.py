"""One child on each GPU: a lost one lowers capacity, not service."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.pipeline.engines.child import ChildModel
from edgewatch.pipeline.engines.models import create_model
from edgewatch.pipeline.engines.parallel import ParallelModels
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.trial_clips import noise_clip
from tests.pipeline.engines.child.conftest import SETUP, MakeChild


def test_gpus_are_a_child_each_unless_they_share_one_model() -> None:
    setup = EngineSetup(kind="tensorrt", model=Path("/models/m"), gpus=(0, 1))
    assert isinstance(create_model(setup), ParallelModels)
    assert create_model(setup).max_batch == 16
    for one in (
        EngineSetup(kind="tensorrt", model=Path("/models/m")),
        EngineSetup(kind="tensorrt", model=Path("/models/m"), gpus=(1,)),
        EngineSetup(kind="tensorrt", model=Path("/models/m"), gpus=(0, 1), tensor_parallel=2),
        EngineSetup(kind="native", model=Path("/models/m"), gpus=(0, 1), tensor_parallel=2),
        EngineSetup(kind="native", model=Path("/models/m")),
    ):
        assert isinstance(create_model(one), ChildModel)
    native = EngineSetup(kind="native", model=Path("/models/m"), gpus=(0, 1))
    for several in (native, replace(native, gpus=(0, 1, 2, 3), tensor_parallel=2)):
        assert isinstance(create_model(several), ParallelModels)
        assert create_model(several).max_batch == 16


async def test_child_killed_in_the_middle_of_a_batch_costs_no_answer(make_child: MakeChild) -> None:
    children = [make_child(gpus=(gpu,)) for gpu in range(2)]
    together = ParallelModels(children)
    clips = [noise_clip(SETUP.largest_clip, seed) for seed in range(6)]
    expected = [clip.frames.mean() / 255.0 for clip in clips]
    await together.start()
    try:
        assert together.max_batch == 6
        assert [child.name for child in children] == ["obedient:0", "obedient:1"]
        scoring = asyncio.create_task(together.score(clips))
        await asyncio.sleep(0)
        lost = children[1].pid
        assert lost
        os.kill(lost, signal.SIGKILL)
        assert [answer.score for answer in await scoring] == pytest.approx(expected)
        async with asyncio.timeout(20.0):
            while together.max_batch < 6:
                answers = await together.score(clips)
                assert [answer.score for answer in answers] == pytest.approx(expected)
                await asyncio.sleep(0.01)
        assert children[1].pid not in (None, lost)
    finally:
        await together.close()
    assert [child.pid for child in children] == [None, None]
