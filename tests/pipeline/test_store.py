"""The store keeps what it was given through full disks, kill -9, clocks and other processes."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.store import OutboxRow, Store
from edgewatch.pipeline.types import (
    CameraName,
    Coverage,
    Evidence,
    EvidenceRow,
    Feedback,
    Interval,
)
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event, make_message

YARD = CameraName("yard")
EVERYTHING = (0.0, 1e12)
TO_VERSION_1 = """
DROP TABLE evidence; DROP TABLE feedback; DROP TABLE setting_changes; DROP INDEX verdict_scores;
DROP TABLE score_minutes; DROP INDEX events_by_camera; DROP INDEX events_by_start;
ALTER TABLE events DROP COLUMN suppressed; CREATE INDEX events_by_start ON events (start_seconds);
DROP INDEX outbox_by_channel; ALTER TABLE outbox DROP COLUMN channel;
ALTER TABLE verdicts DROP COLUMN prompt_hash; DROP TABLE drills; PRAGMA user_version = 1"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edgewatch.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as opened:
        yield opened


def payloads(rows: list[OutboxRow]) -> list[str]:
    return [row.payload.decode() for row in rows]


def save(store: Store, event_id: str, **more: object) -> None:
    event = replace(make_event(event_id), **more)  # type: ignore[arg-type]  # fields of Event
    store.save_event(event, [make_message(event)])


