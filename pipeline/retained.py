"""The board of retained messages: the newest of each topic, and what is still to be told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Tell = Callable[[str, bytes, int], Awaitable[None]]
"""Publishes a topic's payload with a QoS and returns when the broker has it; empty: forget it."""


@dataclass(frozen=True, slots=True)
class _Kept:
    payload: bytes
    """Empty: the broker is to forget the topic."""
    qos: int


class RetainedBoard:
    """What a broker should keep for us, told anew to each connection.

    With `lasting` False nothing is kept beyond its telling (replay retains nothing). Belongs to
    the event loop.
    """

    def __init__(self, *, lasting: bool) -> None:
        self.changed = asyncio.Event()
        """Set when there may be something to tell."""
        self.topics_changed = asyncio.Event()
        """Set when `topics` may have changed."""
        self._lasting = lasting
        self._kept: dict[str, _Kept] = {}
        self._stale: dict[str, None] = {}
        """Topics whose message this connection has not been told, oldest change first."""
        self._lock = asyncio.Lock()

    @property
    def topics(self) -> frozenset[str]:
        """What the broker keeps or will keep, and what it has still to forget."""
        return frozenset(self._kept)

    def put(self, topic: str, payload: bytes, *, qos: int) -> None:
        """Have the broker keep this, in place of what was there."""
        self._keep(topic, _Kept(payload, qos))

    def take_down(self, topic: str) -> None:
        """Have the broker forget a topic, if need be once it is back."""
        if self._lasting:
            self._keep(topic, _Kept(b"", 1))
        else:
            self._kept.pop(topic, None)
            self._stale.pop(topic, None)

    def tell_all(self) -> None:
        """Tell everything anew: this is another connection."""
        self._stale = dict.fromkeys(self._kept)
        self.changed.set()

    def tell_again(self, below: str) -> None:
        """Tell anew what is kept on topics that begin with this."""
        for topic in self._kept:
            if topic.startswith(below):
                self._stale.setdefault(topic)
        self.changed.set()

    async def flush(self, tell: Tell) -> None:
        """Tell what has not been told; one message after the other, so that none waits for many."""
        async with self._lock:
            while self._stale:
                topic = next(iter(self._stale))
                del self._stale[topic]
                kept = self._kept[topic]
                await tell(topic, kept.payload, kept.qos)
                told_for_good = not (kept.payload and self._lasting)
                if told_for_good and self._kept.get(topic) is kept:
                    del self._kept[topic]
                    self.topics_changed.set()

    def _keep(self, topic: str, kept: _Kept) -> None:
        if topic not in self._kept:
            self.topics_changed.set()
        self._kept[topic] = kept
        self._stale.pop(topic, None)
        self._stale[topic] = None
        self.changed.set()
