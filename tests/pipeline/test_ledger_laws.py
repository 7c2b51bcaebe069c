"""Laws of the ledger with its records: whatever happens, on whatever clock, time adds up."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.coverage import Span, partition, totals_ms
from edgewatch.pipeline.ledger import Ledger, coverage_totals
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Coverage
from tests.fakes.clips import FRONT

LIVED = tuple(one for one in get_args(Coverage) if one not in ("judged", "not_running"))
SHORT = st.integers(0, 30)
NEXT = st.one_of(
    st.tuples(st.just("pass"), st.integers(1, 40)),
    st.tuples(st.just("watch"), st.sampled_from(LIVED)),
    st.tuples(st.just("judged"), SHORT, SHORT),
    st.tuples(st.just("dropped"), SHORT, SHORT, st.sampled_from(LIVED)),
    st.tuples(st.just("engine"), st.booleans()),
    st.tuples(st.just("advance")),
)
"""What may happen next. Of footage: how long ago it began, and how long it is."""
SETTLE_MS, WINDOW_MS = 30, 10


@dataclass
class PlainLedger:
    """What the ledger's docstring says, one millisecond after the other, of one camera from 0."""

    reasons: list[tuple[int, Coverage]] = field(default_factory=lambda: [(0, "connecting")])
    marks: list[tuple[int, int, Coverage]] = field(default_factory=list)
    away: list[tuple[int, int]] = field(default_factory=list)
    coverage: list[Coverage] = field(default_factory=list)
    holes: set[int] = field(default_factory=set)

    def at(self, ms: int) -> Coverage | None:
        marks = [coverage for start, end, coverage in self.marks if start <= ms < end]
        for strongest in ("judged", "overload", "engine_down"):
            if strongest in marks:
                both = [one for one in marks if one in ("overload", "engine_down")]
                return "judged" if strongest == "judged" else both[0]
        others = [one for one in marks if one != "too_short"] or marks
        if others:
            return others[0]
        reason = [reason for since, reason in self.reasons if since <= ms][-1]
        return None if reason == "too_short" else reason

    def settle(self, until: int, *, final: bool = False) -> None:
        known: list[Coverage | None] = [*self.coverage]
        known += [self.at(ms) for ms in range(len(known), until)]
        at = len(self.coverage)
        while at < until:
            if known[at] is not None:
                self.coverage.append(known[at] or "judged")
                at += 1
                continue
            end = at
            while end < until and known[end] is None:
                end += 1
            long_enough = end - self.hole_begun(at) >= WINDOW_MS
            if end == until and not long_enough and not final:
                return
            for ms in range(at, end):
                away = any(start <= ms < back for start, back in self.away)
                self.holes.add(ms)
                cause: Coverage = "engine_down" if away else "overload"
                self.coverage.append(cause if long_enough else "too_short")
            at = end

    def hole_begun(self, at: int) -> int:
        while at - 1 in self.holes:
            at -= 1
        return at


def step(ledger: Ledger, now_ms: int, doing: tuple[Any, ...], camera: CameraName = FRONT) -> None:
    """Tell a ledger what happens to footage, watch or engine now."""
    match doing:
        case ("watch", reason):
            ledger.watch(camera, now_ms, reason)
        case ("judged", ago_ms, length_ms):
            ledger.judged(camera, now_ms - ago_ms, now_ms - ago_ms + length_ms)
        case ("dropped", ago_ms, length_ms, reason):
            ledger.dropped(camera, now_ms - ago_ms, now_ms - ago_ms + length_ms, reason)
        case ("engine", ready):
            ledger.engine(now_ms, ready=ready)


@given(doings=st.lists(NEXT, max_size=60))
def test_each_millisecond_is_what_the_rules_say_of_it(doings: list[tuple[Any, ...]]) -> None:
    ledger = Ledger(settle_ms=SETTLE_MS, window_ms=WINDOW_MS)
    ledger.watch(FRONT, 0, "connecting")
    plain, now_ms, intervals = PlainLedger(), 0, []
    for doing in doings:
        step(ledger, now_ms, doing)
        settled_ms = len(plain.coverage)
        match doing:
            case ("pass", ms):
                now_ms += ms
            case ("advance",):
                intervals += ledger.advance(now_ms)
                plain.settle(max(settled_ms, now_ms - SETTLE_MS))
            case ("watch", reason):
                plain.reasons = [one for one in plain.reasons if one[0] < now_ms or not now_ms]
                plain.reasons.append((now_ms, reason))
            case ("engine", False) if not plain.away or plain.away[-1][1] < 10**9:
                plain.away.append((now_ms - SETTLE_MS, 10**9))
            case ("engine", True) if plain.away and plain.away[-1][1] == 10**9:
                plain.away[-1] = (plain.away[-1][0], now_ms)
            case ("judged", ago_ms, length_ms):
                start_ms = max(settled_ms, now_ms - ago_ms)
                plain.marks.append((start_ms, now_ms - ago_ms + length_ms, "judged"))
            case ("dropped", ago_ms, length_ms, reason):
                start_ms = max(settled_ms, now_ms - ago_ms)
                plain.marks.append((start_ms, now_ms - ago_ms + length_ms, reason))
    intervals += ledger.close(now_ms)
    plain.settle(now_ms, final=True)
    assert [
        one.coverage for one in intervals for _ in range(one.start_ms, one.end_ms)
    ] == plain.coverage


T0_MS = 1_800_000_000_000
LIFE = st.lists(
    st.one_of(
        NEXT,
        st.tuples(st.just("restart"), st.integers(0, 100)),
        st.tuples(st.just("kill"), st.integers(0, 100)),
        st.tuples(st.just("away"), st.integers(0, 100)),
        st.tuples(st.just("jump"), st.integers(1, 1_000)),
    ),
    max_size=60,
)


