"""What the built-in engine knew when it judged a clip, and the same answers had again from it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.engines.builtin.fusion import BASELINE_CLIPS
from edgewatch.pipeline.types import CameraName, Clip
from tests.pipeline.engines.street import burst, clips, walked

STREET = CameraName("street")


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinEngine]:
    made = BuiltinEngine(baseline_dir=None)
    await made.start()
    yield made
    await made.close()


def live(footage: list[Clip]) -> list[Clip]:
    return [replace(clip, replay=False) for clip in footage]


async def test_with_its_memory_of_then_an_engine_gives_the_same_scores_again(
    engine: BuiltinEngine,
) -> None:
    calm = live(clips(walked, BASELINE_CLIPS + 4))
    first = len(calm) * 20
    loud = live(clips(lambda index: burst(index, since=first + 10), 3, first=first))
    await engine.judge(calm)
    began = (await engine.judge(loud[:1]))[0]
    memory = await engine.memory_of(STREET, loud[0].clip_id)
    assert memory is not None
    scores = [began.score, *[(await engine.judge([clip]))[0].score for clip in loud[1:]]]
    assert max(scores) > 0.5

    other = BuiltinEngine(baseline_dir=None)
    await other.start()
    try:
        fresh = [(await other.judge([clip]))[0].score for clip in loud]
        assert fresh != pytest.approx(scores, abs=0.02)  # without it they differ
        await other.recall(STREET, memory)
        again = [(await other.judge([clip]))[0].score for clip in loud]
        assert again == pytest.approx(scores, abs=1e-6)
    finally:
        await other.close()


async def test_only_the_latest_two_clips_are_remembered(engine: BuiltinEngine) -> None:
    footage = live(clips(walked, 3))
    await engine.judge(footage)
    known = [await engine.memory_of(STREET, clip.clip_id) for clip in footage]
    assert known[0] is None
    assert known[1] is not None
    assert known[1] != known[2]
    assert await engine.memory_of(CameraName("elsewhere"), footage[2].clip_id) is None


@pytest.mark.parametrize("memory", [b"", b"no memory", b"PK\x03\x04" + bytes(100)])
async def test_what_is_no_memory_is_refused(engine: BuiltinEngine, memory: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        await engine.recall(STREET, memory)
