"""An engine that takes two batches at once, in the flow, on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest

from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, Clip
from tests.fakes.camera import FRONT, make_feed
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import T0, Rig, on_virtual_time, rig


class Device(FakeEngine):
    """A device: batches are brought to it side by side, and computed one after the other.

    When it fails, all that it has fails with it.
    """

    clip_seconds = 0.1
    host_seconds = 0.05

    def __init__(self, answers: Callable[[Clip], float] = lambda clip: 0.1) -> None:
        super().__init__(answers, max_batch=4, batches_in_flight=2)
        self.spans: list[tuple[float, float, int]] = []
        """From, to, and how many clips."""
        self._computing = asyncio.Lock()
        self._death: asyncio.Future[None] | None = None

    async def start(self) -> None:
        await super().start()
        self._death = asyncio.get_running_loop().create_future()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        death = self._death
        assert death is not None
        work = asyncio.ensure_future(super().judge(clips))
        both: set[asyncio.Future[Any]] = {work, death}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            work.cancel()
            await asyncio.wait({work})
            raise EngineFailed("the device is lost")
        if isinstance(work.exception(), EngineFailed):
            death.set_result(None)
        return work.result()

    async def close(self) -> None:
        await super().close()
        if self._death is not None and not self._death.done():
            self._death.set_result(None)

    async def _answered(self, clips: Sequence[Clip]) -> list[Answer]:
        await asyncio.sleep(self.host_seconds)
        async with self._computing:
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(self.clip_seconds * len(clips))
            self.spans.append((began, asyncio.get_running_loop().time(), len(clips)))
            return await super()._answered(clips)


class LastFirst(FakeEngine):
    """Answers the second of two batches first."""

    def __init__(self) -> None:
        super().__init__(max_batch=1, batches_in_flight=2)

    async def _answered(self, clips: Sequence[Clip]) -> list[Answer]:
        odd = round(clips[0].start_seconds) % 2
        await asyncio.sleep(0.1 if odd else 0.3)
        return await super()._answered(clips)


def judged(r: Rig) -> list[str]:
    return [one.clip_id for one in r.books.verdicts_saved]


async def practise(r: Rig, name: str = "front") -> None:
    """Have batches of two sizes judged, so that the engine's pace is known."""
    r.cameras[name].see(T0)
    await asyncio.sleep(1.0)
    r.cameras[name].see(T0 + 1)
    r.cameras[name].see(T0 + 2)
    await asyncio.sleep(1.0)


@on_virtual_time
async def test_the_device_never_waits_for_the_host() -> None:
    async with rig(Device()) as r:
        for name in "abcdefghij":
            r.flow.add(make_feed(name))
            r.cameras[name].see(T0)
            r.cameras[name].see(T0 + 1)
        await asyncio.sleep(5.0)
        engine = r.engine
        assert isinstance(engine, Device)
        assert [clips for _, _, clips in engine.spans] == [4] * 5
        gaps = [later[0] - one[1] for one, later in pairwise(engine.spans)]
        assert gaps == pytest.approx([0.0] * 4)
        assert Counter(judged(r)) == Counter(
            f"{name}-{T0 + second:.3f}" for name in "abcdefghij" for second in (0, 1)
        )


@on_virtual_time
async def test_verdicts_are_in_order_of_time_though_the_answers_are_not() -> None:
    async with rig(LastFirst()) as r:
        r.flow.add(make_feed())
        for second in (0, 1):
            r.cameras["front"].see(T0 + second)
        await asyncio.sleep(0.2)
        assert r.engine.batches == [[f"front-{T0 + 1:.3f}"]]
        assert judged(r) == []
        for second in (2, 3):  # both places are taken until the first is answered
            r.cameras["front"].see(T0 + second)
        await asyncio.sleep(2.0)
        assert judged(r) == [f"front-{T0 + second:.3f}" for second in range(4)]


@on_virtual_time
async def test_clips_gather_while_the_engine_is_at_work() -> None:
    async with rig(Device()) as r:
        engine = r.engine
        assert isinstance(engine, Device)
        for name in ("front", "a", "b", "c", "d"):
            r.flow.add(make_feed(name))
        await practise(r)
        engine.spans.clear()
        for name in ("a", "b", "c", "d"):
            r.cameras[name].see(T0)
        for name in ("a", "b", "c"):
            await asyncio.sleep(0.05)
            r.cameras[name].see(T0 + 1)
        await asyncio.sleep(2.0)
        assert [clips for _, _, clips in engine.spans] == [4, 3]
        assert engine.spans[1][0] == pytest.approx(engine.spans[0][1])


@on_virtual_time
async def test_both_batches_go_to_a_restarted_engine_and_each_clip_is_judged_once() -> None:
    failures = iter([EngineFailed("cuda error")])

    def answer(clip: Clip) -> float:
        if failure := next(failures, None):
            raise failure
        return 0.9

    async with rig(Device(answer)) as r:
        for name in "abcdefgh":
            r.flow.add(make_feed(name, open_after=1, open_within=1))
            r.cameras[name].see(T0)
        await asyncio.sleep(5.0)
        assert sorted(judged(r)) == [f"{name}-{T0:.3f}" for name in "abcdefgh"]
        assert (r.engine.started, r.chronicle.stats.engine_restarts) == (2, 1)
        assert sorted(one.camera for one in r.books.events if one.type == "new") == list("abcdefgh")
        assert all(one.clips == 1 for one in r.books.events)


