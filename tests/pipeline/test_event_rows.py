from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgewatch.pipeline.event_rows import EventSearch
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Event, Feedback
from tests.fakes.clips import FRONT
from tests.fakes.events import make_event

GATE = CameraName("gate")


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None) as opened:
        yield opened


def kept(store: Store) -> list[Event]:
    """Twelve events of two cameras, two at each second; every third one held back."""
    events = [
        replace(
            make_event(
                f"event-{number:02d}",
                1_000.0 + number // 2,
                end_seconds=None if number == 11 else 1_010.0 + number,
                camera=FRONT if number % 4 < 2 else GATE,
            ),
            suppressed_by=None if number % 3 else "cooldown",
        )
        for number in range(12)
    ]
    for event in events:
        store.save_event(event)
    for number in (0, 4, 5):
        said = Feedback(f"event-{number:02d}", events[number].camera, number != 5, "", "cli", 1.0)
        store.set_feedback(said)
    return events


def ids(events: list[Event]) -> list[int]:
    return [int(event.event_id.removeprefix("event-")) for event in events]


class TestSearch:
    def test_pages_follow_each_other_without_a_gap_or_a_repeat(self, store: Store) -> None:
        kept(store)
        seen: list[int] = []
        before = None
        while page := store.events_page(EventSearch(), before=before, limit=5):
            seen += ids(page)
            before = (page[-1].start_seconds, page[-1].event_id)
        assert seen == list(range(11, -1, -1))

    @pytest.mark.parametrize(
        ("search", "found"),
        [
            (EventSearch((FRONT,)), [9, 8, 5, 4, 1, 0]),
            (EventSearch((GATE, FRONT, GATE)), list(range(11, -1, -1))),
            (EventSearch(()), []),
            (EventSearch([FRONT, *map(CameraName, map(str, range(600)))]), [9, 8, 5, 4, 1, 0]),
            (EventSearch((CameraName("nobody"),)), []),
            (EventSearch(since_seconds=1_003.0), [11, 10, 9, 8, 7, 6]),
            (EventSearch(until_seconds=1_001.0), [1, 0]),
            (EventSearch(suppressed=True), [9, 6, 3, 0]),
            (EventSearch((GATE,), suppressed=False), [11, 10, 7, 2]),
            (EventSearch(feedback="true"), [4, 0]),
            (EventSearch(feedback="false"), [5]),
            (EventSearch(feedback="any"), [5, 4, 0]),
            (EventSearch((FRONT,), feedback="none"), [9, 8, 1]),
        ],
    )
    def test_what_is_asked_for_is_found_and_counted(
        self, store: Store, search: EventSearch, found: list[int]
    ) -> None:
        kept(store)
        assert ids(store.events_page(search)) == found
        assert store.count_events(search) == len(found)
        assert ids(store.events_page(search, limit=2)) == found[:2]

    def test_event_that_is_sent_after_all_is_found_as_such(self, store: Store) -> None:
        event = kept(store)[0]
        store.save_event(replace(event, suppressed_by=None, revision=2))
        assert ids(store.events_page(EventSearch(suppressed=True))) == [9, 6, 3]


class TestBetween:
    def test_events_that_reach_into_the_time_are_found(self, store: Store) -> None:
        kept(store)
        assert ids(store.events_between(FRONT, 1_018.5, 1_030.0)) == [9]
        assert ids(store.events_between(GATE, 1_030.0, 1_040.0)) == [11]
        assert ids(store.events_between(None, None, 1_001.0)) == [0, 1]
        assert ids(store.events_between(None, None, None, limit=2)) == [10, 11]


class TestPrefix:
    def test_ids_that_begin_so_are_found(self, store: Store) -> None:
        kept(store)
        assert ids(store.events_with_prefix("event-1", limit=5)) == [10, 11]
        assert ids(store.events_with_prefix("event-03")) == [3]
        assert store.events_with_prefix("") == []
        assert store.events_with_prefix("event-%") == []

    @settings(deadline=None, max_examples=50)
    @given(st.text(max_size=8))
    def test_no_text_is_too_odd(self, prefix: str) -> None:
        with Store(None) as store:
            kept(store)
            try:
                found = store.events_with_prefix(prefix, 20)
            except UnicodeEncodeError:
                assert not prefix.isprintable()
                return
        assert all(event.event_id.startswith(prefix) for event in found)


class TestUpgrade:
    def test_older_records_learn_which_events_were_held_back(self, tmp_path: Path) -> None:
        path = tmp_path / "edgewatch.db"
        with Store(path) as store:
            kept(store)
            quoting = replace(make_event("event-50"), description='"suppressed_by": "snooze"')
            store.save_event(quoting)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE events SET suppressed = 0")
            db.execute("""UPDATE events SET suppressed = 1
                WHERE instr(snapshot, '"suppressed_by": "')""")
        db.close()
        with Store(path) as store:
            assert ids(store.events_page(EventSearch(suppressed=True))) == [9, 6, 3, 0]
