from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from edgewatch.pipeline.urgent_thread import UrgentThread


@pytest.fixture
def thread() -> Iterator[UrgentThread]:
    made = UrgentThread("test")
    yield made
    made.shutdown()


def test_urgent_work_overtakes_what_waits_and_each_kind_keeps_its_order(
    thread: UrgentThread,
) -> None:
    go = threading.Event()
    done: list[str] = []
    busy = thread.submit(go.wait)
    ordinary = [thread.submit(done.append, f"read {n}") for n in range(3)]
    urgent = [thread.urgent.submit(done.append, f"alert {n}") for n in range(3)]
    go.set()
    assert busy.result(5.0)
    for future in (*ordinary, *urgent):
        future.result(5.0)
    assert done == ["alert 0", "alert 1", "alert 2", "read 0", "read 1", "read 2"]


def test_results_and_errors_reach_who_asked(thread: UrgentThread) -> None:
    assert thread.submit(max, 1, 2).result(5.0) == 2
    assert isinstance(thread.urgent.submit(int, "x").exception(5.0), ValueError)
    assert thread.submit(max, 3, 2).result(5.0) == 3


def test_cancelled_before_its_turn_it_does_not_run(thread: UrgentThread) -> None:
    go = threading.Event()
    done: list[str] = []
    thread.submit(go.wait)
    given_up = thread.submit(done.append, "given up")
    assert given_up.cancel()
    go.set()
    thread.submit(done.append, "next").result(5.0)
    assert done == ["next"]


def test_end_waits_for_what_was_submitted_and_takes_no_more() -> None:
    thread = UrgentThread("test")
    done: list[str] = []
    thread.submit(done.append, "last")
    thread.shutdown()
    assert done == ["last"]
    with pytest.raises(RuntimeError):
        thread.submit(done.append, "late")
    with pytest.raises(RuntimeError):
        thread.urgent.submit(done.append, "late")
    thread.shutdown()
