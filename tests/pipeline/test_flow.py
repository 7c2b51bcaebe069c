"""The flow on virtual time: fake cameras, a fake engine, real everything between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.commands import Commands
from edgewatch.pipeline.errors import CameraUnreachable, EdgewatchError, EngineFailed
from edgewatch.pipeline.flow import Flow
from edgewatch.pipeline.judging import Judge
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import CameraName, Clip
from edgewatch.pipeline.watch import Observer
from tests.fakes.books import FakeBooks, FakeSpeaker
from tests.fakes.camera import FRONT, FakeCamera, FakeCameras, make_feed
from tests.fakes.clock import VirtualTimeLoop
from tests.fakes.engine import FakeEngine

T0 = 1_800_000_000.0


class LoopClock:
    """The virtual loop's time as wall and monotonic time."""

    def wall_seconds(self) -> float:
        return T0 + asyncio.get_running_loop().time()

    def monotonic_seconds(self) -> float:
        return asyncio.get_running_loop().time()


@dataclass
class Rig:
    """A flow with everything around it faked at the borders."""

    engine: FakeEngine
    flow: Flow
    chronicle: Chronicle
    judge: Judge
    clock: LoopClock
    cameras: FakeCameras = field(default_factory=FakeCameras)
    books: FakeBooks = field(default_factory=FakeBooks)
    speaker: FakeSpeaker = field(default_factory=FakeSpeaker)

    async def settle(self) -> None:
        """Let everything that is due happen, without time passing beyond a batch's wait."""
        await asyncio.sleep(0.05)


@asynccontextmanager
async def rig(
    engine: FakeEngine | None = None,
    *,
    idle_ends: bool = False,
    local_now: Callable[[], datetime] = lambda: datetime(2026, 11, 21, 12, 0),
    judge_timeout_seconds: float = 60.0,
) -> AsyncIterator[Rig]:
    engine = engine or FakeEngine()
    clock, cameras, books, speaker = LoopClock(), FakeCameras(), FakeBooks(), FakeSpeaker()
    stats = Stats()
    judge = Judge(engine, stats=stats, clock=clock, judge_timeout_seconds=judge_timeout_seconds)
    chronicle = Chronicle(
        books=books,
        ledger=Ledger(),
        stats=stats,
        live=Announcer(speaker, Topics("edgewatch"), clock),
        replay=Announcer(speaker, Topics("edgewatch", replay=True), clock),
        clock=clock,
    )
    flow = Flow(
        judge=judge,
        chronicle=chronicle,
        open_camera=cameras,
        clock=clock,
        max_batch=4,
        idle_ends=idle_ends,
        local_now=local_now,
    )
    await judge.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(flow.run())
        yield Rig(engine, flow, chronicle, judge, clock, cameras, books, speaker)
        flow.stop()
        for camera in cameras.opened:
            camera.hung = False
            camera.end()
        await running


