"""The model with what it saw kept: the same answers, for half the seeing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.native import NativeModel
from edgewatch.pipeline.engines.setup import EngineSetup, LargestClip
from edgewatch.pipeline.types import Answer

FRAMES = np.random.default_rng(3).integers(0, 256, (24, 56, 84, 3), np.uint8)


def cut(first: int, count: int = 8, camera: str = "door") -> AskedClip:
    times = tuple(1_764_000_000.0 + 0.25 * number for number in range(len(FRAMES)))
    part = slice(first, first + count)
    return AskedClip(FRAMES[part], 4.0, "Look.", camera=camera, times=times[part])


def model_of(tiny: Path, *, incremental: bool) -> NativeModel:
    return NativeModel(
        EngineSetup(
            kind="native",
            model=tiny,
            device="cpu",
            max_batch=4,
            incremental=incremental,
            vision_cache_bytes=1_000_000,
            largest_clip=LargestClip(8, 56 * 84, 4.0),
        )
    )


async def answers_of(model: NativeModel) -> list[Answer]:
    found = []
    for first in (0, 4, 8, 12):
        found += await model.score([cut(first), cut(first, camera="gate")])
    return found


async def test_answers_are_the_same_for_half_the_seeing(tiny: Path) -> None:
    plain, keeping = (model_of(tiny, incremental=each) for each in (False, True))
    await asyncio.gather(plain.start(), keeping.start())
    try:
        assert (plain.foresees, keeping.foresees) == (False, True)
        kept = [answer.score for answer in await answers_of(keeping)]
        assert kept == pytest.approx([one.score for one in await answers_of(plain)], abs=1e-6)
        assert len(set(kept)) > 2
        figures = keeping.figures
        assert (figures.sight_hits, figures.sight_misses) == (12, 20)
        assert plain.figures.sight_misses == plain.figures.sight_bytes == 0

        keeping.foresee([cut(20, 2), cut(22, 2)])
        while keeping.figures.sight_foreseen < 2:
            await keeping.score([cut(0)])  # a turn of the model's own thread
            await asyncio.sleep(0)
        misses = keeping.figures.sight_misses
        await keeping.score([cut(16)])
        assert keeping.figures.sight_misses == misses, "16 to 19 were judged, 20 to 23 foreseen"

        held = keeping.figures.sight_bytes
        keeping.forget("gate")
        await keeping.score([cut(1, 2)])
        assert keeping.figures.sight_bytes < held
    finally:
        await asyncio.gather(plain.close(), keeping.close())
