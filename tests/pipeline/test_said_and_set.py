"""What people say and set, and what is on disk: feedback, evidence rows, changes of settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edgewatch.config.settings import CameraPlan, load_settings
from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.event_rows import EventSearch
from edgewatch.pipeline.settings_log import log_reload, log_start, values_of
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import CameraName, EvidenceRow, Feedback, SettingChange
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event

SAID = Feedback("a", FRONT, True, "well seen", "page", 50.0)
FILES = EvidenceRow("a", FRONT, "recording", "", "front/2026-11-21", 0, 10.0)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store(None) as opened:
        yield opened


@pytest.fixture
async def thread() -> AsyncIterator[StoreThread]:
    async with StoreThread(None) as opened:
        yield opened


def change(key: str, value: str, at_seconds: float) -> SettingChange:
    return SettingChange(FRONT, key, value, at_seconds, "page")


class TestFeedback:
    def test_the_last_word_counts_and_can_be_taken_back(self, store: Store) -> None:
        store.set_feedback(SAID)
        store.set_feedback(replace(SAID, correct=False, note=""))
        assert store.feedback("a") == replace(SAID, correct=False, note="")
        store.clear_feedback("a")
        assert store.feedback("a") is None

    def test_it_is_found_by_the_time_of_its_event(self, store: Store) -> None:
        for event_id, start in (("b", 200.0), ("a", 100.0), ("c", 300.0)):
            store.save_event(make_event(event_id, start, end_seconds=start + 5))
            store.set_feedback(replace(SAID, event_id=event_id, given_seconds=1.0))
        assert [one.event_id for one in store.feedback_since(FRONT, 150.0)] == ["b", "c"]
        assert store.feedback_since(CameraName("gate"), 0.0) == []
        assert set(store.feedback_of(["a", "c", "z"])) == {"a", "c"}

    def test_it_goes_with_its_event(self, store: Store) -> None:
        store.save_event(make_event("a", 100.0, end_seconds=105.0))
        store.save_event(make_event("b", 200.0, end_seconds=205.0))
        for event_id in "ab":
            store.set_feedback(replace(SAID, event_id=event_id))
        store.prune(records_before_seconds=0.0, events_before_seconds=150.0)
        assert set(store.feedback_of(["a", "b"])) == {"b"}

    def test_full_disk_is_told(self, tmp_path: Path) -> None:
        note = "x" * 400_000
        with (
            Store(tmp_path / "edgewatch.db", max_bytes=300_000) as store,
            pytest.raises(StoreError, match=r"feedback was not kept: .*disk is full"),
        ):
            store.set_feedback(replace(SAID, note=note))


class TestEvidence:
    def test_a_newer_row_replaces_the_older_but_not_its_protection(self, store: Store) -> None:
        store.save_evidence(FILES)
        assert store.protect_evidence("a", True)
        store.save_evidence(replace(FILES, state="ready", size_bytes=9))
        assert store.evidence("a") == replace(FILES, state="ready", size_bytes=9, protected=True)
        assert not store.protect_evidence("nobody", True)

    def test_the_oldest_that_is_not_protected_goes_first(self, store: Store) -> None:
        for number, event_id in enumerate("abcd"):
            store.save_evidence(
                replace(FILES, event_id=event_id, created_seconds=10.0 - number, size_bytes=5)
            )
        store.protect_evidence("d", True)
        assert [one.event_id for one in store.evidence_oldest(2)] == ["c", "b"]
        store.delete_evidence("c")
        assert store.evidence_bytes() == 15
        assert set(store.evidence_of(["a", "c"])) == {"a"}
        assert [one.event_id for one in store.evidence_in_state("recording")] == ["d", "b", "a"]


class TestSettingChanges:
    def test_what_held_at_a_time_is_the_last_change_before(self, store: Store) -> None:
        store.log_changes(
            [
                change("threshold", "0.5", 10.0),
                change("enabled", "false", 15.0),
                change("threshold", "0.7", 20.0),
                change("threshold", "0.8", 20.0),
            ]
        )
        assert store.settings_at(FRONT, 19.9)["threshold"].value == "0.5"
        held = store.settings_at(FRONT, 20.0)
        assert {key: one.value for key, one in held.items()} == {
            "enabled": "false",
            "threshold": "0.8",
        }
        assert store.settings_at(FRONT, 5.0) == {}
        assert len(store.setting_changes(FRONT, 15.0, 20.0)) == 1

    def test_pruning_keeps_what_still_held(self, store: Store) -> None:
        store.log_changes([change("threshold", f"0.{at}", float(at)) for at in range(1, 7)])
        store.prune(records_before_seconds=4.5, events_before_seconds=0.0)
        kept = [one.value for one in store.setting_changes(FRONT, 0.0, 100.0)]
        assert kept == ["0.4", "0.5", "0.6"]


class TestOnTheLoop:
    async def test_all_of_it_can_be_awaited(self, thread: StoreThread) -> None:
        await thread.save_event(make_event("a", 100.0, end_seconds=105.0))
        thread.save_verdict(make_verdict(100.0, 0.4))
        await thread.set_feedback(SAID)
        await thread.save_evidence(FILES)
        assert await thread.protect_evidence("a", True)
        assert (await thread.events_page(EventSearch()))[0].event_id == "a"
        assert await thread.count_events(EventSearch((FRONT,))) == 1
        assert await thread.scores(FRONT, 0.0, 200.0) == [(100.0, 0.4, 0.5)]
        assert [one.clips for one in await thread.timeline(FRONT, 0.0, 200.0, 2)] == [1]
        assert await thread.feedback("a") == SAID
        assert [one.event_id for one in await thread.feedback_since(FRONT, 0.0)] == ["a"]
        assert (await thread.evidence_of(["a"]))["a"].protected
        assert await thread.evidence_oldest(5) == []
        assert await thread.evidence_bytes() == 0
        assert len(await thread.evidence_in_state("recording")) == 1
        assert (await thread.events_with_prefix("a"))[0].event_id == "a"
        assert len(await thread.events_between(FRONT, 0.0, 200.0)) == 1
        assert await thread.ask(lambda records: records.known_since(FRONT)) == 95.0
        await thread.delete_evidence("a")
        assert await thread.evidence("a") is None
        await thread.clear_feedback("a")
        assert await thread.feedback_of(["a"]) == {}

    async def test_a_change_is_written_behind_and_read_at_once(self, thread: StoreThread) -> None:
        thread.log_change(change("threshold", "0.7", 10.0))
        assert (await thread.settings_at(FRONT, 10.0))["threshold"].value == "0.7"
        thread.log_change(change("threshold", "0.8", 11.0))
        assert len(await thread.setting_changes(FRONT, 0.0, 20.0)) == 2

    async def test_changes_that_wait_are_written_at_the_end(self, tmp_path: Path) -> None:
        async with StoreThread(tmp_path / "edgewatch.db") as thread:
            thread.log_change(change("threshold", "0.7", 10.0))
        with Store(tmp_path / "edgewatch.db") as store:
            assert store.settings_at(FRONT, 10.0)["threshold"].by == "page"
        with pytest.raises(StoreError, match="not open"):
            thread.log_change(change("threshold", "0.7", 10.0))


def plan_of(tmp_path: Path, **more: object) -> CameraPlan:
    camera = {"name": "front", "url": "rtsp://127.0.0.1/front", **more}
    (tmp_path / "edgewatch.toml").touch()
    settings = load_settings(tmp_path / "edgewatch.toml", {}, {"cameras": [camera]})
    return settings.plans()[0]


class TestSettingsLog:
    async def test_a_start_writes_what_the_file_says_once(
        self, thread: StoreThread, tmp_path: Path
    ) -> None:
        plan = plan_of(tmp_path, threshold=0.62)
        await log_start(thread, [plan], 10.0)
        await log_start(thread, [plan], 20.0)
        changes = await thread.setting_changes(FRONT, 0.0, 100.0)
        assert {one.key: one.value for one in changes} == values_of(plan)
        assert {(one.at_seconds, one.by) for one in changes} == {(10.0, "settings")}
        assert values_of(plan)["threshold"] == "0.62"

    async def test_a_start_takes_back_what_operators_set(
        self, thread: StoreThread, tmp_path: Path
    ) -> None:
        plan = plan_of(tmp_path)
        await log_start(thread, [plan], 10.0)
        thread.log_change(change("threshold", "0.9", 20.0))
        thread.log_change(change("snooze_seconds", "600", 20.0))
        await log_start(thread, [plan], 30.0)
        held = await thread.settings_at(FRONT, 30.0)
        assert (held["threshold"].value, held["snooze_seconds"].value) == ("0.5", "0")
        await log_start(thread, [plan], 40.0)
        assert await thread.setting_changes(FRONT, 31.0, 100.0) == []

    async def test_a_reload_writes_only_what_the_file_changed(
        self, thread: StoreThread, tmp_path: Path
    ) -> None:
        before, after = plan_of(tmp_path), plan_of(tmp_path, open_after=3, enabled=False)
        log_reload(thread, before, after, 10.0)
        changes = await thread.setting_changes(FRONT, 0.0, 100.0)
        assert {one.key: one.value for one in changes} == {"enabled": "false", "open_after": "3"}
        log_reload(thread, None, after, 20.0)
        held = await thread.settings_at(FRONT, 20.0)
        assert {key: one.value for key, one in held.items()} == values_of(after)
