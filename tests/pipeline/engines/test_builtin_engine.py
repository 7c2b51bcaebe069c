"""The built-in engine as its callers see it, on made footage."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from edgewatch.pipeline.engines import Engine, create_engine
from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.engines.builtin.engine import _ANSWERS_KEPT
from edgewatch.pipeline.engines.builtin.fusion import BASELINE_CLIPS
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip
from tests.pipeline.engines.street import (
    FRAMES,
    STRANGER,
    burst,
    clip,
    clips,
    paste,
    quiet,
    walked,
)

STREET = CameraName("street")


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinEngine]:
    made = BuiltinEngine(baseline_dir=None)
    await made.start()
    yield made
    await made.close()


async def scores(engine: Engine, footage: Sequence[Clip]) -> list[float]:
    return [answer.score for answer in await engine.judge(footage)]


async def answers_of_a_fresh_engine(batches: Sequence[Sequence[Clip]]) -> dict[str, Answer]:
    engine = BuiltinEngine(baseline_dir=None)
    await engine.start()
    answers = {}
    for batch in batches:
        for judged, answer in zip(batch, await engine.judge(batch), strict=True):
            answers[judged.clip_id] = answer
    await engine.close()
    return answers


async def test_still_scene_scores_low(engine: BuiltinEngine) -> None:
    assert max(await scores(engine, clips(quiet, 3))) < 0.1


async def test_walking_scores_well_below_the_alarm(engine: BuiltinEngine) -> None:
    assert max(await scores(engine, clips(walked, 4))) < 0.35


async def test_burst_alarms_in_both_clips_that_show_it_begin(engine: BuiltinEngine) -> None:
    answers = await engine.judge(clips(lambda index: burst(index, since=22), 3))
    assert answers[0].score < 0.35
    assert min(answers[1].score, answers[2].score) >= 0.5
    assert answers[1].warming_up


async def test_evidence_is_sorted_and_says_where(engine: BuiltinEngine) -> None:
    answers = await engine.judge(clips(lambda index: burst(index, since=22), 2))
    strengths = [item.strength for item in answers[1].evidence]
    assert strengths == sorted(strengths, reverse=True)
    assert all(0 < strength <= 1 for strength in strengths)
    assert any("left" in item.where for item in answers[1].evidence)
    assert all("times what is usual" in item.detail for item in answers[1].evidence)


async def test_describe_names_the_place_and_the_figure(engine: BuiltinEngine) -> None:
    footage = clips(lambda index: burst(index, since=22), 2)
    await engine.judge(footage)
    words = await engine.describe(footage[1])
    assert "left" in words
    assert "times what is usual" in words
    assert "still being learnt" in words


async def test_describe_computes_again_what_is_forgotten(engine: BuiltinEngine) -> None:
    footage = clips(lambda index: burst(index, since=22), 2)
    await engine.judge(footage)
    await engine.forget(STREET)
    assert "left" in await engine.describe(footage[1])


async def test_nothing_unusual_is_described_as_that(engine: BuiltinEngine) -> None:
    footage = clips(quiet, 1)
    await engine.judge(footage)
    assert await engine.describe(footage[0]) == "Nothing in this clip stands out."


async def test_same_clips_give_the_same_floats() -> None:
    footage = clips(lambda index: burst(index, since=22), 4)
    assert await answers_of_a_fresh_engine([footage]) == await answers_of_a_fresh_engine([footage])


async def test_batches_and_other_cameras_change_nothing() -> None:
    street = clips(lambda index: burst(index, since=22), 3)
    square = clips(lambda index: walked(index)[:, :168], 3, camera="square")
    mixed = [list(pair) for pair in zip(square, street, strict=True)]
    alone = await answers_of_a_fresh_engine([[judged] for judged in street])
    together = await answers_of_a_fresh_engine(mixed)
    assert {name: together[name] for name in alone} == alone


@pytest.mark.parametrize("frames", [2, 4, 6, 20])
async def test_short_clips_are_judged(engine: BuiltinEngine, frames: int) -> None:
    answer = (await engine.judge([clip(walked, 0, frames=frames)]))[0]
    assert 0 <= answer.score < 0.5


async def test_new_picture_size_begins_anew(engine: BuiltinEngine) -> None:
    await engine.judge(clips(walked, 2))
    answers = await engine.judge(clips(lambda index: walked(index)[:, :252], 2, first=200))
    assert all(answer.warming_up and answer.score < 0.35 for answer in answers)


async def test_what_is_kept_for_a_camera_is_bounded(engine: BuiltinEngine) -> None:
    short = [clip(quiet, 2 * number, frames=4) for number in range(_ANSWERS_KEPT)]
    await engine.judge([*short, *clips(quiet, 2, first=400)])
    kept = engine._cameras[STREET]
    assert len(kept.answers) == _ANSWERS_KEPT
    assert len(kept.steps) == FRAMES - 1
    assert len(kept.looks) <= FRAMES
    await engine.forget(STREET)
    assert STREET not in engine._cameras


async def test_baseline_outlives_the_engine_and_knows_the_stranger(tmp_path: Path) -> None:
    """After a minute without anybody, what comes to stay alarms; so it does after a restart."""

    def stranger(index: int) -> object:
        return paste(quiet(index), STRANGER, 60, 30)

    engine = create_engine(EngineSetup(baseline_dir=tmp_path))
    await engine.start()
    answers = await engine.judge(clips(quiet, BASELINE_CLIPS + 2))
    assert answers[0].warming_up
    assert not answers[-1].warming_up
    assert max(answer.score for answer in answers) < 0.5
    await engine.close()
    assert (tmp_path / "street.npz").exists()

    again = create_engine(EngineSetup(baseline_dir=tmp_path))
    await again.start()
    known = await again.judge(clips(quiet, 2, first=1000))
    strange = await again.judge(clips(stranger, 2, first=2000))  # type: ignore[arg-type]
    await again.close()
    assert not known[0].warming_up
    assert max(answer.score for answer in known) < 0.35
    assert strange[0].score >= 0.5
    assert "unfamiliar" in {item.kind for item in strange[0].evidence}
    assert "here" in strange[0].evidence[0].detail


async def test_a_habit_is_learnt_and_an_incident_is_not(engine: BuiltinEngine) -> None:
    """A burst every round is got used to; one burst leaves the next one as alarming."""

    def bursts(index: int) -> object:
        return burst(index % 40 + 20, since=36)

    once = clips(lambda index: burst(index, since=22), 3, camera="once")
    first = max(await scores(engine, once))
    await engine.judge(clips(walked, 3, camera="once", first=400))
    later = clips(lambda index: burst(index, since=1022), 3, camera="once", first=1000)
    assert max(await scores(engine, later)) > first - 0.1

    habit = await scores(engine, clips(bursts, 40))  # type: ignore[arg-type]
    assert max(habit[-8:]) < max(habit[:8]) - 0.2


async def test_judging_before_start_and_after_close_fails_clearly() -> None:
    engine = BuiltinEngine(baseline_dir=None)
    with pytest.raises(EngineFailed, match="not running"):
        await engine.judge(clips(quiet, 1))
    await engine.start()
    with pytest.raises(EngineFailed, match="twice"):
        await engine.start()
    await engine.close()
    await engine.close()
    with pytest.raises(EngineFailed, match="not running"):
        await engine.judge(clips(quiet, 1))


async def test_a_fault_within_is_told_as_engine_failed(engine: BuiltinEngine) -> None:
    broken = clip(lambda index: quiet(index)[:, :, :2], 0)
    with pytest.raises(EngineFailed, match="broke"):
        await engine.judge([broken])
    assert await engine.judge(clips(quiet, 1))


async def test_close_ends_its_threads() -> None:
    engine = BuiltinEngine(baseline_dir=None)
    await engine.start()
    await engine.judge(clips(quiet, 1))
    assert any(thread.name.startswith("builtin-") for thread in threading.enumerate())
    await engine.close()
    assert not any(thread.name.startswith("builtin-") for thread in threading.enumerate())


async def test_unwritable_baseline_folder_does_not_stop_the_engine(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    engine = BuiltinEngine(baseline_dir=blocked / "baseline")
    await engine.start()
    assert await engine.judge(clips(quiet, 1))
    await engine.close()
