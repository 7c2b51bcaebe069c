"""Words on virtual time: after screening, bounded, and given up first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer, Clip, Event
from edgewatch.pipeline.words import QUIET_SECONDS, SUSPECTS_WAITING
from tests.fakes.camera import make_feed
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import T0, Rig, on_virtual_time, rig, watch_steadily


class Talker(FakeEngine):
    """An engine that takes its time over batches and words, and notes what runs beside what."""

    def __init__(
        self,
        answers: Callable[[Clip], float] = lambda clip: 0.9,
        *,
        says: Callable[[Clip], str] = lambda clip: f"seen in {clip.clip_id}",
        judge_seconds: float = 0.0,
        speak_seconds: float = 0.0,
        max_batch: int = 4,
    ) -> None:
        super().__init__(answers, max_batch=max_batch)
        self._says = says
        self.judge_seconds = judge_seconds
        self.speak_seconds = speak_seconds
        self.judging = self.speaking = 0
        self.began_while_judging = self.most_speaking = 0

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        self.judging += 1
        try:
            await asyncio.sleep(self.judge_seconds)
            return await super().judge(clips)
        finally:
            self.judging -= 1

    async def describe(self, clip: Clip) -> str:
        await super().describe(clip)
        self.began_while_judging += self.judging > 0
        self.speaking += 1
        self.most_speaking = max(self.most_speaking, self.speaking)
        try:
            await asyncio.sleep(self.speak_seconds)
            return self._says(clip)
        finally:
            self.speaking -= 1


def scripted(*replies: str | Exception) -> Callable[[Clip], str]:
    left = list(replies)

    def say(clip: Clip) -> str:
        reply = left.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return say


def given_up(r: Rig) -> int:
    return r.chronicle.stats.words_given_up


def described(r: Rig) -> list[str]:
    return [event.description for event in r.books.events if event.description]


async def see_scores(r: Rig, scores: Sequence[float], name: str = "front") -> None:
    """Hand over a clip a second; the engine answers them in order."""
    await watch_steadily(r, r.cameras[name], len(scores))


def by_second(scores: Sequence[float]) -> Callable[[Clip], float]:
    return lambda clip: scores[min(round(clip.start_seconds - T0), len(scores) - 1)]


@on_virtual_time
async def test_words_about_the_opening_clip_follow_as_an_update() -> None:
    async with rig(Talker(speak_seconds=0.5)) as r:
        r.flow.add(make_feed())
        await see_scores(r, [0.9] * 5)
        opening = r.books.verdicts_saved[1].clip_id
        assert r.engine.described == [opening]
        assert r.books.steps() == ["new", "update"]
        assert described(r) == [f"seen in {opening}"]
        assert given_up(r) == 0


@on_virtual_time
async def test_nothing_is_described_where_words_are_turned_off() -> None:
    async with rig(Talker(), words=False) as r:
        r.flow.add(make_feed())
        r.flow.add(make_feed("drive", live=False))
        await see_scores(r, [0.9] * 3)
        await see_scores(r, [0.9] * 3, "drive")
        assert r.engine.described == []
        assert r.books.steps() == ["new", "new"]
        assert given_up(r) == 0


@on_virtual_time
async def test_words_wait_for_a_moment_without_screening() -> None:
    """Two cameras out of step: the engine rests 0.2 s of each second."""
    engine = Talker(judge_seconds=0.4)
    async with rig(engine) as r:
        for name in ("a", "b"):
            r.flow.add(make_feed(name))
        for _ in range(6):
            for name in ("a", "b"):
                r.cameras[name].see(r.clock.wall_seconds() - 1.0, r.clock.monotonic_seconds())
                await asyncio.sleep(0.1 if name == "a" else 0.9)
        assert len(engine.described) == 2
        assert engine.began_while_judging == 0
        assert len(r.books.verdicts_saved) == 12


@on_virtual_time
async def test_words_are_given_up_and_counted_when_screening_never_rests() -> None:
    engine = Talker(judge_seconds=1.5, max_batch=1)
    async with rig(engine) as r:
        r.flow.add(make_feed())
        r.cameras["front"].online()
        await watch_steadily(r, r.cameras["front"], 30)
        assert engine.described == []
        assert given_up(r) == 1
        assert r.books.steps() == ["new"]
        assert 19 <= len(r.books.verdicts_saved) <= 20  # as many as without words


@on_virtual_time
async def test_the_wait_for_quiet_is_bounded() -> None:
    engine = Talker(judge_seconds=1.5, max_batch=1)
    async with rig(engine) as r:
        r.flow.add(make_feed())
        waiting = asyncio.create_task(watch_steadily(r, r.cameras["front"], 20))
        await asyncio.sleep(4.1)
        assert r.books.steps() == ["new"]  # at 4.0 s, when the second clip was judged
        await asyncio.sleep(QUIET_SECONDS - 0.3)
        assert given_up(r) == 0
        await asyncio.sleep(0.4)
        assert given_up(r) == 1
        await waiting


@on_virtual_time
async def test_too_many_suspects_are_given_up_and_counted() -> None:
    engine = Talker(speak_seconds=5.0)
    names = [f"cam{number}" for number in range(SUSPECTS_WAITING + 4)]
    async with rig(engine) as r:
        for name in names:
            r.flow.add(make_feed(name, open_after=1, open_within=1))
        for name in names:
            r.cameras[name].see(T0)
        await r.settle()
        # One is described, eight wait.
        assert given_up(r) == 3
        assert len(r.books.verdicts_saved) == len(names)
        await asyncio.sleep(60)
        assert len(engine.described) <= SUSPECTS_WAITING + 1
        assert engine.most_speaking == 1


@pytest.mark.parametrize("failure", [EngineBusy("a batch waits"), EngineFailed("no words")])
def test_a_clearer_clip_is_described_instead_of_one_given_up(failure: Exception) -> None:
    scores = [0.6, 0.6, 0.7, 0.75, 0.85, 0.99]

    @on_virtual_time
    async def test() -> None:
        engine = Talker(by_second(scores), says=scripted(failure, "a fire at the gate"))
        async with rig(engine) as r:
            r.flow.add(make_feed())
            await see_scores(r, scores)
            first, second = engine.described
            clips = [one.clip_id for one in r.books.verdicts_saved]
            # 0.7 and 0.75 leave more than half of 0.6's doubt; 0.85 does not.
            assert (clips.index(first), clips.index(second)) == (1, 4)
            assert set(described(r)) == {"a fire at the gate"}
            assert given_up(r) == 1

    test()


@on_virtual_time
async def test_a_clip_that_is_no_clearer_is_not_tried() -> None:
    engine = Talker(says=scripted(EngineBusy("a batch waits")))
    async with rig(engine) as r:
        r.flow.add(make_feed())
        await see_scores(r, [0.9] * 6)
        assert len(engine.described) == 1
        assert given_up(r) == 1


@on_virtual_time
async def test_the_next_event_is_described_whatever_became_of_the_last() -> None:
    engine = Talker(
        by_second([0.9] * 3 + [0.1] * 20 + [0.9] * 3),
        says=scripted(EngineBusy("a batch waits"), "smoke"),
    )
    async with rig(engine) as r:
        r.flow.add(make_feed(cooldown_seconds=0.0))
        r.cameras["front"].online()
        await see_scores(r, [0.0] * 26)
        assert [event.type for event in r.books.events] == ["new", "end", "new", "update"]
        assert described(r) == ["smoke"]


@on_virtual_time
async def test_words_that_come_after_the_end_of_their_event_change_nothing() -> None:
    engine = Talker(by_second([0.9] * 2 + [0.1]), speak_seconds=30.0)
    async with rig(engine) as r:
        r.flow.add(make_feed())
        r.cameras["front"].online()
        await see_scores(r, [0.0] * 40)
        assert r.books.steps() == ["new", "end"]
        assert described(r) == []
        assert given_up(r) == 1


@on_virtual_time
async def test_words_never_hold_up_screening() -> None:
    engine = Talker(speak_seconds=50.0)
    async with rig(engine) as r:
        r.flow.add(make_feed())
        await watch_steadily(r, r.cameras["front"], 40)
        assert engine.speaking == 1
        assert len(r.books.verdicts_saved) == 40
        assert r.chronicle.stats.snapshot(0.0).drops == {}
        assert r.flow.stuck_seconds == 0.0


@on_virtual_time
async def test_the_stop_does_not_wait_for_words() -> None:
    engine = Talker(speak_seconds=50.0)
    async with rig(engine) as r:
        for name in ("a", "b"):
            r.flow.add(make_feed(name))
        for _ in range(2):
            await asyncio.sleep(1.0)
            for name in ("a", "b"):
                r.cameras[name].see(r.clock.wall_seconds() - 1.0, r.clock.monotonic_seconds())
        await r.settle()
        assert engine.speaking == 1
        r.flow.stop()
        assert await r.flow.ended(0.5)
        # One was cut short, one never had its turn.
        assert given_up(r) == 2
        assert [event.type for event in r.books.events] == ["new", "new", "end", "end"]


class TestReplay:
    def test_a_recordings_words_come_before_its_next_verdict(self) -> None:
        for speak_seconds in (0.0, 20.0):
            steps = self.replayed(speak_seconds)
            assert [(one.type, one.clips, bool(one.description)) for one in steps] == [
                ("new", 2, False),
                ("update", 2, True),
                ("end", 4, True),
            ]

    def test_two_recordings_say_the_same_however_long_words_take(self) -> None:
        def told(steps: list[Event], name: str) -> list[tuple[object, ...]]:
            return [
                (one.type, one.revision, one.clips, one.score, one.description)
                for one in steps
                if one.camera == name
            ]

        slow, fast = (self.replayed(seconds, ("a", "b", "c")) for seconds in (20.0, 0.0))
        for name in ("a", "b", "c"):
            assert told(slow, name) == told(fast, name)
            assert len(told(slow, name)) == 3

    @staticmethod
    def replayed(speak_seconds: float, names: Sequence[str] = ("drive",)) -> list[Event]:
        steps: list[Event] = []

        @on_virtual_time
        async def test() -> None:
            engine = Talker(speak_seconds=speak_seconds)
            async with rig(engine, idle_ends=True) as r:
                watches = [r.flow.add(make_feed(name, live=False)) for name in names]
                for name in names:
                    for second in range(4):
                        r.cameras[name].see(T0 + second)
                    r.cameras[name].end()
                for watch in watches:
                    await watch.finished.wait()
                assert given_up(r) == 0
                steps.extend(r.books.events)

        test()
        return steps

    def test_a_stop_that_is_pressing_waits_for_no_words(self) -> None:
        @on_virtual_time
        async def test() -> None:
            engine = Talker(speak_seconds=50.0)
            async with rig(engine) as r:
                r.flow.add(make_feed("drive", live=False))
                for second in range(4):
                    r.cameras["drive"].see(T0 + second)
                await r.settle()
                assert engine.speaking == 1
                r.flow.stop()
                assert not await r.flow.ended(1.0)
                r.flow.abandon()
                assert await r.flow.ended(0.5)
                assert given_up(r) == 1
                assert len(r.books.verdicts_saved) == 4

        test()

    def test_live_cameras_are_judged_while_a_recording_waits_for_words(self) -> None:
        @on_virtual_time
        async def test() -> None:
            engine = Talker(lambda clip: 0.9 if clip.camera == "drive" else 0.1, speak_seconds=55.0)
            async with rig(engine) as r:
                r.flow.add(make_feed())
                watch = r.flow.add(make_feed("drive", live=False))
                for second in range(4):
                    r.cameras["drive"].see(T0 + second)
                await asyncio.sleep(1.0)
                assert engine.speaking == 1
                await watch_steadily(r, r.cameras["front"], 40)
                live = [one for one in r.books.verdicts_saved if one.camera == "front"]
                assert len(live) == 40
                assert r.flow.stuck_seconds == 0.0
                r.cameras["drive"].end()
                await watch.finished.wait()
                replayed = [one for one in r.books.verdicts_saved if one.camera == "drive"]
                assert len(replayed) == 4
                assert described(r) != []

        test()