def on_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on a loop whose time jumps."""

    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def watch_steadily(r: Rig, camera: FakeCamera, clips: int) -> None:
    """Hand over a clip of the last second each second."""
    for _ in range(clips):
        await asyncio.sleep(1.0)
        camera.see(r.clock.wall_seconds() - 1.0, r.clock.monotonic_seconds())
    await r.settle()


@on_virtual_time
async def test_clip_becomes_verdict_on_mqtt_and_in_the_books() -> None:
    async with rig() as r:
        r.flow.add(make_feed())
        r.cameras["front"].online()
        clip = r.cameras["front"].see(T0)
        await r.settle()
        ((topic, verdict),) = r.speaker.sent
        assert topic == "edgewatch/front/verdict"
        assert verdict["clip_id"] == clip.clip_id
        assert verdict["label"] == "Normal"
        assert [one.clip_id for one in r.books.verdicts_saved] == [clip.clip_id]
        assert r.speaker.retained["edgewatch/front/state"]["state"] == "normal"
        assert r.speaker.retained["edgewatch/front/health"]["state"] == "online"


@on_virtual_time
async def test_event_is_saved_with_its_message_then_words_follow() -> None:
    async with rig(FakeEngine(lambda clip: 0.9)) as r:
        r.flow.add(make_feed())
        await watch_steadily(r, r.cameras["front"], 2)
        assert r.books.steps() == ["new", "update"]
        new, update = r.books.events
        assert new.description == ""
        assert update.description.startswith("something odd")
        assert [one.topic for one in r.books.messages] == ["edgewatch/front/events"] * 2
        assert r.speaker.retained["edgewatch/front/state"]["state"] == "anomaly"


@on_virtual_time
async def test_stop_judges_what_was_handed_over_and_ends_the_open_event() -> None:
    async with rig(FakeEngine(lambda clip: 0.9)) as r:
        r.flow.add(make_feed())
        await watch_steadily(r, r.cameras["front"], 2)
        last = r.cameras["front"].see(r.clock.wall_seconds())
        r.flow.stop()
        await r.settle()
        assert r.books.verdicts_saved[-1].clip_id == last.clip_id
        assert r.books.events[-1].type == "end"
        assert r.books.events[-1].ended_by == "stream_ended"
        assert r.speaker.retained["edgewatch/front/state"]["state"] == "unknown"


@on_virtual_time
async def test_overload_drops_the_oldest_and_the_ledger_says_so() -> None:
    engine = FakeEngine()
    engine.hold = asyncio.Event()
    async with rig(engine) as r:
        r.flow.add(make_feed())
        camera = r.cameras["front"]
        camera.online()
        for second in range(6):
            await asyncio.sleep(1.0)
            camera.see(T0 + second, r.clock.monotonic_seconds())
        engine.hold.set()
        camera.offline(r.clock.wall_seconds())
        await asyncio.sleep(60)
        assert r.chronicle.stats.snapshot(0.0).drops == {"overload": 3}
        assert [one.start_seconds - T0 for one in r.books.verdicts_saved] == [0, 4, 5]
        dropped = [one for one in r.books.coverage if one.coverage == "overload"]
        assert dropped[0].start_ms == round((T0 + 1) * 1000)
        assert dropped[-1].end_ms == round((T0 + 4) * 1000)
        assert sum(one.end_ms - one.start_ms for one in dropped) == 3000


@on_virtual_time
async def test_overloaded_cameras_are_served_in_turn() -> None:
    engine = FakeEngine(max_batch=1)
    engine.hold = asyncio.Event()
    async with rig(engine) as r:
        for name in ("a", "b", "c"):
            r.flow.add(make_feed(name))
            r.cameras[name].see(T0)
            r.cameras[name].see(T0 + 1)
        await r.settle()
        engine.hold.set()
        await r.settle()
        served = [batch[0].split("-")[0] for batch in engine.batches]
        assert served == ["a", "b", "c", "a", "b", "c"]


@on_virtual_time
async def test_recording_is_judged_whole_and_the_flow_ends_by_itself() -> None:
    ends: list[tuple[str, EdgewatchError | None]] = []

    class Ends(Observer):
        def on_end(self, camera: CameraName, error: EdgewatchError | None) -> None:
            ends.append((camera, error))

    engine = FakeEngine(lambda clip: 0.9 if clip.start_seconds < T0 + 3 else 0.1)
    async with rig(engine, idle_ends=True) as r:
        watch = r.flow.add(make_feed("drive", live=False), [Ends()])
        camera = r.cameras["drive"]
        for second in range(4):
            camera.see(T0 + second)
        camera.end()
        await watch.finished.wait()
        assert len(r.books.verdicts_saved) == 4
        assert r.books.steps() == ["new", "update", "end"]
        assert all(one.topic == "edgewatch/replay/drive/events" for one in r.books.messages)
        assert not [topic for topic in r.speaker.retained if "drive" in topic]
        assert ends == [("drive", None)]
        assert engine.forgotten == ["drive"]
        assert r.books.coverage == []


@on_virtual_time
async def test_recording_cut_short_says_why() -> None:
    async with rig(idle_ends=True) as r:
        watch = r.flow.add(make_feed("drive", live=False))
        r.cameras["drive"].see(T0)
        r.cameras["drive"].end(CameraUnreachable("truncated", "breaks off"))
        await watch.finished.wait()
        assert str(watch.error) == "breaks off"
        assert len(r.books.verdicts_saved) == 1


class TestEngine:
    def test_failed_engine_is_restarted_and_the_batch_judged(self) -> None:
        failures = iter([EngineFailed("cuda error")])

        def answer(clip: Clip) -> float:
            if failure := next(failures, None):
                raise failure
            return 0.2

        async def test() -> None:
            engine = FakeEngine(answer)
            async with rig(engine) as r:
                r.flow.add(make_feed())
                r.cameras["front"].see(T0)
                await asyncio.sleep(2)
                assert len(r.books.verdicts_saved) == 1
                assert (engine.started, engine.closed) == (2, 1)
                assert r.chronicle.stats.engine_restarts == 1
                assert r.judge.state.state == "ready"

        on_virtual_time(test)()

    def test_clip_that_kills_every_engine_is_given_up(self) -> None:
        def answer(clip: Clip) -> float:
            if clip.start_seconds == T0:
                raise RuntimeError("poison")
            return 0.2

        async def test() -> None:
            async with rig(FakeEngine(answer)) as r:
                r.flow.add(make_feed())
                r.cameras["front"].see(T0)
                await asyncio.sleep(5)
                r.cameras["front"].see(T0 + 6)
                await r.settle()
                assert [one.start_seconds for one in r.books.verdicts_saved] == [T0 + 6]
                assert r.chronicle.stats.snapshot(0.0).drops == {"engine_down": 1}

        on_virtual_time(test)()

    def test_hung_engine_is_restarted_after_the_time_limit(self) -> None:
        async def test() -> None:
            engine = FakeEngine()
            engine.hold = asyncio.Event()
            async with rig(engine, judge_timeout_seconds=10) as r:
                r.flow.add(make_feed())
                r.cameras["front"].see(T0)
                await asyncio.sleep(9)
                assert engine.started == 1
                assert r.flow.stuck_seconds == 0.0  # it is being judged, nothing waits
                r.cameras["front"].see(T0 + 9)
                await asyncio.sleep(0.9)
                assert 9 < r.flow.stuck_seconds < 10
                engine.hold.set()
                await asyncio.sleep(2)
                assert engine.started >= 1
                assert len(r.books.verdicts_saved) == 2
                assert r.flow.stuck_seconds == 0.0

        on_virtual_time(test)()

    def test_score_that_is_no_probability_is_not_taken_for_normal(self) -> None:
        async def test() -> None:
            async with rig(FakeEngine(lambda clip: float("nan"))) as r:
                r.flow.add(make_feed())
                r.cameras["front"].see(T0)
                await r.settle()
                assert r.books.verdicts_saved == []
                assert r.chronicle.stats.snapshot(0.0).drops == {"engine_down": 1}

        on_virtual_time(test)()

    def test_recording_with_an_unjudged_clip_is_incomplete(self) -> None:
        def answer(clip: Clip) -> float:
            raise RuntimeError("poison")

        async def test() -> None:
            async with rig(FakeEngine(answer), idle_ends=True) as r:
                watch = r.flow.add(make_feed("drive", live=False))
                r.cameras["drive"].see(T0)
                r.cameras["drive"].end()
                await watch.finished.wait()
                assert isinstance(watch.error, EngineFailed)

        on_virtual_time(test)()


class TestLoss:
    def test_camera_that_stays_away_ends_its_event_as_lost(self) -> None:
        async def test() -> None:
            async with rig(FakeEngine(lambda clip: 0.9)) as r:
                r.flow.add(make_feed())
                camera = r.cameras["front"]
                camera.online(r.clock.wall_seconds())
                await watch_steadily(r, camera, 2)
                camera.offline(r.clock.wall_seconds())
                await asyncio.sleep(2)
                assert r.speaker.retained["edgewatch/front/state"]["state"] == "unknown"
                assert r.speaker.retained["edgewatch/front/health"]["reason"] == "timed_out"
                assert r.books.steps() == ["new", "update"]
                await asyncio.sleep(15)
                assert r.books.events[-1].ended_by == "camera_lost"

        on_virtual_time(test)()

    def test_camera_that_keeps_trying_counts_as_away_since_it_went(self) -> None:
        async def test() -> None:
            async with rig(FakeEngine(lambda clip: 0.9)) as r:
                r.flow.add(make_feed())
                camera = r.cameras["front"]
                camera.online(r.clock.wall_seconds())
                await watch_steadily(r, camera, 2)
                for number in range(9):
                    camera.offline(r.clock.wall_seconds(), f"reason-{number}")
                    await asyncio.sleep(2)
                assert r.books.events[-1].ended_by == "camera_lost"

        on_virtual_time(test)()

    def test_time_without_a_camera_is_on_the_ledger(self) -> None:
        async def test() -> None:
            async with rig() as r:
                r.flow.add(make_feed())
                camera = r.cameras["front"]
                camera.online(r.clock.wall_seconds())
                await watch_steadily(r, camera, 10)
                camera.offline(r.clock.wall_seconds())
                await asyncio.sleep(60)
            kinds = [one.coverage for one in r.books.coverage]
            assert kinds[0] == "judged" or kinds[:2] == ["connecting", "judged"]
            assert kinds[-1] == "offline"
            spans = [(one.start_ms, one.end_ms) for one in r.books.coverage]
            assert all(a[1] == b[0] for a, b in pairwise(spans))

        on_virtual_time(test)()

    def test_recording_that_ended_is_not_opened_again(self) -> None:
        async def test() -> None:
            async with rig() as r:
                r.flow.add(make_feed())
                r.cameras["front"].offline(T0, "ended")
                r.cameras["front"].end()
                await asyncio.sleep(10)
                assert len(r.cameras.opened) == 1

        on_virtual_time(test)()


class TestOperator:
    def test_commands_change_a_camera_and_are_answered(self) -> None:
        async def test() -> None:
            async with rig(FakeEngine(lambda clip: 0.6)) as r:
                commands = Commands(r.clock)
                commands.serve(r.flow, r.chronicle)
                r.flow.add(make_feed())
                settings = "edgewatch/front/settings"
                assert r.speaker.retained[settings]["threshold"] == 0.5
                commands.take("front", "threshold", b"0.7")
                assert r.speaker.retained[settings]["threshold"] == 0.7
                r.cameras["front"].see(T0)
                await r.settle()
                assert r.speaker.sent[-1][1]["label"] == "Normal"
                commands.take("front", "threshold", b"7")
                assert r.speaker.retained[settings]["threshold"] == 0.7
                assert "7" in r.speaker.retained[settings]["error"]
                commands.take("front", "threshold", b"0.5")
                commands.take("front", "snooze_seconds", b"100")
                assert r.speaker.retained[settings]["error"] is None
                assert r.speaker.retained[settings]["snooze_seconds"] == 100
                await watch_steadily(r, r.cameras["front"], 2)
                assert r.books.events[0].suppressed_by == "snooze"
                assert r.books.messages == []
                commands.take("rear", "threshold", b"0.5")  # no such camera: nothing happens

        on_virtual_time(test)()

    def test_disabled_camera_is_off_and_enabled_it_is_opened_again(self) -> None:
        async def test() -> None:
            async with rig() as r:
                commands = Commands(r.clock)
                commands.serve(r.flow, r.chronicle)
                r.flow.add(make_feed())
                r.cameras["front"].see(T0)
                await r.settle()
                commands.take("front", "enabled", b"OFF")
                await asyncio.sleep(2)
                health = r.speaker.retained["edgewatch/front/health"]
                assert (health["state"], health["reason"]) == ("off", "disabled")
                assert r.speaker.retained["edgewatch/front/state"]["state"] == "unknown"
                commands.take("front", "enabled", b"true")
                await r.settle()
                assert len(r.cameras.opened) == 2
                # An engine keeps what it computed under (camera, index): it must not come again.
                assert r.cameras["front"].next_index == 4

        on_virtual_time(test)()

    def test_camera_outside_its_schedule_is_off(self) -> None:
        async def test() -> None:
            now = [datetime(2026, 11, 21, 7, 59)]
            async with rig(local_now=lambda: now[0]) as r:
                r.flow.add(make_feed(schedule=("08:00-18:00",)))
                await asyncio.sleep(2)
                assert r.cameras.opened == []
                assert r.speaker.retained["edgewatch/front/health"]["reason"] == "scheduled_off"
                now[0] = datetime(2026, 11, 21, 8, 0)
                await asyncio.sleep(2)
                assert len(r.cameras.opened) == 1

        on_virtual_time(test)()

    def test_removed_camera_leaves_nothing_behind(self) -> None:
        async def test() -> None:
            async with rig(FakeEngine(lambda clip: 0.9)) as r:
                r.flow.add(make_feed())
                await watch_steadily(r, r.cameras["front"], 2)
                await r.flow.remove(FRONT)
                assert r.books.events[-1].ended_by == "disabled"
                assert [t for t in r.speaker.retained if "/front/" in t] == []
                assert r.engine.forgotten == ["front"]
                r.flow.add(make_feed())

        on_virtual_time(test)()

    def test_changed_source_is_opened_anew_and_a_changed_threshold_is_not(self) -> None:
        async def test() -> None:
            async with rig() as r:
                feed = make_feed()
                r.flow.add(feed)
                r.flow.change(make_feed(threshold=0.8))
                await asyncio.sleep(2)
                assert len(r.cameras.opened) == 1
                watch = r.flow.watch(FRONT)
                assert watch is not None
                assert watch.threshold == 0.8
                r.flow.change(make_feed(fps=2.0))
                await asyncio.sleep(2)
                assert len(r.cameras.opened) == 2

        on_virtual_time(test)()

    def test_two_cameras_of_one_name_are_refused(self) -> None:
        async def test() -> None:
            async with rig() as r:
                r.flow.add(make_feed())
                with pytest.raises(ValueError, match="front"):
                    r.flow.add(make_feed())

        on_virtual_time(test)()


@on_virtual_time
async def test_hung_threads_do_not_hold_up_the_stop() -> None:
    async with rig() as r:
        for number in range(16):
            r.flow.add(make_feed(f"cam{number}"))
            r.cameras[f"cam{number}"].hung = True
        r.flow.stop()
        assert not await r.flow.ended(1.5)
        r.flow.abandon()
        assert await r.flow.ended(0.5)
        assert not any(watch.running for watch in r.flow.watches)


@on_virtual_time
async def test_event_open_at_a_crash_gets_its_end_at_the_next_start() -> None:
    async with rig(FakeEngine(lambda clip: 0.9)) as r:
        r.flow.add(make_feed())
        await watch_steadily(r, r.cameras["front"], 2)
        new = r.books.events[0]
    books = FakeBooks()
    books.interrupted = [replace(new)]
    books.verdicts_saved = r.books.verdicts_saved
    clock = LoopClock()
    chronicle = Chronicle(
        books=books,
        ledger=Ledger(),
        stats=Stats(),
        live=Announcer(FakeSpeaker(), Topics("edgewatch"), clock),
        replay=Announcer(None, Topics("edgewatch", replay=True), clock),
        clock=clock,
    )
    await chronicle.end_interrupted()
    (end,) = books.events
    assert (end.type, end.ended_by, end.event_id) == ("end", "restart", new.event_id)
    assert end.end_seconds == r.books.verdicts_saved[-1].end_seconds
    assert [one.topic for one in books.messages] == ["edgewatch/front/events"]
