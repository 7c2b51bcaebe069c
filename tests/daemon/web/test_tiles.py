from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from edgewatch.daemon.web.summary import MOST_PROBLEMS, Summary, summary_of
from edgewatch.daemon.web.tiles import Tile, tile_of
from edgewatch.pipeline.judging import EngineState
from edgewatch.pipeline.mqtt import PublisherStatus
from edgewatch.pipeline.notify.drain import WayStatus
from edgewatch.pipeline.store import StoreHealth
from edgewatch.pipeline.types import CameraName, Health, HealthState
from edgewatch.pipeline.watch import Watch
from tests.fakes.camera import make_feed
from tests.fakes.clips import make_verdict

NOW = 1_800_000_000.0
NOON = datetime(2026, 11, 21, 12, 0)
READY = EngineState("ready", NOW - 100)
WRITABLE = StoreHealth(None, 0, 0, 0, 0)
CONNECTED = PublisherStatus(
    connected=True,
    since_seconds=NOW,
    detail="",
    published=0,
    dropped_away=0,
    dropped_full=0,
    commands_ignored=0,
    reconnects=0,
    version="5",
)


def watch(
    name: str = "front",
    *,
    state: HealthState = "online",
    detail: str = "",
    score: float | None = 0.1,
    **keys: Any,
) -> Watch:
    """A camera that was judged once, or not at all (None)."""
    one = Watch(make_feed(name, open_after=1, open_within=1, **keys), observers=(), now_seconds=NOW)
    one.set_health(Health(one.camera, "online", NOW))
    if score is not None:
        one.policy.judge(make_verdict(NOW, score, camera=CameraName(name)))
    if state != "online":
        one.set_health(Health(one.camera, state, NOW + 1, "some_reason", detail))
    return one


def tile(one: Watch, engine: EngineState = READY) -> Tile:
    return tile_of(one, points=[], engine=engine, now_seconds=NOW, local_now=NOON)


def summed(*tiles: Tile, engine: EngineState = READY, **changes: object) -> Summary:
    given = {"publisher": CONNECTED, "store": WRITABLE, **changes}
    return summary_of(tiles, engine=engine, **given)  # type: ignore[arg-type]  # as named there


class TestTile:
    def test_a_judged_camera_is_calm(self) -> None:
        one = tile(watch())
        assert (one.mood, one.headline, one.reason) == ("good", "Normal", "")

    def test_an_open_event_is_an_alarm_and_linked(self) -> None:
        one = tile(watch(score=0.9))
        assert one.mood == "alarm"
        assert one.event is not None

    @pytest.mark.parametrize(
        ("state", "headline"),
        [
            ("offline", "Offline"),
            ("frozen", "Frozen picture"),
            ("dark", "Dark picture"),
            ("covered", "Covered"),
        ],
    )
    def test_what_is_not_seen_is_not_called_normal(self, state: HealthState, headline: str) -> None:
        one = tile(watch(state=state, detail="Clean the lens."))
        assert (one.mood, one.headline, one.reason) == ("blind", headline, "Clean the lens.")
        assert one.score is None

    def test_a_reason_without_words_is_told_by_its_name(self) -> None:
        assert tile(watch(state="offline")).reason == "Some reason."

    def test_without_an_engine_nothing_is_judged(self) -> None:
        one = tile(watch(), EngineState("down", NOW, "out of memory"))
        assert (one.mood, one.headline) == ("blind", "Not judged")
        assert "out of memory" in one.reason

    def test_before_the_first_verdict_it_waits(self) -> None:
        assert tile(watch(score=None)).mood == "wait"

    def test_outside_its_schedule_it_is_off(self) -> None:
        one = tile(watch(schedule=("22:00-06:00",)))
        assert (one.mood, one.reason) == ("off", "Outside its schedule.")

    def test_a_snooze_that_is_over_is_not_shown(self) -> None:
        one = watch()
        one.snoozed_until_seconds = NOW - 1
        assert tile(one).snoozed_until_seconds is None
        one.snoozed_until_seconds = NOW + 60
        assert tile(one).snoozed_until_seconds == NOW + 60

    def test_nothing_new_is_an_equal_tile(self) -> None:
        """So that an idle wall sends nothing."""
        one = watch()
        points = [(NOW - 5, 0.1, 0.5), (NOW, 0.2, 0.5)]
        looks = [
            tile_of(one, points=points, engine=READY, now_seconds=at, local_now=NOON)
            for at in (NOW, NOW + 30)
        ]
        assert looks[0] == looks[1]


class TestSummary:
    def test_all_is_well(self) -> None:
        found = summed(tile(watch("a")), tile(watch("b")))
        assert (found.mood, found.headline) == ("good", "All 2 cameras watched")
        assert found.problems == ()

    def test_one_blind_camera_is_named_with_its_cure(self) -> None:
        blind = tile(watch("b", state="offline", detail="Check its cable."))
        found = summed(tile(watch("a")), blind)
        assert (found.mood, found.headline) == ("bad", "1 of 2 cameras not watched")
        assert [(one.camera, one.detail) for one in found.problems] == [("b", "Check its cable.")]

    def test_cameras_that_are_off_are_not_missed(self) -> None:
        found = summed(tile(watch("a")), tile(watch("b", enabled=False)))
        assert (found.mood, found.headline) == ("good", "The camera is watched, 1 off")

    def test_nothing_watched_at_all_is_not_well(self) -> None:
        assert summed(tile(watch(enabled=False))).mood == "warn"
        assert summed().headline == "No camera is configured"

    def test_a_start_is_no_alarm(self) -> None:
        found = summed(tile(watch(score=None)))
        assert found.mood == "warn"

    def test_a_dead_engine_is(self) -> None:
        down = EngineState("down", NOW, "out of memory")
        found = summed(tile(watch(), down), engine=down)
        assert found.mood == "bad"
        assert found.problems[0].what == "Engine down"

    def test_alerts_that_do_not_get_out_are_told_though_all_is_watched(self) -> None:
        away = replace(CONNECTED, connected=False, detail="refused: check [mqtt] host")
        found = summed(tile(watch()), publisher=away)
        assert (found.mood, found.headline) == ("warn", "The camera is watched")
        assert "check [mqtt] host" in found.problems[0].detail

    def test_a_dead_webhook_and_evidence_off_are_told(self) -> None:
        way = WayStatus("webhook", "https://example.org", "it answers 500", False, NOW, 0, 0, 0)
        found = summed(tile(watch()), ways=[way], evidence_trouble="the disk is full")
        assert found.mood == "warn"
        assert [one.detail for one in found.problems] == ["the disk is full", "it answers 500"]

    def test_a_disk_in_trouble_is_told(self) -> None:
        found = summed(tile(watch()), store=StoreHealth("the disk is full", 1, 0, 0, 0))
        assert found.problems[0].detail == "the disk is full"

    def test_many_problems_are_counted_and_not_all_listed(self) -> None:
        tiles = [tile(watch(f"c{number}", state="offline")) for number in range(10)]
        found = summed(*tiles)
        assert (len(found.problems), found.more) == (MOST_PROBLEMS, 10 - MOST_PROBLEMS)
