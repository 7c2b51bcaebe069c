"""Coverage on its way to the records: clock and engine heard of, few rows, kept over a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.announce import Announcer
from edgewatch.pipeline.chronicle import Chronicle
from edgewatch.pipeline.coverage import Span, open_ms, partition, settled_until_ms, totals_ms
from edgewatch.pipeline.ledger import Ledger
from edgewatch.pipeline.messages import Topics
from edgewatch.pipeline.stats import Stats
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Coverage, Health, Interval, Verdict
from edgewatch.pipeline.watch import Watch
from tests.fakes.books import FakeBooks, FakeSpeaker
from tests.fakes.camera import make_feed
from tests.fakes.clips import FRONT
from tests.fakes.clock import ManualClock

T0 = 1_800_000_000.0
T0_MS = round(T0 * 1000)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None) as store:
        yield store


def spans(store: Store, camera: CameraName = FRONT) -> list[Span]:
    return list(store.spans(camera, 0, 10**15))


def verdict(start_seconds: float, end_seconds: float, *, replay: bool = False) -> Verdict:
    return Verdict(
        clip_id=f"front-{start_seconds}",
        camera=FRONT,
        label="Normal",
        score=0.1,
        threshold=0.5,
        start_seconds=start_seconds,
        end_seconds=end_seconds,
        media_start_seconds=0.0,
        media_end_seconds=end_seconds - start_seconds,
        engine="fake-1",
        latency_ms=10.0,
        replay=replay,
    )


class TestRows:
    def test_a_month_of_steady_judging_is_one_row(self, store: Store) -> None:
        for number in range(1_000):
            store.save_coverage([Interval(FRONT, number * 5_000, (number + 1) * 5_000, "judged")])
        assert spans(store) == [(0, 5_000_000, "judged")]

    def test_a_hole_that_is_filled_joins_both_sides(self, store: Store) -> None:
        store.save_coverage([Interval(FRONT, 20, 30, "judged"), Interval(FRONT, 0, 10, "judged")])
        store.save_coverage([Interval(FRONT, 5, 25, "judged")])
        assert spans(store) == [(0, 30, "judged")]

    def test_other_coverage_and_other_cameras_are_not_joined(self, store: Store) -> None:
        yard = CameraName("yard")
        store.save_coverage([Interval(FRONT, 0, 10, "judged"), Interval(yard, 20, 30, "judged")])
        store.save_coverage([Interval(FRONT, 20, 30, "offline"), Interval(yard, 0, 10, "offline")])
        store.save_coverage([Interval(FRONT, 10, 20, "overload"), Interval(yard, 10, 20, "judged")])
        assert spans(store) == [(0, 10, "judged"), (10, 20, "overload"), (20, 30, "offline")]
        assert spans(store, yard) == [(0, 10, "offline"), (10, 30, "judged")]

    def test_names_are_those_of_the_ledger_alone(self, store: Store) -> None:
        store.save_verdicts([verdict(1.0, 6.0, replay=True)])
        store.save_coverage([Interval(CameraName("yard"), 0, 10, "judged")])
        assert store.coverage_cameras() == ["yard"]


class TestRecovery:
    """What a killed process had judged is on record, though its ledger had not settled it."""

    def test_verdicts_after_the_last_row_are_covered_at_the_next_start(
        self, tmp_path: Path
    ) -> None:
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_coverage([Interval(FRONT, 0, 10_000, "judged")])
            store.save_verdicts([verdict(8.0, 13.0), verdict(10.5, 15.5), verdict(20.0, 25.0)])
        with Store(tmp_path / "edgewatch.db") as store:
            assert spans(store) == [(0, 15_500, "judged"), (20_000, 25_000, "judged")]

    def test_camera_that_never_settled_is_covered_too(self, tmp_path: Path) -> None:
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_verdicts([verdict(8.0, 13.0)])
        with Store(tmp_path / "edgewatch.db") as store:
            assert spans(store) == [(8_000, 13_000, "judged")]

    def test_recordings_are_not_on_the_ledger(self, tmp_path: Path) -> None:
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_verdicts([verdict(8.0, 13.0, replay=True)])
        with Store(tmp_path / "edgewatch.db") as store:
            assert spans(store) == []

    def test_a_clean_stop_leaves_nothing_to_recover(self, tmp_path: Path) -> None:
        with Store(tmp_path / "edgewatch.db") as store:
            store.save_coverage([Interval(FRONT, 0, 12_900, "judged")])
            store.save_verdicts([verdict(8.0, 13.0)])
        with Store(tmp_path / "edgewatch.db") as store:
            assert spans(store) == [(0, 12_900, "judged")]


class TestSettled:
    def test_time_the_ledger_may_still_tell_of_is_open(self) -> None:
        assert open_ms(5_000) == 30_000
        assert settled_until_ms(None, 100_000, 5_000) == 70_000
        assert settled_until_ms(60_000, 100_000, 5_000) == 70_000
        assert settled_until_ms(82_000, 100_000, 5_000) == 82_000

    def test_rows_of_a_clock_that_was_ahead_do_not_settle_the_future(self) -> None:
        assert settled_until_ms(500_000, 100_000, 5_000) == 100_000

    def test_no_running_ledger_is_ever_so_late(self) -> None:
        window_ms = 5_000
        ledger = Ledger(settle_ms=window_ms + 10_000, window_ms=window_ms)
        ledger.watch(FRONT, 0, "too_short")
        settled_ms = 0
        for now_ms in range(5_000, 300_000, 5_000):  # written every SETTLE_EVERY_MS
            assert settled_until_ms(settled_ms, now_ms, window_ms) <= max(settled_ms, 0)
            if now_ms % 35_000 == 0:
                ledger.judged(FRONT, now_ms - 5_500, now_ms - 500)
            settled_ms = max([settled_ms, *(one.end_ms for one in ledger.advance(now_ms))])


@given(
    cuts=st.lists(st.integers(0, 300), max_size=12, unique=True).map(sorted),
    window=st.tuples(st.integers(0, 300), st.integers(0, 300)),
    data=st.data(),
)
def test_partition_is_the_window_without_hole_or_overlap(
    cuts: list[int], window: tuple[int, int], data: st.DataObject
) -> None:
    kinds: st.SearchStrategy[Coverage | None] = st.sampled_from(("judged", "offline", None))
    known: list[Span] = [
        (start, end, coverage)
        for start, end in pairwise(cuts)
        if (coverage := data.draw(kinds)) is not None
    ]
    since, until = window
    parts = list(partition(known, since, until))
    told: list[Coverage] = ["not_running"] * 300
    for start, end, coverage in known:
        told[start:end] = [coverage] * (end - start)
    assert [one[2] for one in parts for _ in range(one[0], one[1])] == told[since:until]
    assert sum(totals_ms(parts).values()) == max(0, until - since)
    if since < until:
        assert (parts[0][0], parts[-1][1]) == (since, until)
        assert all(one[1] == two[0] for one, two in pairwise(parts))


class Desk:
    """A chronicle with a clock that is moved and set by hand; books in lists."""

    def __init__(self) -> None:
        self.clock = ManualClock(T0)
        self.books = FakeBooks()
        self.chronicle = Chronicle(
            books=self.books,
            ledger=Ledger(settle_ms=15_000, window_ms=5_000),
            stats=Stats(),
            live=Announcer(FakeSpeaker(), Topics("edgewatch"), self.clock),
            replay=Announcer(FakeSpeaker(), Topics("edgewatch", replay=True), self.clock),
            clock=self.clock,
        )

    def begin(self, *, live: bool = True) -> Watch:
        watch = Watch(make_feed(live=live), observers=(), now_seconds=T0)
        self.chronicle.begin(watch)
        return watch

    def online(self, watch: Watch) -> None:
        self.chronicle.health(watch, Health(FRONT, "online", self.clock.wall_seconds()))

    async def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1.0)
            await self.chronicle.settle()

    def told(self) -> list[tuple[float, float, Coverage]]:
        """Seconds since T0, with what was told of them."""
        with Store(None) as store:
            store.save_coverage(self.books.coverage)
            return [((a - T0_MS) / 1000, (b - T0_MS) / 1000, why) for a, b, why in spans(store)]


def test_time_the_machine_slept_through_is_no_time_that_was_watched() -> None:
    async def test() -> None:
        desk = Desk()
        desk.begin()
        await desk.pass_seconds(30)
        desk.clock.set_wall(T0 + 3_630)
        await desk.pass_seconds(30)
        await desk.chronicle.close()
        # It is seen at the first reading after, a second later.
        assert desk.told() == [(0.0, 31.0, "connecting"), (3_631.0, 3_660.0, "connecting")]

    asyncio.run(test())


def test_clock_that_was_years_ahead_and_is_set_right_goes_on_at_once() -> None:
    async def test() -> None:
        desk = Desk()
        desk.clock.set_wall(T0 + 1e8)
        watch = desk.begin()
        await desk.pass_seconds(30)
        desk.clock.set_wall(T0)
        desk.online(watch)
        desk.chronicle.unjudged(watch, T0 + 1, T0 + 25, "corrupt")
        await desk.pass_seconds(60)
        await desk.chronicle.close()
        assert desk.told() == [
            (0.0, 1.0, "too_short"),
            (1.0, 25.0, "corrupt"),
            (25.0, 60.0, "overload"),
            (1e8, 1e8 + 30, "connecting"),
        ]

    asyncio.run(test())


def test_small_corrections_of_the_clock_make_no_hole() -> None:
    async def test() -> None:
        desk = Desk()
        desk.begin()
        for correction in (0.9, -1.1, 1.9, -1.7):
            await desk.pass_seconds(20)
            desk.clock.set_wall(desk.clock.wall_seconds() + correction)
        await desk.chronicle.close()
        assert desk.told() == [(0.0, 80.0, "connecting")]

    asyncio.run(test())


def test_what_waits_for_an_engine_that_is_away_is_engine_down() -> None:
    async def test() -> None:
        desk = Desk()
        watch = desk.begin()
        desk.online(watch)
        desk.chronicle.engine(ready=False)
        await desk.pass_seconds(40)
        desk.chronicle.engine(ready=True)
        await desk.pass_seconds(20)
        await desk.chronicle.close()
        assert desk.told() == [(0.0, 40.0, "engine_down"), (40.0, 60.0, "overload")]

    asyncio.run(test())


@pytest.mark.parametrize("state", ["frozen", "dark", "covered"])
def test_a_picture_that_shows_nothing_is_frozen_time(state: str) -> None:
    async def test() -> None:
        desk = Desk()
        watch = desk.begin()
        frozen = replace(Health(FRONT, "frozen", T0), state=state)  # type: ignore[arg-type]
        desk.chronicle.health(watch, frozen)
        await desk.pass_seconds(10)
        await desk.chronicle.close()
        assert desk.told() == [(0.0, 10.0, "frozen")]

    asyncio.run(test())


def test_recordings_come_into_no_coverage() -> None:
    async def test() -> None:
        desk = Desk()
        watch = desk.begin(live=False)
        desk.chronicle.unjudged(watch, T0, T0 + 5, "corrupt")
        await desk.pass_seconds(30)
        await desk.chronicle.close()
        assert desk.books.coverage == []

    asyncio.run(test())