def spans(store: Store, camera: CameraName = FRONT) -> list[Span]:
    return list(store.spans(camera, 0, 10**15))


@given(life=LIFE)
def test_what_no_process_lived_through_is_all_that_is_not_accounted_for(
    life: list[tuple[Any, ...]],
) -> None:
    with Store(None) as store:
        now_ms = begun_ms = T0_MS
        missing_ms = 0
        ledger = Ledger(settle_ms=SETTLE_MS, window_ms=WINDOW_MS)
        ledger.watch(FRONT, now_ms, "connecting")
        for doing in life:
            step(ledger, now_ms, doing)
            match doing:
                case ("pass", ms):
                    now_ms += ms
                case ("advance",):
                    store.save_coverage(ledger.advance(now_ms))
                case ("away", ms):
                    ledger.unwatch(FRONT, now_ms)
                    now_ms += ms
                    missing_ms += ms
                    ledger.watch(FRONT, now_ms, "connecting")
                case ("jump", ms):
                    ledger.clock_set(now_ms, now_ms + ms)
                    now_ms += ms
                    missing_ms += ms
                case ("restart", ms):
                    store.save_coverage(ledger.close(now_ms))
                    now_ms += ms
                    missing_ms += ms
                case ("kill", ms):
                    before = totals_ms(partition(spans(store), T0_MS, now_ms))
                    missing_ms = before.get("not_running", 0) + ms
                    now_ms += ms
            if doing[0] in ("restart", "kill"):
                ledger = Ledger(settle_ms=SETTLE_MS, window_ms=WINDOW_MS)
                ledger.watch(FRONT, now_ms, "connecting")
        store.save_coverage(ledger.close(now_ms))
        totals = totals_ms(partition(spans(store), begun_ms, now_ms))
    assert sum(totals.values()) == now_ms - begun_ms
    assert totals.get("not_running", 0) == missing_ms


CAMERAS = (FRONT, CameraName("yard"))
CLOCKS = st.lists(
    st.tuples(
        st.one_of(
            NEXT,
            st.tuples(st.just("unwatch")),
            st.tuples(st.just("set"), st.integers(-2_000, 2_000), st.booleans()),
            st.tuples(st.just("restart"), st.integers(-2_000, 2_000), st.booleans()),
        ),
        st.sampled_from(CAMERAS),
    ),
    max_size=60,
)


def assert_stays_told(before: list[Span], after: list[Span]) -> None:
    """Check that rows are disjoint, as few as can be, and say of known time what they said."""
    for one, two in pairwise(after):
        assert one[0] < one[1] <= two[0]
        assert one[1] < two[0] or one[2] != two[2]
    for row in before:
        assert list(partition(after, row[0], row[1])) == [row]


class Process:
    """A ledger and its store; after a restart, those of the next process over the same records."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.store = Store(path)
        self.now_ms = T0_MS
        self.begin()

    def begin(self) -> None:
        self.ledger = Ledger(settle_ms=SETTLE_MS, window_ms=WINDOW_MS)
        for camera in CAMERAS:
            self.ledger.watch(camera, self.now_ms, "connecting")

    def restart(self, ms: int, *, is_clean: bool) -> None:
        if is_clean:
            self.store.save_coverage(self.ledger.close(self.now_ms))
        if self.path:
            self.store.close()
            self.store = Store(self.path)
        self.now_ms += ms
        self.begin()

    def live(self, doing: tuple[Any, ...], camera: CameraName) -> None:
        step(self.ledger, self.now_ms, doing, camera)
        match doing:
            case ("pass", ms):
                self.now_ms += ms
            case ("advance",):
                self.store.save_coverage(self.ledger.advance(self.now_ms))
            case ("unwatch",):
                self.ledger.unwatch(camera, self.now_ms)
            case ("set", ms, is_told):
                if is_told:
                    self.ledger.clock_set(self.now_ms, self.now_ms + ms)
                self.now_ms += ms
            case ("restart", ms, is_clean):
                self.restart(ms, is_clean=is_clean)


def live(doings: list[tuple[tuple[Any, ...], CameraName]], path: Path | None) -> None:
    """Live through anything, on any clock, with restarts; check the records at each step."""
    process = Process(path)
    for doing, camera in [*doings, (("restart", 0, True), FRONT)]:
        before = {one: spans(process.store, one) for one in CAMERAS}
        process.live(doing, camera)
        for one in CAMERAS:
            assert_stays_told(before[one], spans(process.store, one))
    windows = ((T0_MS - 5_000, process.now_ms + 5_000), (T0_MS + 7, T0_MS + 333))
    for one in CAMERAS:
        for since_ms, until_ms in windows:
            parts = list(partition(spans(process.store, one), since_ms, until_ms))
            assert sum(totals_ms(parts).values()) == max(0, until_ms - since_ms)
            intervals = process.store.coverage(one, since_ms, until_ms)
            assert coverage_totals(intervals, since_ms, until_ms) == totals_ms(parts)
    process.store.close()


@given(doings=CLOCKS)
def test_on_any_clock_and_over_restarts_what_is_told_stays_and_sums_are_exact(
    doings: list[tuple[tuple[Any, ...], CameraName]],
) -> None:
    live(doings, None)


@settings(max_examples=25, deadline=None)
@given(doings=CLOCKS)
def test_the_same_holds_over_a_file_that_each_process_opens_anew(
    doings: list[tuple[tuple[Any, ...], CameraName]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live(doings, Path(folder) / "edgewatch.db")
