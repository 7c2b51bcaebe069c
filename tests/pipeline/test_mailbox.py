"""The bounded hand-over."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewatch.pipeline.mailbox import Mailbox, WhenFull


def mailbox(
    capacity: int = 2, when_full: WhenFull = "drop_oldest", dropped: list[int] | None = None
) -> Mailbox[int]:
    return Mailbox(
        capacity=capacity,
        when_full=when_full,
        on_change=lambda: None,
        on_drop=(dropped if dropped is not None else []).append,
    )


def test_newest_wins_and_each_drop_is_told() -> None:
    dropped: list[int] = []
    box = mailbox(2, dropped=dropped)
    for number in range(5):
        assert box.offer(number)
    assert dropped == [0, 1, 2]
    assert [box.take(), box.take(), box.take()] == [3, 4, None]


def test_closed_mailbox_takes_nothing_and_gives_what_it_has() -> None:
    box = mailbox()
    box.offer(1)
    box.close()
    assert not box.offer(2)
    assert not box.finished
    assert box.take() == 1
    assert box.finished


def test_change_is_told_for_each_item_and_for_the_end() -> None:
    changes: list[str] = []
    box: Mailbox[int] = Mailbox(
        capacity=1,
        when_full="drop_oldest",
        on_change=lambda: changes.append("change"),
        on_drop=lambda item: changes.append("drop"),
    )
    box.offer(1)
    box.offer(2)
    box.close()
    assert changes == ["change", "drop", "change", "change"]


def test_lossless_producer_waits_for_room() -> None:
    box = mailbox(1, "wait")
    box.offer(1)
    entered, done = threading.Event(), threading.Event()

    def produce() -> None:
        entered.set()
        box.offer(2)
        done.set()

    thread = threading.Thread(target=produce)
    thread.start()
    assert entered.wait(5)
    assert len(box) == 1
    assert box.take() == 1
    assert done.wait(5)
    assert box.take() == 2
    thread.join(5)


def test_closing_frees_a_waiting_producer() -> None:
    box = mailbox(1, "wait")
    box.offer(1)
    taken: list[bool] = []
    thread = threading.Thread(target=lambda: taken.append(box.offer(2)))
    thread.start()
    box.close()
    thread.join(5)
    assert taken == [False]


def test_mailbox_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mailbox(0)


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=50))
def test_each_item_is_taken_or_dropped_in_order(capacity: int, moves: list[bool]) -> None:
    """True offers, False takes; nothing is lost, doubled or reordered."""
    dropped: list[int] = []
    box = mailbox(capacity, dropped=dropped)
    taken: list[int] = []
    offered = 0
    for offers in moves:
        if offers:
            box.offer(offered)
            offered += 1
        elif (item := box.take()) is not None:
            taken.append(item)
        assert len(box) <= capacity
    while (item := box.take()) is not None:
        taken.append(item)
    assert sorted(taken + dropped) == list(range(offered))
    assert taken == sorted(taken)
