"""The engine kept running."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import Answer, Clip
from tests.fakes.clips import make_clip
from tests.fakes.clock import ManualClock, VirtualTimeLoop
from tests.fakes.engine import FakeEngine


def run(test: Any) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(test)


def judge_of(engine: FakeEngine, stats: Stats | None = None) -> Judge:
    return Judge(engine, stats=stats or Stats(), clock=ManualClock(), judge_timeout_seconds=10)


def failing(*failures: Exception) -> Callable[[Clip], float]:
    left = list(failures)

    def answer(clip: Clip) -> float:
        if left:
            raise left.pop(0)
        return 0.25

    return answer


def instructed(answers: Callable[[Clip], float]) -> FakeEngine:
    engine = FakeEngine(answers)
    engine.instruct(make_clip(1.0).camera, "smoke")
    return engine


class NeverStarts(FakeEngine):
    """An engine that cannot be started again."""

    async def start(self) -> None:
        if self.started:
            self.started += 1
            raise RuntimeError("no device")
        await super().start()


class AnswersTooFew(FakeEngine):
    """An engine that forgets a clip."""

    async def judge(self, clips: Any) -> list[Answer]:
        return (await super().judge(clips))[1:]


def test_busy_engine_is_asked_again_with_the_same_batch() -> None:
    async def test() -> None:
        engine = instructed(failing(EngineBusy("full"), EngineBusy("full")))
        judge = judge_of(engine)
        await judge.start()
        assert await judge.judge([make_clip(1.0)]) == [Answer(0.25)]
        assert engine.started == 1

    run(test())


def test_batch_goes_back_to_a_restarted_engine_once() -> None:
    async def test() -> None:
        stats = Stats()
        engine = instructed(failing(EngineFailed("a"), EngineFailed("b")))
        judge = judge_of(engine, stats)
        await judge.start()
        assert await judge.judge([make_clip(1.0)]) is None
        assert await judge.judge([make_clip(2.0)]) == [Answer(0.25)]
        assert stats.engine_restarts == 2

    run(test())


def test_two_batches_that_fail_together_restart_the_engine_once() -> None:
    async def test() -> None:
        stats = Stats()
        engine = FakeEngine(failing(EngineFailed("a"), EngineFailed("a")), batches_in_flight=2)
        engine.instruct(make_clip(1.0).camera, "smoke")
        judge = judge_of(engine, stats)
        await judge.start()
        engine.hold = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(judge.judge([make_clip(at)])) for at in (1.0, 2.0)]
            await asyncio.sleep(0.1)
            engine.hold.set()  # the engine has both
        assert [one.result() for one in both] == [[Answer(0.25)]] * 2
        assert (engine.started, engine.closed, stats.engine_restarts) == (2, 1, 1)
        assert engine.batches == [["front-1.000"], ["front-2.000"]]

    run(test())


def test_a_stop_while_the_engine_restarts_ends_both_batches() -> None:
    async def test() -> None:
        engine = NeverStarts(failing(EngineFailed("a"), EngineFailed("a")), batches_in_flight=2)
        engine.instruct(make_clip(1.0).camera, "smoke")
        judge = judge_of(engine)
        await judge.start()
        engine.hold = asyncio.Event()
        both = [asyncio.create_task(judge.judge([make_clip(at)])) for at in (1.0, 2.0)]
        await asyncio.sleep(0.1)
        engine.hold.set()
        await asyncio.sleep(3.0)
        judge.stop()
        assert [await one for one in both] == [None, None]

    run(test())


def test_a_batch_behind_another_has_both_ones_time() -> None:
    class Slow(FakeEngine):
        def __init__(self) -> None:
            super().__init__(lambda clip: 0.25, batches_in_flight=2)
            self._device = asyncio.Lock()

        async def _answered(self, clips: Sequence[Clip]) -> list[Answer]:
            async with self._device:
                await asyncio.sleep(9.0)
                return await super()._answered(clips)

    async def test() -> None:
        engine = Slow()
        engine.instruct(make_clip(1.0).camera, "smoke")
        judge = judge_of(engine)
        await judge.start()
        both = [asyncio.create_task(judge.judge([make_clip(at)])) for at in (1.0, 2.0)]
        assert [await one for one in both] == [[Answer(0.25)]] * 2
        assert engine.started == 1

    run(test())


def test_too_few_answers_are_a_failure_and_not_a_shift() -> None:
    async def test() -> None:
        judge = judge_of(AnswersTooFew())
        await judge.start()
        assert await judge.judge([make_clip(1.0), make_clip(2.0)]) is None

    run(test())


def test_engine_was_away_for_what_was_captured_before_it_was_back() -> None:
    async def test() -> None:
        clock = ManualClock(monotonic_seconds=100.0)
        engine = instructed(failing(EngineFailed("a")))
        judge = Judge(engine, stats=Stats(), clock=clock)
        assert judge.was_away(100.0)  # it was never there
        await judge.start()
        assert not judge.was_away(99.0)
        judging = asyncio.create_task(judge.judge([make_clip(1.0)]))
        await asyncio.sleep(0.1)
        assert judge.was_away(100.0)
        clock.advance(2.0)
        assert await judging == [Answer(0.25)]
        assert judge.was_away(101.9)
        assert not judge.was_away(102.0)

    run(test())


def test_engine_that_cannot_start_is_tried_with_growing_delays_until_the_stop() -> None:
    async def test() -> None:
        engine = NeverStarts(failing(EngineFailed("gone")))
        judge = judge_of(engine)
        await judge.start()
        judging = asyncio.create_task(judge.judge([make_clip(1.0)]))
        await asyncio.sleep(100)
        tries = engine.started - 1
        assert 7 <= tries <= 9  # 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 s
        assert judge.state.state == "down"
        assert "no device" in judge.state.detail
        judge.stop()
        assert await judging is None

    run(test())


def test_first_start_that_fails_is_told_to_the_caller() -> None:
    class Broken(FakeEngine):
        async def start(self) -> None:
            raise OSError("libfoo.so is missing")

    async def test() -> None:
        with pytest.raises(EngineFailed, match=r"libfoo\.so"):
            await judge_of(Broken()).start()

    run(test())


def test_words_that_fail_are_given_up_and_counted() -> None:
    class Speechless(FakeEngine):
        async def describe(self, clip: Clip) -> str:
            raise EngineFailed("no words")

    async def test() -> None:
        stats = Stats()
        judge = judge_of(Speechless(), stats)
        await judge.start()
        assert await judge.describe(make_clip(1.0)) == ""
        assert stats.words_given_up == 1

    run(test())


def test_engine_that_does_not_close_does_not_hold_us_up() -> None:
    class Clingy(FakeEngine):
        async def close(self) -> None:
            await asyncio.sleep(3600)

    async def test() -> None:
        judge = judge_of(Clingy())
        await judge.start()
        await judge.close()
        assert asyncio.get_running_loop().time() == pytest.approx(5.0)

    run(test())
