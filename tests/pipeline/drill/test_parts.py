"""The parts of a drill by themselves: copies, their place, guard, timetable, standing, witness."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import get_args

import numpy as np
import pytest

from edgewatch.config.drill import DrillKind
from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.drill.composer import Composed, Composer
from edgewatch.pipeline.drill.incidents import incident_maker, kind_for
from edgewatch.pipeline.drill.jolt import Jolt
from edgewatch.pipeline.drill.leak import LeakGuard, is_drill_payload
from edgewatch.pipeline.drill.names import camera_of, shadow_of
from edgewatch.pipeline.drill.placing import placed
from edgewatch.pipeline.drill.result import DrillResult
from edgewatch.pipeline.drill.shadow_thread import ShadowThread
from edgewatch.pipeline.drill.standing import standing_of
from edgewatch.pipeline.drill.timetable import Timetable
from edgewatch.pipeline.drill.witness import Witness
from edgewatch.pipeline.errors import CameraError, DrillLeak, DrillRefused
from edgewatch.pipeline.event_rows import decode_event, encode_event
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.messages import Topics, encode, event_payload
from edgewatch.pipeline.mqtt import Publisher
from edgewatch.pipeline.mqtt_link import BrokerAddress
from edgewatch.pipeline.scenes.incidents.incident import CameraKind, Placement
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Clip, DrillMark
from edgewatch.pipeline.watch import Reports
from tests.fakes.books import FakeSpeaker
from tests.fakes.broker import FakeBroker
from tests.fakes.clips import FRONT, make_clip
from tests.fakes.clock import ManualClock
from tests.fakes.drill import RedSquare, is_red
from tests.fakes.events import make_event, make_message
from tests.fakes.outbox import FakeOutbox

SHADOW = shadow_of(FRONT)
MARK = DrillMark("d1", "n1", "fire")
DRILLED = replace(make_event("e1"), camera=SHADOW, drill=MARK)
TOPIC = "edgewatch/drill/front/events"
RESULT = DrillResult(
    drill_id="d1",
    camera="front",
    kind="fire",
    outcome="failed",
    started_seconds=1000.0,
    took_seconds=4.0,
    limit_seconds=30.0,
    terms={"camera": 30.0},
    stages={"subscribed": 0.1},
    engine="fake-1",
    threshold=0.5,
    score=None,
    control_score=None,
    real_score=None,
    clips=0,
    link="engine",
    sentence="it is stuck",
    cure="free it",
    findings=("something",),
)


class TestCopies:
    def clips(self) -> list[Clip]:
        """Windows of four frames that share two with the one before."""
        frames = [make_clip(100.0 + n, frames=4, first_index=4 * n).frames for n in range(4)]
        whole = [frame for part in frames for frame in part]
        return [
            replace(
                make_clip(whole[at].time_seconds, first_index=whole[at].index),
                frames=tuple(whole[at : at + 4]),
            )
            for at in range(0, 13, 2)
        ]

    def test_the_first_is_untouched_and_the_incident_begins_where_it_ends(self) -> None:
        made: list[RedSquare] = []

        def make(placement: Placement) -> RedSquare:
            made.append(RedSquare(placement))
            return made[-1]

        composer = Composer(SHADOW, make, "fixed", stride_seconds=0.5)
        clips = self.clips()
        copies = [composer.compose(clip) for clip in clips]
        assert [copy.shown for copy in copies] == [False, *[True] * (len(clips) - 1)]
        for clip, copy in zip(clips, copies, strict=True):
            assert copy.clip.camera == SHADOW
            assert copy.clip.clip_id == f"drill/{clip.clip_id}"
            assert copy.clip.replay
            assert not is_red(clip)
            for before, after in zip(clip.frames, copy.clip.frames, strict=True):
                assert (after.index, after.time_seconds) == (before.index, before.time_seconds)
        first = zip(clips[0].frames, copies[0].clip.frames, strict=True)
        assert all(after.pixels is before.pixels for before, after in first)
        (incident,) = made
        # Each frame once, in order: an incident may keep what it drew last
        assert len(incident.times) == len({frame.index for clip in clips for frame in clip.frames})
        assert incident.times == sorted(incident.times)

    def test_of_a_moving_camera_each_clip_has_an_incident_of_its_own(self) -> None:
        made: list[Placement] = []

        def make(placement: Placement) -> RedSquare:
            made.append(placement)
            return RedSquare(placement)

        composer = Composer(SHADOW, make, "driving", stride_seconds=0.5)
        for clip in self.clips():
            composer.compose(clip)
        assert [one.begins_seconds for one in made] == [1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
        assert len({one.foot for one in made}) == len(made)
        assert {one.camera for one in made} == {"driving"}

    def test_what_is_ignored_stays_as_it_is(self) -> None:
        ignored = np.zeros((28, 28), np.bool_)
        ignored[:, :14] = True
        composer = Composer(SHADOW, RedSquare, "fixed", stride_seconds=0.5)
        for clip in self.clips()[:2]:
            frames = tuple(replace(one, ignored=ignored) for one in clip.frames)
            copy = composer.compose(replace(clip, frames=frames)).clip
        pixels = copy.frames[-1].pixels
        assert (pixels[:, :14] == 127).all()
        assert (pixels[10, 16] == (255, 0, 0)).all()
        assert not pixels.flags.writeable

    def test_a_place_is_found_beside_what_is_ignored_and_none_where_all_is(self) -> None:
        left = np.zeros((100, 200), np.bool_)
        left[:, :130] = True
        found = placed(0.0, 10.0, "fixed", left)
        assert found is not None
        assert found.foot[0] > 0.65
        assert placed(0.0, 10.0, "fixed", np.ones((100, 200), np.bool_)) is None

    def test_its_thread_hands_over_in_order_and_says_what_it_cannot_draw(self) -> None:
        came, ended, troubles = threading.Event(), threading.Event(), list[str]()
        outlet: Mailbox[Clip] = Mailbox(
            capacity=8, when_full="wait", on_change=lambda: None, on_drop=lambda clip: None
        )

        def end(error: CameraError | None) -> None:
            ended.set()

        reports = Reports(lambda health: None, lambda info: None, end, lambda *_: None)
        copied: list[str] = []

        def note(composed: Composed) -> None:
            copied.append(composed.clip.clip_id)
            came.set()

        def make(placement: Placement) -> RedSquare:
            return RedSquare(placement)

        thread = ShadowThread(
            Composer(SHADOW, make, "fixed", stride_seconds=0.5),
            outlet,
            reports,
            on_composed=note,
            on_trouble=troubles.append,
        )
        thread.start()
        clips = self.clips()
        for clip in clips[:2]:
            came.clear()
            thread.take(clip)
            assert came.wait(10)
        thread.stop()
        assert thread.join(10)
        assert ended.is_set()
        assert copied == [f"drill/{clip.clip_id}" for clip in clips[:2]]
        assert (troubles, outlet.finished) == ([], False)

    def test_its_thread_ends_with_a_sentence_where_there_is_no_place(self) -> None:
        troubles: list[str] = []
        outlet: Mailbox[Clip] = Mailbox(
            capacity=8, when_full="wait", on_change=lambda: None, on_drop=lambda clip: None
        )
        ignored = np.ones((28, 28), np.bool_)
        clip = self.clips()[0]
        thread = ShadowThread(
            Composer(SHADOW, RedSquare, "fixed", stride_seconds=0.5),
            outlet,
            Reports(lambda health: None, lambda info: None, lambda error: None, lambda *_: None),
            on_composed=lambda composed: None,
            on_trouble=troubles.append,
        )
        thread.start()
        thread.take(
            replace(clip, frames=tuple(replace(one, ignored=ignored) for one in clip.frames))
        )
        assert thread.join(10)
        assert "ignored" in troubles[0]
        assert outlet.finished


class TestIncidents:
    @pytest.mark.parametrize("camera", ["fixed", "driving"])
    def test_each_kind_of_the_settings_that_suits_the_camera_can_be_drawn(
        self, camera: CameraKind
    ) -> None:
        scene = np.random.default_rng(1).integers(60, 120, (96, 160, 3), np.uint8)
        drawn = []
        for wanted in get_args(DrillKind):
            try:
                kind = kind_for(wanted, camera)
            except DrillRefused:
                continue
            drawn.append(wanted)
            placement = placed(1.0, 6.0, camera, None)
            assert placement is not None
            once, again = (incident_maker(kind, 5)(placement) for _ in range(2))
            for at_seconds in (0.5, 3.0):
                pixels, truth = once.compose(scene, at_seconds)
                assert (again.compose(scene, at_seconds)[0] == pixels).all()
                assert (truth.mask is not None and bool(truth.mask.any())) == (
                    at_seconds > 1.0 and kind != "impact"
                )
        assert {"auto", "smoke", "debris"} <= set(drawn)
        assert ("impact" in drawn) == (camera == "driving")

    def test_a_kind_that_does_not_suit_the_camera_is_refused_with_those_that_do(self) -> None:
        for wanted in ("impact", "covered", "earthquake"):
            with pytest.raises(DrillRefused, match=r"with a fixed camera; there are auto, fire"):
                kind_for(wanted, "fixed")

    def test_a_jolt_throws_the_picture_and_calms_down(self) -> None:
        scene = np.random.default_rng(1).integers(60, 120, (96, 160, 3), np.uint8)
        jolt = Jolt(3, Placement(begins_seconds=1.0, lasts_seconds=5.0, camera="driving"))
        before, _ = jolt.compose(scene, 0.9)
        thrown, truth = jolt.compose(scene, 1.0)
        after, none = jolt.compose(scene, jolt.ends_seconds)
        assert before is after is scene
        assert (truth.kind, none.kind) == ("impact", None)
        assert truth.mask is not None
        assert truth.mask.mean() > 0.8
        assert ((thrown != scene).any(axis=2) == truth.mask).all()


class TestLeakGuard:
    @pytest.mark.parametrize(
        ("topic", "payload", "channel", "passes"),
        [
            (TOPIC, encode(event_payload(DRILLED)), "mqtt", True),
            ("edgewatch/front/events", encode(event_payload(make_event("e1"))), "mqtt", True),
            ("edgewatch/front/events", encode(event_payload(DRILLED)), "mqtt", False),
            ("edgewatch/drilled/front", encode(event_payload(DRILLED)), "mqtt", False),
            ("homeassistant/device/x", encode(event_payload(DRILLED)), "mqtt", False),
            ("", encode(event_payload(DRILLED)), "webhook", False),
            (TOPIC, encode(event_payload(DRILLED)), "ntfy", False),
            (TOPIC, encode(event_payload(make_event("e1"))), "mqtt", False),
            ("edgewatch/drill/front/result", b"", "mqtt", True),
            ("edgewatch/front/thumbnail", b'\xff\xd8"drill":true', "mqtt", True),
        ],
    )
    def test_only_what_is_a_drills_goes_to_the_drills_topics(
        self, topic: str, payload: bytes, channel: str, passes: bool
    ) -> None:
        guard = LeakGuard("edgewatch")
        assert guard.lets_pass(topic, payload, channel) is passes
        assert guard.leaks == (not passes)

    def test_words_about_drills_are_no_mark(self) -> None:
        event = replace(make_event("e1"), description='somebody wrote "drill":true on a wall')
        assert not is_drill_payload(encode(event_payload(event)))

    def test_announcers_refuse_what_is_not_theirs(self) -> None:
        live = Announcer(FakeSpeaker(), Topics("edgewatch"), ManualClock())
        drill = Announcer(FakeSpeaker(), Topics("edgewatch", drill=True), ManualClock())
        with pytest.raises(DrillLeak):
            live.event_messages(DRILLED)
        with pytest.raises(DrillLeak):
            drill.event_messages(make_event("e1"))
        (message,) = drill.event_messages(DRILLED)
        assert message.topic == TOPIC

    async def test_publisher_sends_nothing_that_is_not_where_it_belongs(self) -> None:
        wrong, right = encode(event_payload(DRILLED)), encode(event_payload(make_event("e0")))
        guard, broker, outbox = LeakGuard("edgewatch"), FakeBroker(), FakeOutbox()
        outbox.add("edgewatch/front/events", wrong, right)
        async with broker.running(), asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            publisher = Publisher(
                BrokerAddress("127.0.0.1", broker.port),
                Topics("edgewatch"),
                client_id="test",
                outbox=outbox,
                on_command=lambda *_: None,
                guard=guard,
                clock=SystemClock(),
            )
            acknowledged: list[bytes] = []
            publisher.listen(lambda topic, payload: acknowledged.append(payload))
            tasks.create_task(publisher.run())
            await outbox.emptied()
            publisher.retain("edgewatch/front/state", wrong)
            publisher.send("edgewatch/front/verdict", wrong)
            publisher.retain("edgewatch/front/state", b"{}")
            await broker.until(lambda: broker.payloads("edgewatch/front/state") == [b"{}"])
            await publisher.stop(1.0)
        assert broker.payloads("edgewatch/front/events") == acknowledged == [right]
        assert wrong not in {one.payload for one in broker.received}
        assert guard.leaks == 3


class TestBooks:
    def test_drills_event_is_kept_and_in_no_list(self) -> None:
        with Store(None) as store:
            real = make_event("e0")
            store.save_event(real, [make_message(real)])
            store.save_event(DRILLED)
            assert decode_event(encode_event(DRILLED)) == DRILLED
            assert [one.event_id for one in store.events()] == ["e0"]
            assert [one.event_id for one in store.events(drills=True)] == ["e1"]
            assert [one.event_id for _, one in store.events_changed(0)] == ["e0"]
            assert [one.event_id for _, one in store.events_changed(0, drills=True)] == ["e1"]
            assert store.events_with_prefix("e1") == []
            assert store.cameras() == ["front"]
            assert {one.event_id for one in store.open_events()} == {"e0", "e1"}
            assert store.event("e1") == DRILLED

    def test_results_outlive_the_service_with_the_last_that_passed(self) -> None:
        with Store(None) as store:
            passed = replace(RESULT, drill_id="d0", outcome="passed", started_seconds=900.0)
            store.save_drill(passed)
            store.save_drill(RESULT)
            assert store.drills() == [RESULT, passed]
            assert store.drills("back") == []
            assert store.last_drills() == {"front": RESULT}
            assert store.drills_passed() == {"front": 900.0}

    def test_only_so_many_of_a_camera_are_kept(self) -> None:
        with Store(None) as store:
            for number in range(103):
                store.save_drill(
                    replace(RESULT, drill_id=f"d{number}", started_seconds=float(number))
                )
            kept = store.drills(limit=1000)
            assert [one.started_seconds for one in kept] == [float(n) for n in range(102, 2, -1)]


class TestTimetable:
    DAILY = Timetable(time(4, 0), 1)
    WEEKLY = Timetable(time(4, 0), 7)
    NIGHT = Timetable(time(23, 30), 1)

    @pytest.mark.parametrize(
        ("table", "now", "last", "due"),
        [
            (Timetable(None, 1), "2026-11-21 04:00", None, False),
            (DAILY, "2026-11-21 03:59", None, False),
            (DAILY, "2026-11-21 04:00", None, True),
            (DAILY, "2026-11-21 05:59", None, True),
            (DAILY, "2026-11-21 06:00", None, False),
            (DAILY, "2026-11-21 04:05", "2026-11-21 04:01", False),
            (DAILY, "2026-11-22 04:00", "2026-11-21 04:01", True),
            (WEEKLY, "2026-11-21 04:00", "2026-11-15 04:01", False),
            (WEEKLY, "2026-11-22 04:00", "2026-11-15 04:01", True),
            (WEEKLY, "2026-11-21 04:00", "2026-11-14 23:00", True),
            (NIGHT, "2026-11-21 00:30", "2026-11-19 23:40", True),
            (NIGHT, "2026-11-21 00:30", "2026-11-20 23:40", False),
        ],
    )
    def test_camera_is_due(self, table: Timetable, now: str, last: str | None, due: bool) -> None:
        before = datetime.fromisoformat(last) if last else None
        assert table.is_due(datetime.fromisoformat(now), before) is due

    def test_the_next_time_is_one_at_which_it_is_due(self) -> None:
        now = datetime(2026, 11, 21, 12, 0)
        for hours in range(0, 24 * 14, 5):
            last = now - timedelta(hours=hours)
            following = self.WEEKLY.next(now, last)
            assert following is not None
            assert self.WEEKLY.is_due(following, last)
            assert not self.WEEKLY.is_due(following - timedelta(minutes=1), last)
        assert Timetable(None, 1).next(now, None) is None


class TestStanding:
    @pytest.mark.parametrize(
        ("last", "known", "days", "words"),
        [
            (None, None, 0, ""),
            (None, 0.0, 29, ""),
            (None, 0.0, 30, "Never drilled"),
            (replace(RESULT, outcome="passed", started_seconds=0.0), 0.0, 29, "passed"),
            (replace(RESULT, outcome="passed", started_seconds=0.0), 0.0, 31, "for 31 days"),
            (replace(RESULT, started_seconds=0.0), 0.0, 31, "failed: engine"),
        ],
    )
    def test_words(
        self, last: DrillResult | None, known: float | None, days: int, words: str
    ) -> None:
        one = standing_of(
            last,
            passed_seconds=None,
            known_seconds=known,
            now_seconds=days * 86_400.0 + 1,
            remind_after_days=30,
        )
        assert one.words.endswith(words)
        assert bool(one.words) == bool(words)

    def test_nobody_is_reminded_with_0_days(self) -> None:
        one = standing_of(
            None, passed_seconds=None, known_seconds=0.0, now_seconds=1e9, remind_after_days=0
        )
        assert (one.overdue, one.words) == (False, "")


async def heard_by(
    told: Callable[[FakeBroker], None], *, suback_code: int = 1
) -> tuple[Witness, FakeBroker]:
    """Run a witness until it is subscribed, tell it things, and return it."""
    changed = asyncio.Event()
    broker = FakeBroker()
    broker.suback_code = suback_code
    async with broker.running():
        witness = Witness(
            BrokerAddress("127.0.0.1", broker.port),
            Topics("edgewatch"),
            client_id="witness",
            version="3.1.1",
            clock=SystemClock(),
            camera="front",
            mark=MARK,
            on_change=changed.set,
        )
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(witness.run())
            await changed.wait()
            told(broker)
            broker.tell(TOPIC, b"last")
            while not (witness.heard.trouble or witness.heard.strange):
                changed.clear()
                await changed.wait()
            running.cancel()
    return witness, broker


class TestWitness:
    async def test_it_takes_the_first_event_of_its_own_drill_alone(self) -> None:
        def tell(broker: FakeBroker) -> None:
            broker.tell(TOPIC, encode(event_payload(DRILLED)))

        witness, broker = await heard_by(tell)
        assert broker.subscribed == [TOPIC, "edgewatch/+/events"]
        assert witness.heard.subscribed_seconds is not None
        assert witness.heard.received_seconds is not None
        assert witness.heard.event_id == "e1"

    @pytest.mark.parametrize(
        "event",
        [
            replace(DRILLED, drill=DrillMark("d2", "n1", "fire")),
            replace(DRILLED, drill=DrillMark("d1", "n2", "fire")),
            replace(DRILLED, drill=DrillMark("d1", "n1", "smoke")),
            replace(DRILLED, camera=shadow_of(camera_of(FRONT[:2]))),  # type: ignore[arg-type] # a test's name
            replace(make_event("e1"), camera=SHADOW),
        ],
    )
    async def test_it_believes_no_other(self, event: object) -> None:
        def tell(broker: FakeBroker) -> None:
            broker.tell(TOPIC, encode(event_payload(event)))  # type: ignore[arg-type] # an Event

        witness, _ = await heard_by(tell)
        assert witness.heard.received_seconds is None
        assert witness.heard.strange >= 1

    async def test_it_notices_its_drill_where_real_alerts_go(self) -> None:
        def tell(broker: FakeBroker) -> None:
            broker.tell("edgewatch/front/events", encode(event_payload(DRILLED)))

        witness, _ = await heard_by(tell)
        assert witness.heard.leaked == 1
        assert witness.heard.received_seconds is None

    async def test_a_broker_that_lets_it_not_listen_is_told(self) -> None:
        witness, _ = await heard_by(lambda broker: None, suback_code=128)
        assert "does not let us read edgewatch/drill/front/events" in witness.heard.trouble
        assert witness.heard.subscribed_seconds is None


def test_payload_of_a_drill_names_the_camera_that_it_stands_for() -> None:
    told = json.loads(encode(event_payload(DRILLED)))
    assert told["camera"] == "front"
    assert (told["drill_id"], told["nonce"], told["kind"]) == ("d1", "n1", "fire")