@pytest.mark.parametrize("poisoned", ["a", "h"], ids=["first batch", "second batch"])
def test_only_the_batch_that_kills_the_engine_is_given_up(poisoned: str) -> None:
    def answer(clip: Clip) -> float:
        if clip.camera == poisoned:
            raise EngineFailed("poison")
        return 0.2

    async def test() -> None:
        async with rig(Device(answer)) as r:
            for name in "abcdefgh":
                r.flow.add(make_feed(name))
                r.cameras[name].see(T0)
            await asyncio.sleep(20.0)
            batch = "abcd" if poisoned == "a" else "efgh"
            left = [name for name in "abcdefgh" if name not in batch]
            assert sorted(judged(r)) == [f"{name}-{T0:.3f}" for name in left]
            assert r.chronicle.stats.snapshot(0.0).drops == {"engine_down": 4}
            assert r.judge.state.state == "ready"

    on_virtual_time(test)()


@on_virtual_time
async def test_nothing_is_given_to_an_engine_that_is_being_restarted() -> None:
    class SlowToStart(Device):
        async def start(self) -> None:
            if self.started:
                await asyncio.sleep(30.0)
            await super().start()

    failures = iter([EngineFailed("cuda error")])

    def answer(clip: Clip) -> float:
        if failure := next(failures, None):
            raise failure
        return 0.2

    async with rig(SlowToStart(answer)) as r:
        r.flow.add(make_feed())
        r.cameras["front"].see(T0)
        for second in range(1, 20):
            await asyncio.sleep(1.0)
            r.cameras["front"].see(T0 + second, r.clock.monotonic_seconds())
        assert r.flow.stuck_seconds > 15
        await asyncio.sleep(20.0)
        # The newest waited in the mailbox; the older ones gave way, and are counted.
        assert judged(r) == [f"front-{T0 + second:.3f}" for second in (0, 18, 19)]
        assert r.chronicle.stats.snapshot(0.0).drops == {"engine_down": 17}


@on_virtual_time
async def test_recordings_take_one_place_where_live_video_is_watched() -> None:
    async with rig(Device(), words=False) as r:
        engine = r.engine
        assert isinstance(engine, Device)
        r.flow.add(make_feed())
        for name in ("tape", "reel"):
            r.flow.add(make_feed(name, live=False))
            for second in range(3):
                r.cameras[name].see(T0 + second)
        await asyncio.sleep(0.02)
        r.cameras["front"].see(T0)
        await asyncio.sleep(5.0)
        assert [batch[0].split("-")[0] for batch in engine.batches] == ["tape", "front", "tape"]
        r.cameras["tape"].end()
        r.cameras["reel"].end()
        assert len(judged(r)) == 7


@pytest.mark.parametrize("words", [True, False])
def test_recordings_alone_take_both_places_unless_words_would_give_way(words: bool) -> None:
    async def test() -> None:
        async with rig(Device(lambda clip: 0.9), words=words, idle_ends=True) as r:
            engine = r.engine
            assert isinstance(engine, Device)
            for name in ("tape", "reel"):
                r.flow.add(make_feed(name, live=False))
            for second in range(4):
                for name in ("tape", "reel"):
                    r.cameras[name].see(T0 + second)
            for name in ("tape", "reel"):
                r.cameras[name].end()
            assert await r.flow.ended(30.0)
            earlier, later = engine.spans
            gap_seconds = later[0] - earlier[1]
            assert gap_seconds == pytest.approx(engine.host_seconds if words else 0.0)
            assert [len(batch) for batch in engine.batches] == [4, 4]
            for name in ("tape", "reel"):
                own = [one.start_seconds for one in r.books.verdicts_saved if one.camera == name]
                assert own == [T0, T0 + 1, T0 + 2, T0 + 3]
            assert len(engine.described) == (2 if words else 0)

    on_virtual_time(test)()


@on_virtual_time
async def test_stop_drains_both_batches() -> None:
    async with rig(Device(lambda clip: 0.9)) as r:
        for name in "abcdefgh":
            r.flow.add(make_feed(name, open_after=1, open_within=1))
            r.cameras[name].see(T0)
        await asyncio.sleep(0.1)
        r.flow.stop()
        assert await r.flow.ended(5.0)
        assert len(judged(r)) == 8
        assert sum(one.type == "end" for one in r.books.events) == 8


@on_virtual_time
async def test_a_removed_camera_is_gone_though_others_keep_the_engine_at_work() -> None:
    async with rig(Device()) as r:
        r.flow.add(make_feed())
        r.flow.add(make_feed("busy"))
        r.cameras["front"].see(T0)
        r.cameras["front"].see(T0 + 1)

        async def keep_busy() -> None:
            for second in range(100):
                r.cameras["busy"].see(T0 + second, r.clock.monotonic_seconds())
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as tasks:
            busy = tasks.create_task(keep_busy())
            await asyncio.sleep(0.01)
            await r.flow.remove(FRONT)
            assert [one for one in judged(r) if one.startswith("front")] == [
                f"front-{T0 + second:.3f}" for second in (0, 1)
            ]
            assert not busy.done()
            assert r.engine.forgotten == ["front"]


@on_virtual_time
async def test_a_hung_engine_is_restarted_once_for_both_batches() -> None:
    async with rig(FakeEngine(max_batch=1, batches_in_flight=2), judge_timeout_seconds=10) as r:
        r.engine.hold = asyncio.Event()
        r.flow.add(make_feed())
        for second in (0, 1):
            r.cameras["front"].see(T0 + second)
        await asyncio.sleep(5.0)
        r.cameras["front"].see(T0 + 2)
        await asyncio.sleep(4.9)
        assert 9 < r.flow.stuck_seconds < 10
        assert r.engine.started == 1
        await asyncio.sleep(0.2)
        r.engine.hold.set()
        await asyncio.sleep(15.0)
        assert r.engine.started == 2
        assert judged(r) == [f"front-{T0 + second:.3f}" for second in range(3)]
        assert r.flow.stuck_seconds == 0.0
