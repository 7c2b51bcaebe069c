"""The last seconds of a stream, still compressed: what evidence of an incident is cut from."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")


@dataclass(slots=True)
class _Group(Generic[P]):
    """A key frame and what follows it."""

    began_seconds: float
    packets: list[P] = field(default_factory=list)
    size_bytes: int = 0


class PreRoll(Generic[P]):
    """Keeps the packets of the last `seconds`, in whole groups of pictures and decoding order.

    One thread adds, any thread may copy. A group is let go once the next one reaches back far
    enough, or when all take more than `most_bytes`; then what is kept is shorter than asked for
    (`kept_seconds`). A single group larger than that is dropped: it could not be cut shorter.
    """

    def __init__(self, *, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._groups: deque[_Group[P]] = deque()
        self._last_seconds = 0.0
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Bytes of the packets kept."""
        with self._lock:
            return sum(group.size_bytes for group in self._groups)

    @property
    def kept_seconds(self) -> float:
        """How far back the packets kept reach."""
        with self._lock:
            return self._last_seconds - self._groups[0].began_seconds if self._groups else 0.0

    def add(self, packet: P, *, key: bool, size_bytes: int, now_seconds: float) -> None:
        """Take a packet that arrived at `now_seconds` (monotonic); `key`: decoding can begin here.

        What comes before the first key frame is not kept.
        """
        with self._lock:
            self._last_seconds = now_seconds
            if key:
                self._groups.append(_Group(now_seconds))
            if not self._groups:
                return
            group = self._groups[-1]
            group.packets.append(packet)
            group.size_bytes += size_bytes
            self._let_go(now_seconds)

    def packets(self) -> list[P]:
        """Return the packets kept, oldest first; the first begins a group."""
        with self._lock:
            return [packet for group in self._groups for packet in group.packets]

    def clear(self) -> None:
        """Let go of everything: the stream broke off, and what follows has other parameters."""
        with self._lock:
            self._groups.clear()

    def _let_go(self, now_seconds: float) -> None:
        groups = self._groups
        while len(groups) > 1 and groups[1].began_seconds <= now_seconds - self._seconds:
            groups.popleft()
        while groups and sum(group.size_bytes for group in groups) > self._most_bytes:
            groups.popleft()
