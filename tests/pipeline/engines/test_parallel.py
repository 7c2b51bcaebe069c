"""Several models as one: shares, losses and returns."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.parallel import ParallelModels
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer
from tests.fakes.clock import VirtualTimeLoop


class FakeModel:
    """Keeps the contract of `Model`; scores a clip by the number in its prompt.

    `deaths`: what the next calls of `score` raise, a clip's prompt "poison" always kills it.
    """

    def __init__(self, name: str, *, max_batch: int = 4, seconds: float = 1.0) -> None:
        self.name = name
        self.max_batch = max_batch
        self.batches_in_flight = 1
        self.seconds = seconds
        self.deaths: list[Exception] = []
        self.unstartable = 0
        self.started = 0
        self.closed = 0
        self.batches: list[list[str]] = []
        self.described: list[str] = []
        self.running = False

    async def start(self) -> None:
        assert not self.running, "started twice"
        self.started += 1
        await asyncio.sleep(self.seconds)
        if self.unstartable:
            self.unstartable -= 1
            raise EngineFailed(f"{self.name} has no device")
        self.running = True

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        assert self.running, "scored before start"
        assert 1 <= len(clips) <= self.max_batch
        self.batches.append([clip.prompt for clip in clips])
        await asyncio.sleep(self.seconds)
        if self.deaths:
            self._die(self.deaths.pop(0))
        if any(clip.prompt == "poison" for clip in clips):
            self._die(EngineFailed(f"{self.name} was poisoned"))
        return [Answer(float(clip.prompt) / 100, prompt_hash=self.name) for clip in clips]

    def _die(self, error: Exception) -> None:
        if not isinstance(error, EngineBusy):
            self.running = False
        raise error

    async def words(self, clip: AskedClip) -> str:
        assert self.running
        self.described.append(clip.prompt)
        await asyncio.sleep(self.seconds)
        if self.deaths:
            self._die(self.deaths.pop(0))
        return f"{self.name} saw {clip.prompt}"

    async def close(self) -> None:
        self.closed += 1
        self.running = False


def clips(*prompts: object) -> list[AskedClip]:
    return [AskedClip(np.zeros((2, 28, 28, 3), np.uint8), 4.0, str(one)) for one in prompts]


def scores(answers: Sequence[Answer]) -> list[float]:
    return [round(answer.score * 100) for answer in answers]


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


def three() -> tuple[list[FakeModel], ParallelModels]:
    models = [FakeModel(name) for name in "abc"]
    return models, ParallelModels(models)


def test_batch_is_shared_out_evenly_and_answered_in_order() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        assert together.max_batch == 12
        loop = asyncio.get_running_loop()
        before = loop.time()
        answers = await together.score(clips(*range(9)))
        assert scores(answers) == list(range(9))
        assert [len(model.batches[0]) for model in models] == [3, 3, 3]
        assert loop.time() - before == pytest.approx(1.0)
        await together.close()

    run(test)


def test_two_batches_are_shared_out_where_each_model_takes_two() -> None:
    async def test() -> None:
        models, together = three()
        assert together.batches_in_flight == 1
        for model in models:
            model.batches_in_flight = 2
        await together.start()
        assert together.batches_in_flight == 2
        first = asyncio.create_task(together.score(clips(*range(12))))
        await asyncio.sleep(0.5)
        second = asyncio.create_task(together.score(clips(*range(12, 24))))
        assert scores(await first) == list(range(12))
        assert scores(await second) == list(range(12, 24))
        assert asyncio.get_running_loop().time() == pytest.approx(2.5)  # none waited for the other
        assert [[len(batch) for batch in model.batches] for model in models] == [[4, 4]] * 3
        await together.close()

    run(test)


def test_models_start_and_close_at_the_same_time() -> None:
    async def test() -> None:
        models, together = three()
        loop = asyncio.get_running_loop()
        await together.start()
        assert loop.time() == pytest.approx(1.0)
        await together.close()
        await together.close()
        assert not any(model.running for model in models)

    run(test)


def test_more_clips_than_there_is_room_for_go_in_rounds() -> None:
    async def test() -> None:
        _, together = three()
        await together.start()
        assert scores(await together.score(clips(*range(30)))) == list(range(30))
        await together.close()

    run(test)


def test_batches_at_the_same_time_never_overfill_a_model() -> None:
    async def test() -> None:
        _, together = three()  # FakeModel asserts its max_batch
        await together.start()
        both = await asyncio.gather(
            together.score(clips(*range(12))), together.score(clips(*range(20, 32)))
        )
        assert [scores(answers) for answers in both] == [list(range(12)), list(range(20, 32))]
        await together.close()

    run(test)


def test_lost_model_lowers_capacity_and_comes_back() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        models[1].deaths = [EngineFailed("b fell off the bus")]
        answers = await together.score(clips(*range(12)))
        assert scores(answers) == list(range(12))
        assert together.max_batch == 8
        assert {answer.prompt_hash for answer in answers} == {"a", "c"}
        assert scores(await together.score(clips(1, 2))) == [1, 2]
        await asyncio.sleep(3.0)
        assert together.max_batch == 12
        assert (models[1].started, models[1].closed) == (2, 1)
        await together.score(clips(*range(12)))
        assert models[1].batches[-1]
        await together.close()

    run(test)


def test_model_that_does_not_come_back_is_tried_with_growing_delays() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        models[0].deaths = [EngineFailed("gone")]
        models[0].unstartable = 99
        await together.score(clips(*range(12)))
        await asyncio.sleep(100.0)
        # 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 s, and a second for each try
        assert 7 <= models[0].started - 1 <= 9
        assert together.max_batch == 8
        assert together.name == "b"
        await together.close()

    run(test)


def test_start_with_one_model_missing_goes_on_without_it() -> None:
    async def test() -> None:
        models, together = three()
        models[2].unstartable = 2
        await together.start()
        assert together.max_batch == 8
        await asyncio.sleep(10.0)
        assert together.max_batch == 12
        await together.close()

    run(test)


def test_start_with_none_left_fails_and_says_why() -> None:
    async def test() -> None:
        models, together = three()
        for model in models:
            model.unstartable = 1
        with pytest.raises(EngineFailed, match="none of 3 engines is left: a has no device"):
            await together.start()
        await together.start()
        assert together.max_batch == 12
        await together.close()

    run(test)


def test_all_lost_is_a_failure_and_a_start_brings_all_back() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        for model in models:
            model.deaths = [EngineFailed("power")]
        with pytest.raises(EngineFailed, match="none of 3 engines is left: power"):
            await together.score(clips(*range(12)))
        with pytest.raises(EngineFailed, match="power"):
            await together.words(clips(1)[0])
        await together.close()
        await together.start()
        assert scores(await together.score(clips(7))) == [7]
        await together.close()

    run(test)


def test_clip_that_kills_every_model_is_given_up_before_it_has_killed_all() -> None:
    async def test() -> None:
        _, together = three()
        await together.start()
        (answer,) = await together.score(clips("poison"))
        assert math.isnan(answer.score)
        assert together.max_batch == 4
        await together.close()

    run(test)


def test_busy_model_is_asked_again() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        for model in models:
            model.deaths = [EngineBusy("full")]
        assert scores(await together.score(clips(1, 2, 3))) == [1, 2, 3]
        assert all(model.started == 1 for model in models)
        await together.close()

    run(test)


def test_bug_in_a_model_is_its_own_loss() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        models[0].deaths = [ZeroDivisionError("oops")]
        assert scores(await together.score(clips(1, 2, 3))) == [1, 2, 3]
        await together.close()

    run(test)


def test_words_go_to_the_model_that_has_least_to_do() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        said = await asyncio.gather(*(together.words(clip) for clip in clips(*range(6))))
        assert said[0] == "a saw 0"
        assert [len(model.described) for model in models] == [2, 2, 2]
        models[0].deaths = [EngineFailed("gone")]
        with pytest.raises(EngineBusy, match="gone"):
            await together.words(clips(9)[0])
        assert await together.words(clips(9)[0]) == "b saw 9"
        await together.close()

    run(test)


def test_close_while_one_is_being_restarted_leaves_none_running() -> None:
    async def test() -> None:
        models, together = three()
        await together.start()
        models[0].deaths = [EngineFailed("gone")]
        await together.score(clips(*range(3)))
        await asyncio.sleep(0.7)  # it is being started
        await together.close()
        await asyncio.sleep(60.0)
        assert not any(model.running for model in models)

    run(test)


def test_withdrawn_batch_is_withdrawn_everywhere() -> None:
    async def test() -> None:
        _, together = three()
        await together.start()
        asking = asyncio.create_task(together.score(clips(*range(12))))
        await asyncio.sleep(0.5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert scores(await together.score(clips(*range(12)))) == list(range(12))
        assert together.max_batch == 12
        await together.close()

    run(test)


def test_there_must_be_a_model() -> None:
    with pytest.raises(ValueError, match="at least"):
        ParallelModels([])
