"""A bounded hand-over from one producer thread to the event loop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

WhenFull = Literal["drop_oldest", "wait"]

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Holds at most `capacity` items; what happens to one more is said when it is made.

    `drop_oldest` (live): the newest item matters; the oldest is handed to `on_drop`.
    `wait` (replay): the producer waits until there is room, so nothing is lost.

    `on_change` and `on_drop` are called on the producer's thread, outside the lock, after an item
    came or the mailbox closed; they must be quick and thread-safe (`loop.call_soon_threadsafe`
    of something).
    """

    def __init__(
        self,
        *,
        capacity: int,
        when_full: WhenFull,
        on_change: Callable[[], None],
        on_drop: Callable[[T], None],
    ) -> None:
        if capacity < 1:
            raise ValueError("a mailbox holds at least one item")
        self._capacity = capacity
        self._when_full = when_full
        self._on_change = on_change
        self._on_drop = on_drop
        self._items: deque[T] = deque()
        self._room = threading.Condition()
        self._closed = False
        self.tap: Callable[[T], None] | None = None
        """Told of each item once it is in, on the producer's thread; must be quick."""

    def offer(self, item: T) -> bool:
        """Hand over an item; False if the mailbox is closed and the item was not taken.

        Any thread but the consumer's. With `wait`, blocks until there is room or it is closed.
        """
        dropped: T | None = None
        with self._room:
            if self._when_full == "wait":
                self._room.wait_for(lambda: self._closed or len(self._items) < self._capacity)
            if self._closed:
                return False
            if len(self._items) == self._capacity:
                dropped = self._items.popleft()
            self._items.append(item)
        if dropped is not None:
            self._on_drop(dropped)
        self._on_change()
        if (tap := self.tap) is not None:
            tap(item)
        return True

    def close(self) -> None:
        """Say that nothing more will come; what is inside can still be taken. Idempotent."""
        with self._room:
            self._closed = True
            self._room.notify_all()
        self._on_change()

    def peek(self) -> T | None:
        """Return the oldest item without taking it, or None."""
        with self._room:
            return self._items[0] if self._items else None

    def take(self) -> T | None:
        """Remove and return the oldest item, or None if there is none now."""
        with self._room:
            if not self._items:
                return None
            item = self._items.popleft()
            self._room.notify()
            return item

    @property
    def finished(self) -> bool:
        """Whether it is closed and empty: nothing will ever come again."""
        with self._room:
            return self._closed and not self._items

    def __len__(self) -> int:
        with self._room:
            return len(self._items)