class TestOpening:
    def test_file_and_its_folder_are_made_readable_by_the_group(self, tmp_path: Path) -> None:
        path = tmp_path / "data" / "edgewatch.db"
        with Store(path) as store:
            save(store, "a")
            modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {0o640}

    def test_what_was_saved_is_there_after_reopening(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
            store.save_verdicts([make_verdict(10.0, 0.2)])
            store.set_setting("front/threshold", "0.7")
        with Store(path) as store:
            assert [event.event_id for event in store.events()] == ["a"]
            assert payloads(store.outbox_head(10)) == ["a/1"]
            assert store.verdicts(FRONT, *EVERYTHING) == [make_verdict(10.0, 0.2)]
            assert store.setting("front/threshold") == "0.7"

    def test_store_without_a_path_lives_in_memory(self) -> None:
        with Store(None) as store:
            save(store, "a")
            assert store.event("a") == make_event("a")

    def test_damaged_file_is_refused_with_a_cure_and_left_alone(self, path: Path) -> None:
        path.write_bytes(b"no database, but 4 KiB of it " * 150)
        before = path.read_bytes()
        with pytest.raises(StoreError, match=r"edgewatch\.db.*move the file .* aside"):
            Store(path)
        assert path.read_bytes() == before

    def test_truncated_file_is_refused_with_a_cure(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(StoreError, match=r"edgewatch\.db.*damaged.*aside"):
            Store(path)

    def test_newer_schema_is_refused(self, path: Path) -> None:
        Store(path).close()
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 99")
        db.close()
        with pytest.raises(StoreError, match="newer edgewatch"):
            Store(path)
        with pytest.raises(StoreError, match="newer edgewatch"):
            Store.open_readonly(path)

    def test_older_schema_is_brought_up_to_date_with_what_it_holds(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
            store.save_verdicts([make_verdict(1_000.0, 0.3), make_verdict(1_001.0, 0.5)])
            held, day = store.events(), store.timeline(FRONT, 0.0, 86_400.0, 24)
        db = sqlite3.connect(path)
        db.executescript(TO_VERSION_1)
        db.close()
        with pytest.raises(StoreError, match="older edgewatch: start this version's"):
            Store.open_readonly(path)
        with Store(path) as store:
            assert store.events() == held
            assert store.timeline(FRONT, 0.0, 86_400.0, 24) == day
            assert [one.clips for one in day] == [2]
        Store.open_readonly(path).close()

    def test_database_of_another_program_is_refused_untouched(self, path: Path) -> None:
        db = sqlite3.connect(path)
        db.execute("CREATE TABLE theirs (x)")
        db.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program"):
            Store(path)
        assert path.read_bytes() == before

    def test_second_writer_is_refused_until_the_first_is_gone(self, path: Path) -> None:
        with Store(path), pytest.raises(StoreError, match="in use by another edgewatch"):
            Store(path)
        Store(path).close()

    def test_folder_that_cannot_be_made_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(StoreError, match=r"file/edgewatch\.db cannot be made"):
            Store(tmp_path / "file" / "edgewatch.db")

    def test_opening_fails_without_keeping_the_lock(self, path: Path) -> None:
        path.write_bytes(b"x" * 8192)
        with pytest.raises(StoreError, match="no database at all"):
            Store(path)
        path.unlink()
        Store(path).close()

    def test_closing_twice_is_harmless(self, path: Path) -> None:
        store = Store(path)
        store.close()
        store.close()


class TestEvents:
    def test_all_of_an_event_comes_back(self, store: Store) -> None:
        event = make_event("a", end_seconds=1_010.0, description='a "truck" \ud83d \U0001f69a')
        store.save_event(replace(event, replay=True, suppressed_by="snooze"))
        assert store.event("a") == replace(event, replay=True, suppressed_by="snooze")

    def test_later_step_replaces_the_snapshot_and_queues_its_own_message(
        self, store: Store
    ) -> None:
        save(store, "a")
        save(store, "a", type="update", revision=2)
        assert [event.revision for event in store.events()] == [2]
        assert payloads(store.outbox_head(10)) == ["a/1", "a/2"]

    def test_event_without_a_message_is_only_recorded(self, store: Store) -> None:
        store.save_event(make_event("a"))
        assert (len(store.events()), store.outbox_size()) == (1, 0)

    def test_newest_events_come_last_and_survive_the_limit(self, store: Store) -> None:
        for event_id, start_seconds in (("b", 2.0), ("c", 3.0), ("a", 1.0)):
            store.save_event(make_event(event_id, start_seconds))
        assert [event.event_id for event in store.events(limit=2)] == ["b", "c"]

    def test_events_are_chosen_by_camera_and_by_whether_they_went_on_since(
        self, store: Store
    ) -> None:
        store.save_event(make_event("over", 10.0, end_seconds=20.0))
        store.save_event(make_event("reaches in", 10.0, end_seconds=30.0))
        store.save_event(make_event("open", 10.0))
        store.save_event(make_event("elsewhere", 10.0, camera=YARD))
        chosen = store.events(FRONT, since_seconds=25.0)
        assert {event.event_id for event in chosen} == {"reaches in", "open"}

    def test_open_events_are_those_without_an_end(self, store: Store) -> None:
        store.save_event(make_event("b", 2.0))
        store.save_event(make_event("a", 1.0))
        store.save_event(make_event("over", 1.0, end_seconds=2.0))
        assert [event.event_id for event in store.open_events()] == ["a", "b"]
        store.save_event(make_event("a", 1.0, end_seconds=9.0, revision=2))
        assert [event.event_id for event in store.open_events()] == ["b"]

    def test_unknown_event_is_none(self, store: Store) -> None:
        assert store.event("nothing") is None

    def test_event_that_cannot_be_encoded_does_not_block_the_next(self, store: Store) -> None:
        with pytest.raises(TypeError):
            save(store, "bad", description=object())
        save(store, "good")
        assert [event.event_id for event in store.events()] == ["good"]


class TestFollowing:
    def test_each_change_is_seen_once_in_order(self, store: Store) -> None:
        save(store, "a")
        save(store, "b")
        first = store.events_changed(0)
        assert [event.event_id for _, event in first] == ["a", "b"]
        assert first[-1][0] == store.latest_change()
        save(store, "a", type="update", revision=2)
        later = store.events_changed(first[-1][0])
        assert [(event.event_id, event.revision) for _, event in later] == [("a", 2)]
        assert store.events_changed(later[-1][0]) == []

    def test_changes_keep_growing_after_everything_was_pruned(self, store: Store) -> None:
        store.save_event(make_event("a", 1.0, end_seconds=2.0))
        seen = store.latest_change()
        store.prune(records_before_seconds=1e9, events_before_seconds=1e9)
        store.save_event(make_event("b", 3.0))
        assert [event.event_id for _, event in store.events_changed(seen)] == ["b"]

    def test_another_process_reads_what_the_writer_just_wrote(
        self, store: Store, path: Path
    ) -> None:
        save(store, "a")
        with Store.open_readonly(path) as reader:
            seen = reader.latest_change()
            save(store, "b")
            assert [event.event_id for _, event in reader.events_changed(seen)] == ["b"]

    def test_reader_works_while_no_writer_runs(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
        with Store.open_readonly(path) as reader:
            assert [event.event_id for event in reader.events()] == ["a"]

    def test_reader_without_right_to_write_works_while_no_writer_runs(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
        path.parent.chmod(0o550)
        try:
            with Store.open_readonly(path) as reader:
                assert [event.event_id for event in reader.events()] == ["a"]
        finally:
            path.parent.chmod(0o750)

    def test_reader_of_a_missing_database_is_told_what_to_start(self, path: Path) -> None:
        with pytest.raises(StoreError, match="start `edgewatch run`"):
            Store.open_readonly(path)
        assert not path.exists()

    def test_reader_of_an_empty_file_is_told_what_to_start(self, path: Path) -> None:
        path.touch()
        with pytest.raises(StoreError, match="start `edgewatch run`"):
            Store.open_readonly(path)


class TestOutbox:
    def test_rows_come_oldest_first_and_keep_their_id_until_deleted(self, store: Store) -> None:
        for event_id in "abc":
            save(store, event_id)
        rows = store.outbox_head(2)
        assert payloads(rows) == ["a/1", "b/1"]
        assert rows[0].camera == FRONT
        assert rows[0].topic == "edgewatch/front/events"
        store.outbox_delete([rows[0].row_id])
        assert store.outbox_head(2)[0] == rows[1]
        assert store.outbox_size() == 2

    def test_id_is_never_given_twice(self, path: Path) -> None:
        with Store(path) as store:
            save(store, "a")
            (first,) = store.outbox_head(10)
            store.outbox_delete([first.row_id])
        with Store(path) as store:
            save(store, "b")
            assert store.outbox_head(10)[0].row_id > first.row_id

    def test_deleting_what_is_gone_is_harmless(self, store: Store) -> None:
        store.outbox_delete([7, 8])
        assert store.health.trouble is None


class TestVerdicts:
    def test_all_of_a_verdict_comes_back(self, store: Store) -> None:
        verdict = replace(
            make_verdict(10.0, 0.9),
            evidence=(Evidence("impact", 0.7, "lower left", "3.1 times"), Evidence("x", 0.1)),
            warming_up=True,
            uncertain=True,
            replay=True,
        )
        store.save_verdicts([verdict])
        assert store.verdicts(FRONT, *EVERYTHING) == [verdict]

    def test_those_whose_footage_overlaps_are_found_in_order(self, store: Store) -> None:
        verdicts = [make_verdict(end, 0.1) for end in (5.0, 7.5, 10.0, 12.5)]
        store.save_verdicts([*reversed(verdicts), make_verdict(7.5, 0.1, camera=YARD)])
        assert store.verdicts(FRONT, 5.0, 6.0) == verdicts[1:3]
        assert store.verdicts(FRONT, 0.0, 2.5) == verdicts[:1]

    def test_saving_a_clip_again_keeps_the_newer_verdict(self, store: Store) -> None:
        store.save_verdicts([make_verdict(5.0, 0.1)])
        store.save_verdicts([make_verdict(5.0, 0.9)])
        assert [verdict.score for verdict in store.verdicts(FRONT, *EVERYTHING)] == [0.9]

    def test_saving_nothing_is_harmless(self, store: Store) -> None:
        store.save_verdicts([])
        store.save_coverage([])

    def test_question_about_a_moment_uses_the_index(self, store: Store, path: Path) -> None:
        db = sqlite3.connect(path)
        plan = db.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM verdicts WHERE camera = 'front' "
            "AND end_seconds > 1 AND end_seconds < 2 ORDER BY end_seconds, clip_id"
        ).fetchall()
        db.close()
        assert [row[3].split(" (")[0] for row in plan] == ["SEARCH verdicts USING PRIMARY KEY"]


class TestCoverage:
    def test_equal_neighbours_become_one_row(self, store: Store) -> None:
        store.save_coverage([Interval(FRONT, 0, 10, "judged"), Interval(YARD, 0, 10, "offline")])
        store.save_coverage([Interval(FRONT, 10, 20, "judged"), Interval(FRONT, 20, 30, "offline")])
        assert store.coverage(FRONT, 0, 100) == [
            Interval(FRONT, 0, 20, "judged"),
            Interval(FRONT, 20, 30, "offline"),
        ]

    def test_hole_stays_a_hole(self, store: Store) -> None:
        store.save_coverage([Interval(FRONT, 0, 10, "judged"), Interval(FRONT, 11, 20, "judged")])
        assert len(store.coverage(FRONT, 0, 100)) == 2

    def test_only_intervals_that_overlap_are_returned_whole(self, store: Store) -> None:
        intervals = [
            Interval(FRONT, 0, 10, "judged"),
            Interval(FRONT, 10, 20, "offline"),
            Interval(FRONT, 20, 30, "judged"),
        ]
        store.save_coverage(intervals)
        assert store.coverage(FRONT, 10, 20) == intervals[1:2]
        assert store.coverage(FRONT, 9, 21) == intervals

    def test_time_that_is_covered_already_stays_as_it_is(self, store: Store) -> None:
        store.save_coverage([Interval(FRONT, 10, 20, "judged"), Interval(FRONT, 30, 40, "judged")])
        store.save_coverage([Interval(FRONT, 0, 50, "offline")])
        assert store.coverage(FRONT, 0, 50) == [
            Interval(FRONT, 0, 10, "offline"),
            Interval(FRONT, 10, 20, "judged"),
            Interval(FRONT, 20, 30, "offline"),
            Interval(FRONT, 30, 40, "judged"),
            Interval(FRONT, 40, 50, "offline"),
        ]

    @given(
        intervals=st.lists(
            st.builds(
                lambda start, length, coverage: Interval(FRONT, start, start + length, coverage),
                st.integers(0, 60),
                st.integers(1, 20),
                st.sampled_from(("judged", "offline", "overload")),
            ),
            max_size=12,
        )
    )
    def test_first_word_on_each_millisecond_stands_whatever_is_saved(
        self, intervals: list[Interval]
    ) -> None:
        expected: dict[int, Coverage] = {}
        with Store(None) as store:
            for interval in intervals:
                store.save_coverage([interval])
                for at_ms in range(interval.start_ms, interval.end_ms):
                    expected.setdefault(at_ms, interval.coverage)
            rows = store.coverage(FRONT, 0, 100)
        assert all(one.end_ms <= two.start_ms for one, two in pairwise(rows))
        covered = {at: row.coverage for row in rows for at in range(row.start_ms, row.end_ms)}
        assert covered == expected


class TestPruning:
    def test_what_is_old_goes_by_its_own_age_and_the_rest_stays(self, store: Store) -> None:
        store.save_verdicts([make_verdict(100.0, 0.1), make_verdict(200.0, 0.1)])
        store.save_coverage(
            [Interval(YARD, 0, 100_000, "judged"), Interval(YARD, 100_000, 200_000, "offline")]
        )
        store.save_event(make_event("old", 10.0, end_seconds=40.0))
        store.save_event(make_event("kept", 10.0, end_seconds=60.0))
        store.save_event(make_event("open", 10.0), [make_message(make_event("open"))])
        assert store.prune(records_before_seconds=150.0, events_before_seconds=50.0) == 4
        assert store.prune(records_before_seconds=150.0, events_before_seconds=50.0) == 0
        assert [one.end_seconds for one in store.verdicts(FRONT, *EVERYTHING)] == [200.0]
        assert [one.coverage for one in store.coverage(YARD, 0, 10**9)] == ["offline"]
        assert {event.event_id for event in store.events()} == {"kept", "open"}
        assert store.outbox_size() == 1

    def test_an_event_whose_evidence_is_protected_stays_with_what_was_said_of_it(
        self, store: Store
    ) -> None:
        for event_id in ("kept", "gone", "bare"):
            store.save_event(make_event(event_id, 10.0, end_seconds=20.0))
            store.set_feedback(Feedback(event_id, FRONT, True, "", "page", 30.0))
        for event_id in ("kept", "gone"):
            store.save_evidence(
                EvidenceRow(event_id, FRONT, "ready", "", "front/2026-11-21", 1, 20.0)
            )
        store.protect_evidence("kept", True)
        assert store.prune(records_before_seconds=0.0, events_before_seconds=100.0) == 2
        assert [event.event_id for event in store.events()] == ["kept"]
        assert [one.event_id for one in store.feedback_since(FRONT, 0.0)] == ["kept"]
        store.protect_evidence("kept", False)
        assert store.prune(records_before_seconds=0.0, events_before_seconds=100.0) == 1

    def test_much_goes_in_bounded_parts(self, store: Store) -> None:
        store.save_verdicts([make_verdict(number / 10, 0.1) for number in range(6_000)])
        parts = [
            store.prune(records_before_seconds=1e9, events_before_seconds=0.0) for _ in range(4)
        ]
        assert parts == [2_010, 2_000, 2_000, 0]  # with the ten minutes that they lie in
        assert not store.verdicts(FRONT, *EVERYTHING)


class TestSettings:
    def test_setting_is_replaced_and_forgotten(self, store: Store) -> None:
        assert store.setting("front/threshold") is None
        store.set_setting("front/threshold", "0.4")
        store.set_setting("front/threshold", "0.6")
        assert store.setting("front/threshold") == "0.6"
        store.set_setting("front/threshold", None)
        assert store.setting("front/threshold") is None


def test_cameras_are_all_that_anything_is_known_of(store: Store) -> None:
    store.save_verdicts([make_verdict(1.0, 0.1, camera=CameraName(name)) for name in "cab"])
    store.save_coverage([Interval(YARD, 0, 1, "judged"), Interval(CameraName("a"), 0, 1, "judged")])
    save(store, "event")
    assert store.cameras() == ["a", "b", "c", "front", "yard"]


class TestFullDisk:
    """SQLite's own SQLITE_FULL, by a limit on the file's size."""

    @pytest.fixture
    def full(self, path: Path) -> Iterator[Store]:
        """A store that takes no further row."""
        with Store(path, max_bytes=200_000, backlog=5) as store:
            ends = iter(range(1_000_000))
            while store.health.trouble is None:
                store.save_verdicts([make_verdict(float(next(ends)), 0.1) for _ in range(50)])
            # What fits into the last pages' free bytes, one at a time.
            while store.health.events_waiting == 0:
                save(store, f"fill-{next(ends)}", description="x" * 3_000)
            self.before = len(store.outbox_head(10_000)) - 1
            yield store

    def test_trouble_says_which_file_and_what_to_do(self, full: Store) -> None:
        assert full.health.trouble is not None
        assert "edgewatch.db: the disk is full: free space" in full.health.trouble

    def test_verdicts_are_dropped_and_counted(self, full: Store) -> None:
        dropped = full.health.verdicts_dropped
        full.save_verdicts([make_verdict(9e6, 0.1), make_verdict(9e6 + 1, 0.1)])
        assert full.health.verdicts_dropped == dropped + 2

    def test_coverage_waits_until_there_is_space_and_then_has_no_hole(self, full: Store) -> None:
        for start_ms in range(0, 9000, 1000):
            full.save_coverage([Interval(FRONT, start_ms, start_ms + 1000, "judged")])
        full.save_coverage([Interval(FRONT, 9000, 9500, "offline")])
        assert full.health.trouble is not None
        assert full.coverage(FRONT, 0, 10_000) == []
        full.prune(records_before_seconds=1e12, events_before_seconds=0.0)
        assert full.coverage(FRONT, 0, 10_000) == [
            Interval(FRONT, 0, 9000, "judged"),
            Interval(FRONT, 9000, 9500, "offline"),
        ]
        assert full.health.intervals_dropped == 0

    def test_setting_that_was_not_kept_is_an_error(self, full: Store) -> None:
        with pytest.raises(StoreError, match=r"front/prompt was not kept: .*disk is full"):
            full.set_setting("front/prompt", "x" * 10_000)

    def test_events_wait_in_memory_and_their_messages_still_go_out_last(self, full: Store) -> None:
        save(full, "late", description="x" * 3_000)
        assert full.event("late") is None
        assert full.health.messages_waiting == 2
        assert full.outbox_size() == self.before + 2
        rows = full.outbox_head(10_000)
        assert payloads(rows)[-1] == "late/1"
        assert [row.row_id for row in rows] == sorted(row.row_id for row in rows)

    def test_events_are_written_with_the_same_row_ids_when_space_is_back(self, full: Store) -> None:
        save(full, "late", description="x" * 3_000)
        before = full.outbox_head(10_000)
        full.prune(records_before_seconds=1e12, events_before_seconds=0.0)
        assert full.health.trouble is None
        assert full.health.events_waiting == 0
        assert full.event("late") is not None
        assert full.outbox_head(10_000) == before

    def test_message_delivered_while_the_disk_was_full_is_not_sent_again(self, full: Store) -> None:
        save(full, "late", description="x" * 3_000)
        row = full.outbox_head(10_000)[-1]
        full.outbox_delete([row.row_id])
        assert row not in full.outbox_head(10_000)
        full.prune(records_before_seconds=1e12, events_before_seconds=0.0)
        assert full.event("late") is not None
        assert row not in full.outbox_head(10_000)

    def test_event_is_refused_when_memory_is_at_its_bound(self, full: Store) -> None:
        for number in range(4):
            save(full, f"late-{number}", description="x" * 3_000)
        with pytest.raises(StoreError, match="late-4 of camera front was not accepted"):
            save(full, "late-4", description="x" * 3_000)

    def test_steps_of_one_event_take_one_place_once_delivered(self, full: Store) -> None:
        for revision in range(1, 20):
            save(full, "late", revision=revision, description="x" * 3_000)
            full.outbox_delete([full.outbox_head(10_000)[-1].row_id])
        full.prune(records_before_seconds=1e12, events_before_seconds=0.0)
        late = full.event("late")
        assert late is not None
        assert late.revision == 19


class TestLockedDatabase:
    """Another process holds the write lock: nothing at all can be written, not even deletions."""

    @pytest.fixture
    def lock(self, path: Path) -> Iterator[tuple[Store, sqlite3.Connection]]:
        with Store(path, busy_seconds=0.0) as store:
            save(store, "early")
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            yield store, other
            other.close()

    def test_delivered_row_is_not_sent_again_although_it_cannot_be_deleted(
        self, lock: tuple[Store, sqlite3.Connection]
    ) -> None:
        store, other = lock
        (row,) = store.outbox_head(10)
        store.outbox_delete([row.row_id])
        assert store.outbox_head(10) == []
        assert store.outbox_size() == 0
        assert store.health.trouble is not None
        assert "another process holds it locked" in store.health.trouble
        other.execute("ROLLBACK")
        assert store.outbox_head(10) == []
        assert store.health.trouble is None
        assert other.execute("SELECT count(*) FROM outbox").fetchone() == (0,)

    def test_what_waits_at_closing_is_written_if_the_disk_is_back(
        self, path: Path, lock: tuple[Store, sqlite3.Connection]
    ) -> None:
        store, other = lock
        save(store, "late")
        other.execute("ROLLBACK")
        store.close()
        with Store.open_readonly(path) as reader:
            assert reader.event("late") is not None


BROKEN_DISK = """
import resource, sys
from pathlib import Path
from edgewatch.pipeline.store import Store
from tests.fakes.events import make_event, make_message

path = Path(sys.argv[1])
with Store(path) as store:
    early, late = make_event("early"), make_event("late")
    store.save_event(early, [make_message(early)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    store.save_event(late, [make_message(late)])
    head = [row.payload.decode() for row in store.outbox_head(10)]
    print(store.health.events_waiting, *head, store.health.trouble, sep="|")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    store.outbox_head(10)
    print(store.health.events_waiting, store.health.trouble, store.event("late") == late, sep="|")
"""


def run_python(script: str, *arguments: str) -> str:
    """Run a script in a process of its own, from the checkout's root."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_events_survive_a_disk_that_fails_for_a_while(path: Path) -> None:
    """Writes beyond a limit on file sizes fail: SQLite's 'disk I/O error' or 'full'."""
    output = run_python(BROKEN_DISK, str(path))
    during, after = [line for line in output.splitlines() if "|" in line]
    waiting, *head, trouble = during.split("|")
    assert (waiting, head) == ("1", ["early/1", "late/1"])
    assert "edgewatch.db: the disk" in trouble
    assert after == "0|None|True"


WRITER = """
import sys
from pathlib import Path
from edgewatch.pipeline.store import Store
from tests.fakes.events import make_event, make_message

with Store(Path(sys.argv[1])) as store:
    number = 0
    while True:
        event = make_event(f"{sys.argv[2]}-{number}")
        store.save_event(event, [make_message(event)])
        print("saved", event.event_id, flush=True)
        number += 1
        if number % 3 == 0:
            row = store.outbox_head(1)[0]
            print("deleting", row.payload.decode(), flush=True)
            store.outbox_delete([row.row_id])
            print("deleted", row.payload.decode(), flush=True)
"""


def test_kill_9_leaves_no_half_transaction_and_loses_nothing_acknowledged(path: Path) -> None:
    told: dict[str, set[str]] = {"saved": set(), "deleting": set(), "deleted": set()}
    rolls = random.Random(3)
    for run in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(run)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout is not None
            for _ in range(rolls.randrange(1, 60)):
                word, name = process.stdout.readline().split()
                told[word].add(name.removesuffix("/1"))
            process.kill()
            for line in process.stdout:
                if line.endswith("\n"):
                    word, name = line.split()
                    told[word].add(name.removesuffix("/1"))
        with Store(path) as store:
            events = {event.event_id for event in store.events(limit=100_000)}
            waiting = {name.removesuffix("/1") for name in payloads(store.outbox_head(100_000))}
        assert told["saved"] <= events
        assert waiting <= events
        assert events - waiting <= told["deleting"]
        assert not waiting & told["deleted"]
        db = sqlite3.connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    assert len(told["deleted"]) > 6


DYING_WRITER = """
import os, signal, sys
from pathlib import Path
from edgewatch.pipeline.store import Store
from tests.fakes.events import make_event, make_message

def die() -> float:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0.0

with Store(Path(sys.argv[1]), now_seconds=die) as store:
    event = make_event("late")
    store.save_event(event, [make_message(event)])
"""


def test_kill_9_between_an_event_and_its_message_leaves_neither(path: Path) -> None:
    """The outbox row's time is asked for after the event was written, in the transaction."""
    with Store(path) as store:
        save(store, "early")
    died = subprocess.run(
        [sys.executable, "-c", DYING_WRITER, str(path)], cwd=Path(__file__).parents[2], check=False
    )
    assert died.returncode == -signal.SIGKILL
    with Store(path) as store:
        assert [event.event_id for event in store.events()] == ["early"]
        assert payloads(store.outbox_head(10)) == ["early/1"]


def test_row_ids_stay_in_the_order_of_events_over_a_restart(path: Path) -> None:
    for name in "abc":
        with Store(path) as store:
            save(store, name)
            rows = store.outbox_head(10)
    assert payloads(rows) == ["a/1", "b/1", "c/1"]
    assert [row.row_id for row in rows] == [1, 2, 3]
