"""The store's thread never makes the loop wait, loses no call and wakes the publisher."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.outbox import Outbox
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import Interval, Verdict
from tests.fakes.clips import FRONT, make_verdict
from tests.fakes.events import make_event, make_message

NEVER_SECONDS = 1e6


class HeldStore(Store):
    """A store whose thread stops at the next verdicts until it is let go: a slow disk."""

    def __init__(self, path: Path | None) -> None:
        super().__init__(path)
        self.let_go = threading.Event()
        self.reached = threading.Event()
        self.threads: set[str] = set()

    def save_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        self.threads.add(threading.current_thread().name)
        self.reached.set()
        self.let_go.wait(timeout=30)
        super().save_verdicts(verdicts)


class BrokenStore(Store):
    """A store with a bug."""

    def save_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        raise RuntimeError("a bug")


class Opened:
    """Opens one store and keeps it for the test to look at."""

    def __init__(self, make: Callable[[Path | None], Store]) -> None:
        self._make = make
        self.store: Store | None = None

    def __call__(self, path: Path | None) -> Store:
        self.store = self._make(path)
        return self.store

    @property
    def held(self) -> HeldStore:
        assert isinstance(self.store, HeldStore)
        return self.store


@pytest.fixture
async def thread() -> AsyncIterator[StoreThread]:
    async with StoreThread(None, write_behind_seconds=NEVER_SECONDS) as opened:
        yield opened


async def reached(event: threading.Event) -> None:
    """Wait for the store's thread without holding up the loop."""
    assert await asyncio.to_thread(event.wait, 30)


async def test_it_is_the_outbox_that_the_publisher_asks_for(thread: StoreThread) -> None:
    outbox: Outbox = thread
    event = make_event("a")
    await thread.save_event(event, [make_message(event)])
    (row,) = await outbox.outbox_head(10)
    assert (row.topic, row.payload) == ("edgewatch/front/events", b"a/1")
    await outbox.outbox_delete([row.row_id])
    assert await outbox.outbox_head(10) == []
    assert await thread.outbox_size() == 0


async def test_everything_runs_in_one_thread_of_its_own_which_ends_with_close() -> None:
    opened = Opened(HeldStore)
    thread = StoreThread(None, open_store=opened)
    await thread.start()
    opened.held.let_go.set()
    thread.save_verdict(make_verdict(5.0, 0.1))
    await thread.close()
    assert len(opened.held.threads) == 1
    (name,) = opened.held.threads
    assert name.startswith("edgewatch-store")
    assert name not in {one.name for one in threading.enumerate()}


async def test_first_wait_looks_for_what_an_earlier_run_left(thread: StoreThread) -> None:
    await thread.outbox_wait()


async def test_wait_sleeps_once_the_outbox_was_found_empty_until_a_message_comes(
    thread: StoreThread,
) -> None:
    await thread.outbox_head(10)
    waiting = asyncio.create_task(thread.outbox_wait())
    await thread.outbox_size()
    assert not waiting.done()
    event = make_event("a")
    await thread.save_event(event, [make_message(event)])
    await waiting


async def test_wait_returns_at_once_while_messages_are_left(thread: StoreThread) -> None:
    event = make_event("a")
    await thread.save_event(event, [make_message(event)])
    await thread.outbox_head(10)
    await thread.outbox_wait()


async def test_message_that_comes_while_the_outbox_is_looked_at_is_not_overslept(
    thread: StoreThread,
) -> None:
    event = make_event("a")
    looking = asyncio.create_task(thread.outbox_head(10))
    saving = asyncio.create_task(thread.save_event(event, [make_message(event)]))
    assert await looking == []
    await saving
    await thread.outbox_wait()


async def test_saving_whose_caller_is_cancelled_is_done_and_wakes_the_publisher() -> None:
    opened = Opened(HeldStore)
    async with StoreThread(None, open_store=opened) as thread:
        await thread.outbox_head(10)
        thread.save_verdict(make_verdict(5.0, 0.1))
        reading = asyncio.create_task(thread.verdicts(FRONT, 0.0, 10.0))
        await reached(opened.held.reached)
        event = make_event("a")
        saving = asyncio.create_task(thread.save_event(event, [make_message(event)]))
        await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
        opened.held.let_go.set()
        await thread.outbox_wait()
        assert len(await thread.outbox_head(10)) == 1
        assert len(await reading) == 1


