"""The engine part of `edgewatch check`: what it tries, what it says, and the cures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from edgewatch.config.sections import Clips
from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engines import Engine, create_engine
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip
from edgewatch.tools.engine_findings import engine_findings, failure_finding
from edgewatch.tools.findings import Finding
from edgewatch.tools.real_clip import real_clip
from edgewatch.tools.self_test import STILL, Scored, SelfTest, Speed, self_test
from edgewatch.tools.trial_footage import footage
from tests.fakes.clips import make_clip
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine
from tests.fakes.videos import write_video

KIND = Clips()
DENSE = Clips(stride_seconds=0.5)
CAMERA = CameraName("self-test-0")


def by_brightness(clip: Clip) -> float:
    """An engine that sees: black 0, grey a little, moving a little more."""
    first, second = clip.frames[0].pixels, clip.frames[1].pixels
    return float(first.mean() / 1000 + (first != second).any() * 0.1)


class TimedEngine(FakeEngine):
    """Takes so many seconds for each batch and each clip in it, on a clock of the test."""

    def __init__(
        self,
        clock: ManualClock,
        *,
        batch_seconds: float = 0.0,
        clip_seconds: float = 0.0,
        max_batch: int = 4,
        answers: Callable[[Clip], float] = by_brightness,
    ) -> None:
        super().__init__(answers, max_batch=max_batch)
        self._clock = clock
        self._batch_seconds = batch_seconds
        self._clip_seconds = clip_seconds

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        self._clock.advance(self._batch_seconds + len(clips) * self._clip_seconds)
        return await super().judge(clips)


def a_plan(clips: Clips = KIND) -> CameraPlan:
    plan = Settings().plan_for(None)
    return replace(plan, name="front", url="/a.mp4", clips=clips)


async def tried(
    engine: Engine,
    clock: ManualClock | None = None,
    *,
    kinds: Sequence[Clips] = (KIND,),
    max_batch: int = 1,
    real: Clip | None = None,
) -> SelfTest:
    return await self_test(
        engine, kinds, clock or ManualClock(), prompt="smoke", max_batch=max_batch, real=real
    )


def a_test(speeds: Sequence[Speed] = (), **scores: Scored) -> SelfTest:
    shown = {"a black picture": Scored(0.0, 0.0), STILL: Scored(0.1, 0.1)} | scores
    return SelfTest("fake-1", 0.1, shown, speeds)


def findings(
    test: SelfTest,
    plans: Sequence[CameraPlan] = (),
    threshold: float = 0.5,
    kind: str = "transformers",
) -> list[Finding]:
    return engine_findings(test, plans, threshold, kind=kind)


def sound(test: SelfTest, threshold: float = 0.5, kind: str = "transformers") -> Finding:
    first, *_ = findings(test, [], threshold, kind)
    assert first.name == "engine"
    assert bool(first.cure) == (first.status != "ok")
    return first


class TestSelfTest:
    async def test_black_still_moving_and_real_clips_are_scored_twice_afresh(self) -> None:
        engine = FakeEngine(by_brightness)
        real = make_clip(1.0, camera=CameraName("front"))
        test = await tried(engine, real=real)
        assert list(test.scores) == [
            "a black picture",
            "a still scene",
            "a moving scene",
            "camera front",
        ]
        assert all(one.first == one.second for one in test.scores.values())
        assert test.scores["camera front"].first == pytest.approx(0.127)
        assert engine.prompts == {CAMERA: "smoke"}
        assert engine.forgotten.count(CAMERA) >= 8
        assert engine.closed == 1

    async def test_a_camera_named_like_a_scene_is_not_taken_for_it(self) -> None:
        test = await tried(
            FakeEngine(by_brightness), real=make_clip(1.0, camera=CameraName("still"))
        )
        assert len(test.scores) == 4

    @pytest.mark.parametrize(
        ("max_batch", "sizes"), [(1, [1]), (2, [1, 2]), (6, [1, 2, 4, 6]), (8, [1, 2, 4, 8])]
    )
    async def test_each_size_of_batch_is_measured(self, max_batch: int, sizes: list[int]) -> None:
        clock = ManualClock()
        engine = TimedEngine(clock, batch_seconds=0.1, clip_seconds=0.05, max_batch=8)
        test = await tried(engine, clock, max_batch=max_batch)
        assert [speed.clips for speed in test.speeds] == sizes
        for speed in test.speeds:
            assert speed.batch_seconds == pytest.approx(0.1 + 0.05 * speed.clips)
        # Each clip of a batch is of a camera of its own.
        assert all(len({one.rsplit("-", 1)[0] for one in batch}) == len(batch)
                   for batch in engine.batches)  # fmt: skip

    async def test_no_larger_batch_is_tried_than_the_engine_takes(self) -> None:
        test = await tried(FakeEngine(by_brightness, max_batch=2), max_batch=8)
        assert [speed.clips for speed in test.speeds] == [1, 2]

    async def test_batches_that_take_too_long_to_measure_are_left_out(self) -> None:
        clock = ManualClock()
        engine = TimedEngine(clock, clip_seconds=8.0, max_batch=8)
        test = await tried(engine, clock, max_batch=8)
        # Two batches each: 16 s, then 32 s; another 64 s would be too much.
        assert [speed.clips for speed in test.speeds] == [1, 2]
        assert list(test.left_out) == [4, 8]
        left = findings(test, [])[-1]
        assert (left.status, left.subject) == ("warn", "batches of 4, 8")
        assert left.cure == "Set [engine] max_batch = 2."

    async def test_other_kinds_of_clips_are_measured_at_the_largest_batch(self) -> None:
        clock = ManualClock()
        engine = TimedEngine(clock, clip_seconds=0.1)
        test = await tried(engine, clock, kinds=[KIND, DENSE, KIND], max_batch=2)
        assert [(one.kind, one.clips) for one in test.speeds] == [(KIND, 1), (KIND, 2), (DENSE, 2)]

    async def test_an_engine_that_breaks_is_closed_all_the_same(self) -> None:
        def breaks(clip: object) -> float:
            raise EngineFailed("the model file is damaged", "download it again")

        engine = FakeEngine(breaks)
        with pytest.raises(EngineFailed, match="damaged") as caught:
            await tried(engine)
        assert caught.value.cure == "download it again"
        assert engine.closed == 1

    async def test_whatever_an_engine_throws_becomes_a_failure(self) -> None:
        class Broken(FakeEngine):
            async def start(self) -> None:
                raise ImportError("libcuda.so.1: cannot open shared object file")

        with pytest.raises(EngineFailed, match=r"could not start: ImportError: libcuda\.so\.1"):
            await tried(Broken())

    async def test_an_engine_that_is_busy_without_work_fails(self) -> None:
        def busy(clip: object) -> float:
            raise EngineBusy("no seat")

        with pytest.raises(EngineFailed, match="busy with nothing else to do: no seat"):
            await tried(FakeEngine(busy))

    async def test_a_failure_to_close_hides_nothing(self) -> None:
        class Clingy(FakeEngine):
            async def close(self) -> None:
                raise RuntimeError("stuck")

        assert (await tried(Clingy(by_brightness))).engine == "fake-1"

    async def test_too_few_answers_are_a_failure(self) -> None:
        class Forgetful(FakeEngine):
            async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
                return (await super().judge(clips))[1:]

        with pytest.raises(EngineFailed, match="1 clips were answered 0 times"):
            await tried(Forgetful())


class TestSoundness:
    async def test_a_sound_engine_is_ok(self) -> None:
        found = sound(await tried(FakeEngine(by_brightness)))
        assert (found.status, found.subject) == ("ok", "fake-1")
        assert found.detail.startswith("started in 0.0 s; a black picture 0.000, a still scene 0.1")
        assert found.detail.endswith(", the same when judged again")

    @pytest.mark.parametrize(
        ("second", "status", "told"),
        [
            (0.2004, "ok", "the same when judged again"),
            (0.2006, "warn", "scores the same clip up to 0.0006 apart: "),
            (0.219, "warn", "scores the same clip up to 0.0190 apart: "),
            (0.221, "fail", "scores the same clip (moving) 0.2, then 0.221"),
        ],
    )
    def test_the_same_clip_must_score_the_same(self, second: float, status: str, told: str) -> None:
        found = sound(a_test(moving=Scored(0.2, second)))
        assert found.status == status
        assert told in found.detail
        assert ("memory" in found.cure) == (status == "fail")

    @pytest.mark.parametrize("score", [-0.1, 1.5, math.inf])
    def test_a_score_that_is_no_probability_fails(self, score: float) -> None:
        found = sound(a_test(moving=Scored(score, score)))
        assert found.status == "fail"
        assert found.detail.endswith("no probability")

    def test_no_answer_is_cured_by_other_answers(self) -> None:
        found = sound(a_test(moving=Scored(math.nan, math.nan)))
        assert found.status == "fail"
        assert found.detail == "gives moving no answer, neither of the two it was asked for"
        assert "answer_prefix" in found.cure

    async def test_an_engine_that_does_not_see_fails(self) -> None:
        found = sound(await tried(FakeEngine(lambda clip: 0.3)))
        assert (found.status, found.detail) == (
            "fail", "does not see: scores whatever it is shown 0.3"
        )  # fmt: skip

    async def test_the_built_in_engine_has_a_least_score(self) -> None:
        assert sound(await tried(FakeEngine(lambda clip: 0.3)), kind="builtin").status == "ok"

    def test_answers_that_hardly_are_some_are_a_warning(self) -> None:
        found = sound(a_test(moving=Scored(0.2, 0.2, uncertain=True)))
        assert found.status == "warn"
        assert found.detail.startswith("hardly answers as it was asked to, about moving: ")
        assert "[engine] answers" in found.cure

    def test_an_engine_that_alarms_at_nothing_is_a_warning(self) -> None:
        found = sound(a_test(), threshold=0.1)
        assert found.status == "warn"
        assert "threshold" in found.cure

    def test_the_gravest_is_told(self) -> None:
        """An engine that does not answer is not one with a threshold too low."""
        assert sound(a_test(moving=Scored(math.nan, 0.1)), threshold=0.1).status == "fail"


class TestCapacity:
    def test_speed_and_cameras_are_told_for_each_size(self) -> None:
        test = a_test([Speed(KIND, 1, 0.5), Speed(KIND, 4, 0.8)])
        _, one, four = findings(test, [])
        assert one.subject == "5 s at 4 fps, 336x196, 1 at a time"
        assert one.detail == "500 ms a clip, 2 clips/s; one every 2.5 s: serves 5 such cameras"
        assert four.subject == "5 s at 4 fps, 336x196, 4 at a time"
        assert four.detail == "200 ms a clip, 5 clips/s; one every 2.5 s: serves 12 such cameras"
        assert (one.status, four.status) == ("ok", "ok")

    @pytest.mark.parametrize(
        ("cameras", "status", "detail"),
        [(12, "ok", "take 96% of it"), (13, "warn", "take 104% of it")],
    )
    def test_the_load_is_that_of_full_batches(self, cameras: int, status: str, detail: str) -> None:
        test = a_test([Speed(KIND, 1, 0.5), Speed(KIND, 4, 0.8)])
        load = findings(test, [a_plan()] * cameras)[-1]
        assert (load.name, load.status, load.detail) == ("load", status, detail)
        assert load.subject == f"all {cameras} enabled cameras"
        assert ("stride_seconds" in load.cure) == (status == "warn")

    def test_cameras_cut_differently_load_the_engine_together(self) -> None:
        test = a_test([Speed(KIND, 1, 1.0), Speed(DENSE, 1, 0.4)])
        *_, dense, load = findings(test, [a_plan(), a_plan(DENSE)])
        assert "one every 0.5 s: serves 1 such" in dense.detail
        assert (load.status, load.detail) == ("warn", "take 120% of it")

    def test_one_camera_is_one(self) -> None:
        load = findings(a_test([Speed(KIND, 1, 1.0)]), [a_plan()])[-1]
        assert (load.subject, load.detail) == ("the one enabled camera", "takes 40% of it")

    def test_an_engine_too_fast_for_the_clock_serves_any_number(self) -> None:
        _, speed, load = findings(a_test([Speed(KIND, 1, 0.0)]), [a_plan()])
        assert "serves any number of such cameras" in speed.detail
        assert load.status == "ok"


class TestFailures:
    @pytest.mark.parametrize(
        ("error", "detail", "cure"),
        [
            (EngineFailed("no GPU", "set device"), "no GPU", "Set device"),
            (EngineFailed("it shares a token: set [engine] answers to X, as [\"a: b\"]"),
             "it shares a token", "Set [engine] answers to X, as [\"a: b\"]"),
            (EngineFailed("h:8000 gives no log-probabilities: start the server with logprobs"),
             "h:8000 gives no log-probabilities", "Start the server with logprobs"),
            (EngineFailed("could not start: RuntimeError: CUDA error"),
             "could not start: RuntimeError: CUDA error", "Look at docs/engines.md"),
            (EngineFailed("broken"), "broken", "Look at docs/engines.md"),
            (EngineFailed("broken: "), "broken: ", "Look at docs/engines.md"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_and_the_cure_stand_apart(
        self, error: EngineFailed, detail: str, cure: str
    ) -> None:
        found = failure_finding("transformers", error)
        assert (found.name, found.subject, found.status) == ("engine", "transformers", "fail")
        assert found.detail == detail
        assert found.cure.startswith(cure)

    def test_each_kind_has_a_cure_in_general(self) -> None:
        cures = {
            kind: failure_finding(kind, EngineFailed("broken")).cure
            for kind in ("builtin", "remote", "transformers", "tensorrt")
        }
        assert cures["builtin"].startswith("Install edgewatch anew")
        assert "server's own log" in cures["remote"]
        assert cures["transformers"] == cures["tensorrt"]


class TestFootage:
    def test_footage_is_cut_as_live_video_is(self) -> None:
        first, second, third = islice(footage(KIND, "moving", CAMERA), 3)
        assert len(first.frames) == len(second.frames) == 20
        assert second.start_seconds - first.start_seconds == KIND.stride_seconds
        assert third.frames[0] is first.frames[-1] or third.frames[0] in second.frames
        assert {frame.camera for frame in first.frames} == {CAMERA}

    def test_the_longest_footage_takes_little_memory(self) -> None:
        kind = Clips(fps=30.0, seconds=60.0, stride_seconds=60.0, pixels=112 * 112)
        clip = next(footage(kind, "moving", CAMERA))
        assert len(clip.frames) == 1800
        assert len({id(frame.pixels) for frame in clip.frames}) <= 8

    def test_scenes_are_what_they_are_called(self) -> None:
        black, still, moving = (
            next(footage(KIND, scene, CAMERA)).frames for scene in ("black", "still", "moving")
        )
        assert not any(frame.pixels.any() for frame in black)
        assert still[0].pixels.any()
        assert not (still[0].pixels != still[1].pixels).any()
        assert (moving[0].pixels != moving[1].pixels).any()


class TestRealClip:
    def plan(self, url: Path | str, **changed: Any) -> CameraPlan:
        return replace(a_plan(), url=str(url), **changed)

    def test_the_first_window_of_a_recording_is_taken(self, tmp_path: Path) -> None:
        video = write_video(tmp_path / "a.mp4", width=160, height=120, fps=10, frames=80)
        clip = real_clip(self.plan(video))
        assert clip is not None
        assert (clip.camera, len(clip.frames)) == ("front", 20)
        assert clip.frames[0].pixels.shape[2] == 3

    def test_a_recording_shorter_than_a_window_gives_what_it_has(self, tmp_path: Path) -> None:
        clip = real_clip(self.plan(write_video(tmp_path / "a.mp4", fps=10, frames=30)))
        assert clip is not None
        assert len(clip.frames) % 2 == 0

    def test_what_cannot_be_read_gives_none(self, tmp_path: Path) -> None:
        (tmp_path / "a.mp4").write_text("no video")
        assert real_clip(self.plan(tmp_path / "a.mp4")) is None

    def test_a_camera_that_does_not_answer_gives_none_in_time(self) -> None:
        assert real_clip(self.plan("rtsp://127.0.0.1:9/live"), limit_seconds=0.1) is None


def test_the_built_in_engine_passes(tmp_path: Path) -> None:
    video = write_video(tmp_path / "a.mp4", width=320, height=240, fps=10, frames=60)
    real = real_clip(replace(a_plan(), url=str(video)))
    engine = create_engine(EngineSetup())
    test = asyncio.run(
        self_test(engine, [KIND], SystemClock(), prompt="smoke", max_batch=2, real=real)
    )
    engine_row, one, two, load = findings(test, [a_plan()], kind="builtin")
    assert (engine_row.status, load.name) == ("ok", "load")
    assert "camera front 0." in engine_row.detail
    assert "ms a clip" in one.detail
    assert two.subject.endswith("2 at a time")
