"""Two frames on their way to the engine before their clip, and never in its way."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgewatch.pipeline.engines import figures_of, foresees
from edgewatch.pipeline.engines.calibrated import CalibratedEngine
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import ModelEngine
from edgewatch.pipeline.engines.parallel import ParallelModels
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.footage import Footage
from edgewatch.pipeline.footage_clock import Now
from edgewatch.pipeline.frames import Sample
from edgewatch.pipeline.pictures import Sampled
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, FramePair, SourceInfo
from tests.fakes.camera import FRONT, make_feed
from tests.fakes.clips import make_clip
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import T0, on_virtual_time, rig
from tests.fakes.keeping import FakeKeeping


class Foreseeing(FakeEngine):
    """Remembers what it was to foresee; may break over it."""

    foresees = True

    def __init__(self) -> None:
        super().__init__()
        self.pairs: list[float] = []
        self.broken = False

    def foresee(self, pair: FramePair) -> None:
        if self.broken:
            raise RuntimeError("division by cucumber")
        self.pairs.append(pair[0].time_seconds)


def pair_at(seconds: float) -> FramePair:
    first, second = make_clip(seconds, frames=2).frames
    return first, second


@on_virtual_time
async def test_a_cameras_pairs_reach_the_engine_the_newest_first_where_several_wait() -> None:
    engine = Foreseeing()
    async with rig(engine) as r:
        r.flow.add(make_feed())
        tell = r.cameras["front"].reports.on_pair
        assert tell is not None
        tell(pair_at(T0))
        await r.settle()
        tell(pair_at(T0 + 1))
        tell(pair_at(T0 + 2))
        await r.settle()
        assert engine.pairs == [T0, T0 + 2]
        assert r.chronicle.stats.snapshot(0.0).pairs_dropped == 1


@on_virtual_time
async def test_an_engine_that_breaks_over_a_pair_judges_on() -> None:
    engine = Foreseeing()
    engine.broken = True
    async with rig(engine) as r:
        r.flow.add(make_feed())
        camera = r.cameras["front"]
        camera.online()
        assert camera.reports.on_pair is not None
        camera.reports.on_pair(pair_at(T0))
        camera.see(T0)
        await r.settle()
        assert len(r.books.verdicts_saved) == 1


@on_virtual_time
async def test_an_engine_that_foresees_nothing_is_given_nothing() -> None:
    async with rig(FakeEngine()) as r:
        r.flow.add(make_feed())
        tell = r.cameras["front"].reports.on_pair
        assert tell is not None
        tell(pair_at(T0))
        await r.settle()


@on_virtual_time
async def test_a_recording_gives_no_pairs() -> None:
    async with rig(Foreseeing()) as r:
        r.flow.add(make_feed(live=False))
        assert r.cameras["front"].reports.on_pair is None


async def test_a_model_gets_the_pair_with_its_name_and_the_clip_with_the_same() -> None:
    model = FakeKeeping()
    engine = ModelEngine(model)
    engine.instruct(FRONT, "Look.")
    clip = make_clip(T0)
    engine.foresee((clip.frames[0], clip.frames[1]))
    await engine.judge([clip])
    (pair,), (asked,) = model.pairs, model.asked
    assert pair.camera == asked.camera == FRONT
    assert pair.times == asked.times[:2] == (T0, T0 + 0.25)
    assert np.array_equal(pair.frames, asked.frames[:2])
    await engine.forget(FRONT)
    assert model.forgotten == [FRONT]


def test_a_calibrated_engine_foresees_and_counts_as_its_own(tmp_path: Path) -> None:
    model = FakeKeeping()
    setup = EngineSetup(calibration=tmp_path / "none.json")
    engine = CalibratedEngine(ModelEngine(model), setup)
    assert foresees(engine)
    engine.foresee(pair_at(T0))
    assert len(model.pairs) == 1
    assert figures_of(engine) == model.figures
    plain = CalibratedEngine(FakeEngine(), setup)
    assert not foresees(plain)
    assert figures_of(plain) is None


async def test_of_several_models_a_cameras_clips_and_pairs_go_to_the_same() -> None:
    models = [FakeKeeping(), FakeKeeping()]
    together = ParallelModels(models)
    await together.start()
    engine = ModelEngine(together)
    cameras = [CameraName(f"c{number}") for number in range(4)]
    for name in cameras:
        engine.instruct(name, "Look.")
    for turn in range(6):
        order = cameras[turn % 4 :] + cameras[: turn % 4]
        await engine.judge([make_clip(T0 + turn, camera=name) for name in order])
    homes = [{clip.camera for clip in model.asked} for model in models]
    assert [len(home) for home in homes] == [2, 2], "as many each, and always the same"
    for name in cameras:
        clip = make_clip(T0 + 9, camera=name)
        engine.foresee((clip.frames[0], clip.frames[1]))
    assert [{pair.camera for pair in model.pairs} for model in models] == homes
    assert engine.figures == EngineFigures(sight_foreseen=4, sight_misses=24)
    await engine.forget(cameras[0])
    assert all(model.forgotten == [cameras[0]] for model in models)
    await together.close()


def test_footage_tells_each_pair_but_the_one_that_completes_a_clip() -> None:
    told: list[tuple[int, int]] = []
    clips: list[Clip] = []
    footage = Footage(
        FRONT,
        fps=4.0,
        seconds=2.0,
        stride_seconds=1.0,
        replay=False,
        first_index=0,
        on_clip=clips.append,
        on_condition=lambda condition: None,
        on_unjudged=None,
        on_pair=lambda pair: told.append((pair[0].slot, pair[1].slot)),
    )
    source = parse_source("rtsp://camera/live")
    random = np.random.default_rng(1)
    for slot in range(12):
        now = Now(T0 + slot / 4, slot / 4)
        sample = Sample(slot, slot / 4, jumped=False)
        if not slot:
            footage.begin(sample, source, SourceInfo("h264", 56, 56, 4.0), now, is_finite=False)
        pixels = random.integers(0, 256, (56, 56, 3), np.uint8)
        footage.take(Sampled(sample, pixels, (56, 56)), 0, now)
    assert [clip.frames[0].slot for clip in clips] == [0, 4]
    assert told == [(0, 1), (2, 3), (4, 5), (8, 9)]
