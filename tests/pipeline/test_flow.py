"""The flow on virtual time: fake cameras, a fake engine, real everything between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

import pytest

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.backlog import OutboxMessage
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.commands import Commands
from edgewatch.pipeline.errors import CameraUnreachable, EdgewatchError, EngineFailed
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.types import Answer, CameraName, Clip, Event
from edgewatch.pipeline.watch import Observer
from tests.fakes.books import FakeBooks, FakeSpeaker
from tests.fakes.camera import FRONT, make_feed
from tests.fakes.command_books import FakeCommandBooks
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import T0, LoopClock, on_virtual_time, rig, watch_steadily


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


class SlowBooks(FakeBooks):
    """Books on a disk that takes its time."""

    async def save_event(self, event: Event, messages: Sequence[OutboxMessage] = ()) -> None:
        await asyncio.sleep(0.5)
        await super().save_event(event, messages)


class Working(FakeEngine):
    """An engine whose every batch takes a while."""

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        await asyncio.sleep(0.4)
        return await super().judge(clips)


@on_virtual_time
async def test_the_engine_has_its_next_batch_while_the_last_ones_events_are_saved() -> None:
    async with rig(Working(lambda clip: 0.9, max_batch=1), books=SlowBooks(), words=False) as r:
        for name in ("a", "b"):
            r.flow.add(make_feed(name, open_after=1, open_within=1))
            r.cameras[name].see(T0)
            r.cameras[name].see(T0 + 1)
        await asyncio.sleep(0.85)
        # Judged at 0.4 and 0.8 s; the first one's event is saved at 0.9 s.
        assert len(r.engine.batches) == 2
        assert r.books.events == []
        await asyncio.sleep(4)
        assert [event.camera for event in r.books.events] == ["a", "b"]
        assert len(r.books.verdicts_saved) == 4


@on_virtual_time
async def test_each_clip_has_one_verdict_in_order_of_its_camera_also_at_the_stop() -> None:
    failures = iter([None] * 7 + [EngineFailed("a fault")])

    def answer(clip: Clip) -> float:
        if failure := next(failures, None):
            raise failure
        return 0.9 if round(clip.start_seconds) % 3 else 0.1

    engine = Working(answer)
    async with rig(engine, books=SlowBooks()) as r:
        seen: dict[str, list[str]] = {f"cam{number}": [] for number in range(8)}
        for name in seen:
            r.flow.add(make_feed(name, open_after=1, open_within=1))
        for second in range(10):
            for name in seen:
                seen[name].append(r.cameras[name].see(T0 + second).clip_id)
            await asyncio.sleep(4.0)
        r.flow.stop()
        assert await r.flow.ended(30)
        judged = r.books.verdicts_saved
        for name, clips in seen.items():
            assert [one.clip_id for one in judged if one.camera == name] == clips
        assert engine.started == 2


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
                commands = Commands(r.clock, FakeCommandBooks())
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
                commands = Commands(r.clock, FakeCommandBooks())
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
