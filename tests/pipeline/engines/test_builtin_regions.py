"""The built-in engine on footage of which regions are ignored."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgewatch.pipeline.engines.builtin import BuiltinEngine
from edgewatch.pipeline.engines.builtin.fusion import BASELINE_CLIPS
from edgewatch.pipeline.engines.builtin.sight import Sight
from edgewatch.pipeline.mask import Mask
from edgewatch.pipeline.types import Answer, Clip
from tests.pipeline.engines.street import STRANGER, burst, clips, paste, quiet, walked

LOWER_LEFT = [(0.0, 0.35), (0.5, 0.35), (0.5, 1.0), (0.0, 1.0)]
"""Where `burst` happens."""
UPPER_RIGHT = [(0.5, 0.0), (1.0, 0.0), (1.0, 0.45)]
SIZES = {"small_size": (112, 64), "grid": (4, 7)}


def hidden(footage: Sequence[Clip], *regions: list[tuple[float, float]]) -> list[Clip]:
    """The same clips as a camera with these regions makes them."""
    mask = Mask(regions)
    frames = {}
    for clip in footage:
        for frame in clip.frames:
            if frame.index not in frames:
                pixels, ignored = mask.hide(frame.pixels)
                frames[frame.index] = replace(frame, pixels=pixels, ignored=ignored)
    return [replace(one, frames=tuple(frames[f.index] for f in one.frames)) for one in footage]


@pytest.fixture
async def engine() -> AsyncIterator[BuiltinEngine]:
    made = BuiltinEngine(baseline_dir=None)
    await made.start()
    yield made
    await made.close()


def bursts() -> list[Clip]:
    return clips(lambda index: burst(index, since=22), 3)


def highest(answers: Sequence[Answer]) -> float:
    return max(answer.score for answer in answers)


async def test_what_happens_in_a_region_raises_no_score(engine: BuiltinEngine) -> None:
    answers = await engine.judge(hidden(bursts(), LOWER_LEFT))
    assert highest(answers) < 0.1
    assert not any(answer.evidence for answer in answers)


async def test_what_happens_outside_of_it_alarms_as_ever(engine: BuiltinEngine) -> None:
    assert highest(await engine.judge(hidden(bursts(), UPPER_RIGHT))) >= 0.5


async def test_who_walks_behind_a_region_and_out_again_is_no_anomaly(engine: BuiltinEngine) -> None:
    """The edge of a region is none of the scene: things end and begin there all the time."""
    post = [(0.3, 0.3), (0.6, 0.3), (0.6, 1.0), (0.3, 1.0)]
    assert highest(await engine.judge(hidden(clips(walked, 6), post))) < 0.35


async def test_a_moving_camera_with_a_region_is_not_taken_for_moving_things(
    engine: BuiltinEngine,
) -> None:
    """The region stands still in a picture that moves; its own motion must not be laid to it."""

    def panned(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        return np.roll(quiet(index), 6 * index, axis=1)

    plain = await engine.judge(clips(panned, 3, camera="plain"))
    masked = await engine.judge(hidden(clips(panned, 3, camera="masked"), LOWER_LEFT))
    assert highest(masked) < highest(plain) + 0.1


async def test_region_drawn_on_a_known_camera_is_no_news_and_neither_is_its_removal(
    engine: BuiltinEngine,
) -> None:
    await engine.judge(clips(quiet, BASELINE_CLIPS + 2))
    drawn = await engine.judge(hidden(clips(quiet, 4, first=1000), LOWER_LEFT))
    assert not drawn[0].warming_up
    assert highest(drawn) < 0.35
    removed = await engine.judge(clips(quiet, 4, first=2000))
    assert highest(removed) < 0.35


async def test_a_stranger_is_known_as_such_beside_a_region(engine: BuiltinEngine) -> None:
    """What was learnt of the rest of the picture stays."""
    await engine.judge(clips(quiet, BASELINE_CLIPS + 2))
    far = [(0.75, 0.0), (1.0, 0.0), (1.0, 1.0), (0.75, 1.0)]
    strange = clips(lambda index: paste(quiet(index), STRANGER, 60, 30), 2, first=2000)
    (answer, _) = await engine.judge(hidden(strange, far))
    assert answer.score >= 0.5
    assert "unfamiliar" in {item.kind for item in answer.evidence}


async def test_what_is_known_of_a_region_is_kept_over_a_restart(tmp_path: Path) -> None:
    first = BuiltinEngine(baseline_dir=tmp_path)
    await first.start()
    await first.judge(hidden(clips(quiet, BASELINE_CLIPS + 2), LOWER_LEFT))
    await first.close()
    again = BuiltinEngine(baseline_dir=tmp_path)
    await again.start()
    # Without its region: nobody knows yet what is usual there, so nothing there is unusual
    answers = await again.judge(clips(quiet, 3, first=1000))
    await again.close()
    assert not answers[0].warming_up
    assert highest(answers) < 0.35


class TestSight:
    def test_nothing_ignored_leaves_all(self) -> None:
        assert Sight.of(np.zeros((168, 308), np.bool_), **SIZES) is None

    def test_what_touches_a_region_is_not_judged(self) -> None:
        ignored = np.zeros((168, 308), np.bool_)
        ignored[:, :154] = True
        sight = Sight.of(ignored, **SIZES)
        assert sight is not None
        assert not sight.pixels[:, :57].any()
        assert sight.pixels[:, 58:].all()
        assert sight.cells.any(axis=0).tolist() == [False] * 3 + [True] * 4

    @pytest.mark.parametrize("left", [1, 3, 30])
    def test_however_little_is_left_it_is_judged(self, left: int) -> None:
        ignored = np.ones((168, 308), np.bool_)
        ignored[:left, :left] = False
        sight = Sight.of(ignored, **SIZES)
        assert sight is not None
        assert sight.pixel_share > 0
        assert sight.cell_share > 0

    @pytest.mark.parametrize("left", [0.02, 0.06, 0.3])
    async def test_a_sliver_of_a_picture_gives_a_score(
        self, engine: BuiltinEngine, left: float
    ) -> None:
        most = [(0.0, 0.0), (1.0 - left, 0.0), (1.0 - left, 1.0), (0.0, 1.0)]
        answers = await engine.judge(hidden(clips(walked, 3), most))
        assert all(0 <= answer.score < 0.5 for answer in answers)
