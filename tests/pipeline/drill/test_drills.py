"""Fire drills on virtual time: fake cameras, engine and broker, real everything between."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from edgewatch.pipeline.drill.names import shadow_of
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.errors import DrillRefused
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.types import CameraName, Clip
from tests.fakes.camera import FRONT, make_feed
from tests.fakes.drill import DrillRig, drill_rig, is_red
from tests.fakes.engine import FakeEngine
from tests.fakes.flow import T0, on_virtual_time
from tests.mqtt_schemas import validate

FRONT_EVENTS = "edgewatch/front/events"
DRILL_EVENTS = "edgewatch/drill/front/events"
QUICK: dict[str, Any] = {"seconds": 1.0, "stride_seconds": 1.0, "close_after_seconds": 2.0}


async def online(r: DrillRig, **keys: Any) -> None:
    """Watch the front camera; it has been judged once when this returns."""
    r.flow.add(make_feed(**{**QUICK, **keys}))
    r.cameras["front"].online(T0)
    await r.watch(r.cameras["front"], 1)
    await asyncio.sleep(0.2)


@on_virtual_time
async def test_drill_goes_the_whole_way_and_says_when_it_came_where() -> None:
    async with drill_rig() as r:
        await online(r)
        result = await r.drill()
        assert (result.outcome, result.link) == ("passed", None)
        assert list(result.stages) == [
            *("subscribed", "camera", "composed", "engine"),
            *("policy", "store", "outbox", "witness"),
        ]
        assert list(result.stages.values()) == sorted(result.stages.values())
        assert result.took_seconds <= result.limit_seconds == sum(result.terms.values())
        assert (result.score, result.control_score, result.real_score) == (0.9, 0.1, 0.1)
        assert result.latency_seconds is not None
        assert result.latency_seconds <= result.took_seconds
        assert result.findings == ()


@on_virtual_time
async def test_its_event_is_marked_and_on_the_drill_topic_alone() -> None:
    async with drill_rig() as r:
        await online(r)
        result = await r.drill()
        steps = [json.loads(one.payload) for one in r.books.messages]
        assert {one.topic for one in r.books.messages} == {DRILL_EVENTS}
        assert [one["type"] for one in steps] == ["new", "end"]
        for step in steps:
            validate("drill-event", step)
            assert (step["drill"], step["drill_id"]) == (True, result.drill_id)
            assert (step["camera"], step["kind"], step["replay"]) == ("front", "fire", False)
            assert step["evidence"] == {"video": None, "thumbnail": None}
        assert {one.camera for one in r.books.events} == {"drill/front"}
        assert r.guard.leaks == 0


@on_virtual_time
async def test_nothing_of_it_stands_among_what_is_real() -> None:
    async with drill_rig() as r:
        await online(r)
        await r.drill()
        assert {one.camera for one in r.books.verdicts_saved} == {"front"}
        assert {topic for topic, _ in r.speaker.sent} == {"edgewatch/front/verdict"}
        assert r.speaker.retained["edgewatch/front/state"]["state"] == "normal"
        assert {topic.split("/")[1] for topic in r.speaker.retained} == {"front", "drill"}
        assert {one.camera for one in r.books.coverage} <= {"front"}
        snapshot = r.chronicle.stats.snapshot(0.0)
        assert (snapshot.events_opened, snapshot.events_sent, snapshot.drops) == (0, 0, {})
        assert snapshot.clips_judged == len(r.books.verdicts_saved)
        assert snapshot.drill_clips == sum(
            one.startswith("drill/") for batch in r.engine.batches for one in batch
        )
        assert r.books.notices == []
        assert [one.camera for one in r.flow.watches] == ["front"]
        assert r.engine.forgotten == ["drill/front"]
        (front,) = r.flow.watches
        assert front.tap is None
        assert front.observers == ()


@on_virtual_time
async def test_real_clips_are_judged_as_they_are_and_before_the_copies() -> None:
    seen: list[Clip] = []

    def answer(clip: Clip) -> float:
        seen.append(clip)
        return 0.9 if is_red(clip) else 0.1

    async with drill_rig(FakeEngine(answer)) as r:
        await online(r)
        await r.drill()
        real = [clip for clip in seen if clip.camera == "front"]
        copies = [clip for clip in seen if clip.camera != "front"]
        assert not any(is_red(clip) for clip in real)
        assert [is_red(clip) for clip in copies] == [False, *[True] * (len(copies) - 1)]
        for copy in copies:
            original = next(one for one in real if one.start_seconds == copy.start_seconds)
            assert seen.index(original) < seen.index(copy)
            assert copy.replay  # an engine keeps nothing of it
        for batch in r.engine.batches:
            assert len({name.split("-")[0] for name in batch}) == 1


@on_virtual_time
async def test_copies_are_judged_with_what_the_engine_knew_of_the_camera() -> None:
    class Remembering(FakeEngine):
        async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
            self.memories[clip_id] = f"before {clip_id}".encode()
            return self.memories[clip_id]

    engine = Remembering(lambda clip: 0.9 if is_red(clip) else 0.1)
    async with drill_rig(engine) as r:
        await online(r)
        await r.drill()
        first = next(
            one for batch in engine.batches for one in batch if one.startswith("drill/front")
        )
        real = first.removeprefix("drill/")
        assert engine.recalled == {"drill/front": f"before {real}".encode()}
        assert engine.prompts[shadow_of(FRONT)] == engine.prompts[FRONT]


@on_virtual_time
async def test_a_real_incident_meanwhile_is_told_as_real_and_ends_the_drill() -> None:
    burning = False

    def answer(clip: Clip) -> float:
        return 0.9 if burning and clip.camera == "front" else 0.1

    async with drill_rig(FakeEngine(answer)) as r:
        await online(r)
        ticket = r.drills.order("front")
        await r.watch(r.cameras["front"], 2)
        burning = True
        await r.watch(r.cameras["front"], 3)
        *_, result = [update async for update in ticket.updates()]
        assert isinstance(result, DrillResult)
        assert result.outcome == "broken_off"
        assert "real event" in result.sentence
        real = [one for one in r.books.messages if one.topic == FRONT_EVENTS]
        assert json.loads(real[0].payload)["type"] == "new"
        assert "drill" not in json.loads(real[0].payload)
        assert r.books.drills == []
        with pytest.raises(DrillRefused, match="a real event is open on front"):
            r.drills.order("front")


class TestABrokenLinkIsNamed:
    def test_camera_that_is_covered(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.cameras["front"].reports.on_health(
                    replace(r.flow.watches[0].health, state="covered", detail="wipe the lens")
                )
                result = await r.drill(clips=0)
                assert (result.outcome, result.link) == ("failed", "camera")
                assert result.cure == "wipe the lens"
                assert list(result.stages) == ["subscribed"]

        on_virtual_time(test)()

    def test_camera_without_clips(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                result = await r.drill(clips=0)
                assert result.link == "camera"
                assert "no clip of it came" in result.sentence

        on_virtual_time(test)()

    def test_engine_that_is_stuck(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.engine.hold = asyncio.Event()
                result = await r.drill()
                assert result.link == "engine"
                r.engine.hold.set()
                await asyncio.sleep(10)
                assert [one.camera for one in r.flow.watches] == ["front"]

        on_virtual_time(test)()

    def test_threshold_that_nothing_reaches(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r, threshold=1.0)
                result = await r.drill(clips=30)
                assert result.link == "threshold"
                assert "scored 0.900, below the camera's threshold of 1.000" in result.sentence

        on_virtual_time(test)()

    def test_threshold_is_the_one_in_force(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                watch = r.flow.watches[0]
                watch.threshold = 0.95
                assert (await r.drill(clips=30)).link == "threshold"

        on_virtual_time(test)()

    def test_policy_that_wants_more_than_there_is(self) -> None:
        def answer(clip: Clip) -> float:
            return 0.9 if is_red(clip) and round(clip.start_seconds) % 3 == 0 else 0.1

        async def test() -> None:
            async with drill_rig(FakeEngine(answer)) as r:
                await online(r, open_after=3, open_within=3)
                result = await r.drill(clips=30)
                assert result.link == "policy"
                assert "it takes 3 among 3" in result.sentence

        on_virtual_time(test)()

    def test_store_that_takes_nothing(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.books.full = True
                assert (await r.drill()).link == "store"

        on_virtual_time(test)()

    def test_outbox_that_is_not_emptied(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.delivery.drains = False
                result = await r.drill()
                assert result.link == "outbox"
                assert list(result.stages)[-1] == "store"

        on_virtual_time(test)()

    def test_broker_that_is_away_from_the_start(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.delivery.connected = False
                result = await r.drill()
                assert (result.link, list(result.stages)) == ("broker", [])
                assert result.took_seconds < 1.0

        on_virtual_time(test)()

    def test_witness_that_may_not_listen(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.delivery.refuses_witness = "not authorised"
                assert (await r.drill()).link == "witness"

        on_virtual_time(test)()

    def test_message_that_is_not_passed_on(self) -> None:
        async def test() -> None:
            async with drill_rig() as r:
                await online(r)
                r.delivery.passes_on = False
                result = await r.drill()
                assert result.link == "witness"
                assert "outbox" in result.stages

        on_virtual_time(test)()


@on_virtual_time
async def test_a_failed_drill_is_told_and_kept_and_the_next_one_that_passes_takes_it_back() -> None:
    async with drill_rig() as r:
        await online(r)
        r.delivery.drains = False
        failed = await r.drill()
        (notice,) = r.books.notices
        told = json.loads(notice.payload)
        assert (told["type"], told["link"], told["camera"]) == ("drill_failed", "outbox", "front")
        assert r.drills.standing("front").failed
        assert r.drills.figures()["failed"] == ["front"]
        r.delivery.drains = True
        passed = await r.drill()
        assert [one.drill_id for one in r.books.drills] == [failed.drill_id, passed.drill_id]
        assert r.drills.figures()["failed"] == []
        told = r.speaker.retained["edgewatch/drill/front/result"]
        validate("drill-result", told)
        assert (told["passed"], told["drill_id"]) == (True, passed.drill_id)


@on_virtual_time
async def test_a_leak_is_stopped_counted_and_fails_the_drill() -> None:
    async with drill_rig(drill_topics=Topics("edgewatch")) as r:
        await online(r)
        result = await r.drill()
        assert (result.outcome, result.link) == ("failed", "leak")
        assert r.books.messages == []
        assert r.guard.leaks >= 1
        assert r.drills.figures()["leaks"] == r.guard.leaks


@on_virtual_time
async def test_one_drill_at_a_time_and_none_of_a_camera_that_is_off_or_unknown() -> None:
    async with drill_rig() as r:
        await online(r)
        ticket = r.drills.order("front")
        with pytest.raises(DrillRefused, match="a drill of front is under way"):
            r.drills.order("front")
        with pytest.raises(DrillRefused, match=r'no camera "back"; there are: front'):
            r.drills.order("back")
        [update async for update in ticket.updates()]
        r.flow.watches[0].enabled = False
        r.flow.refresh(r.flow.watches[0])
        await asyncio.sleep(1.0)
        with pytest.raises(DrillRefused, match="front is switched off"):
            r.drills.order("front")


@on_virtual_time
async def test_drill_goes_on_when_nobody_listens_any_more() -> None:
    async with drill_rig() as r:
        await online(r)
        r.drills.order("front")
        await r.watch(r.cameras["front"], 12)
        assert [one.outcome for one in r.books.drills] == ["passed"]
        assert r.drills.running is None


@on_virtual_time
async def test_a_snooze_of_the_camera_holds_no_drill_back_and_is_told() -> None:
    async with drill_rig() as r:
        await online(r)
        watch = r.flow.watches[0]
        watch.snoozed_until_seconds = r.clock.wall_seconds() + 600
        r.flow.refresh(watch)
        result = await r.drill()
        assert result.passed
        assert "snoozed until" in result.findings[0]


@on_virtual_time
async def test_control_that_is_anomalous_is_told() -> None:
    def answer(clip: Clip) -> float:
        return 0.9 if clip.camera != "front" else 0.1

    async with drill_rig(FakeEngine(answer)) as r:
        await online(r)
        result = await r.drill()
        assert result.passed
        assert "the untouched copy alone scored 0.900" in result.findings[0]


@on_virtual_time
async def test_drill_is_due_by_the_timetable() -> None:
    now = [datetime(2026, 11, 21, 3, 59)]
    async with drill_rig(at="04:00", local_now=lambda: now[0]) as r:
        await online(r)
        await r.watch(r.cameras["front"], 40)
        assert r.books.drills == []
        now[0] = datetime(2026, 11, 21, 4, 1)
        await r.watch(r.cameras["front"], 60)
        (result,) = r.books.drills
        assert (result.outcome, result.by) == ("passed", "schedule")


@on_virtual_time
async def test_stopping_the_service_ends_a_drill_without_a_result() -> None:
    async with drill_rig() as r:
        await online(r)
        ticket = r.drills.order("front")
        await r.watch(r.cameras["front"], 1)
    assert not [one async for one in ticket.updates() if isinstance(one, DrillResult)]
    assert r.books.drills == []
    assert [one.camera for one in r.flow.watches] == ["front"]