async def test_verdicts_are_written_by_themselves_after_a_while() -> None:
    opened = Opened(HeldStore)
    async with StoreThread(None, write_behind_seconds=0.001, open_store=opened) as thread:
        opened.held.let_go.set()
        thread.save_verdict(make_verdict(5.0, 0.1))
        await reached(opened.held.reached)


async def test_reading_sees_verdicts_that_were_only_handed_over(thread: StoreThread) -> None:
    thread.save_verdict(make_verdict(5.0, 0.1))
    assert await thread.verdicts(FRONT, 0.0, 10.0) == [make_verdict(5.0, 0.1)]
    thread.save_verdict(make_verdict(7.0, 0.1))
    assert await thread.cameras() == [FRONT]


async def test_closing_writes_what_was_handed_over(tmp_path: Path) -> None:
    path = tmp_path / "edgewatch.db"
    async with StoreThread(path, write_behind_seconds=NEVER_SECONDS) as thread:
        thread.save_verdict(make_verdict(5.0, 0.1))
    with Store.open_readonly(path) as reader:
        assert reader.verdicts(FRONT, 0.0, 10.0) == [make_verdict(5.0, 0.1)]


async def test_slow_disk_holds_up_no_verdict_and_what_is_too_much_is_counted() -> None:
    opened = Opened(HeldStore)
    async with StoreThread(
        None, write_behind_seconds=NEVER_SECONDS, verdicts_waiting=3, open_store=opened
    ) as thread:
        for end_seconds in range(5, 10):
            thread.save_verdict(make_verdict(float(end_seconds), 0.1))
        assert thread.health.verdicts_dropped == 2
        opened.held.let_go.set()
        assert len(await thread.verdicts(FRONT, 0.0, 100.0)) == 3


async def test_verdicts_lost_to_a_bug_are_counted_and_the_store_goes_on() -> None:
    async with StoreThread(
        None, write_behind_seconds=NEVER_SECONDS, open_store=BrokenStore
    ) as thread:
        thread.save_verdict(make_verdict(5.0, 0.1))
        assert await thread.verdicts(FRONT, 0.0, 100.0) == []
        assert thread.health.verdicts_dropped == 1


async def test_the_rest_of_the_store_answers_as_it_does_itself(thread: StoreThread) -> None:
    await thread.save_coverage([Interval(FRONT, 0, 1_000, "judged")])
    assert await thread.coverage(FRONT, 0, 1_000) == [Interval(FRONT, 0, 1_000, "judged")]
    await thread.set_setting("front/threshold", "0.4")
    assert await thread.setting("front/threshold") == "0.4"
    await thread.save_event(make_event("a", 1.0, end_seconds=2.0))
    await thread.save_event(make_event("b", 3.0))
    assert [event.event_id for event in await thread.events(FRONT)] == ["a", "b"]
    assert [event.event_id for event in await thread.open_events()] == ["b"]
    assert await thread.event("a") == make_event("a", 1.0, end_seconds=2.0)


async def test_pruning_goes_on_until_nothing_old_is_left(thread: StoreThread) -> None:
    for number in range(6_000):
        thread.save_verdict(make_verdict(number / 10, 0.1))
    await thread.prune(records_before_seconds=1e9, events_before_seconds=0.0)
    assert await thread.verdicts(FRONT, 0.0, 1e9) == []


async def test_database_that_cannot_be_opened_is_an_error_of_start(tmp_path: Path) -> None:
    path = tmp_path / "edgewatch.db"
    path.write_bytes(b"x" * 8192)
    thread = StoreThread(path)
    with pytest.raises(StoreError, match=r"edgewatch\.db"):
        await thread.start()
    await thread.close()


async def test_calls_outside_its_life_are_errors() -> None:
    thread = StoreThread(None)
    with pytest.raises(StoreError, match="not open"):
        await thread.open_events()
    async with thread:
        pass
    with pytest.raises(StoreError, match="not open"):
        thread.save_verdict(make_verdict(5.0, 0.1))
    await thread.close()
