"""The last seconds of a camera, still compressed: what evidence of an event is cut from."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, islice
from typing import NamedTuple

_SAME_STAMP_SECONDS = 1e-3
_STEPPED_SECONDS = 2.0
"""An older packet that lies later than a newer one by more: the clock was set in between."""
_AT_RISK = 0.7
"""Of the ring's seconds or bytes; what lies further back may soon be let go."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What a decoder must know of a connection's packets."""

    codec: str
    """FFmpeg's name: "h264", "hevc", "mjpeg"."""
    width: int
    """Coded width in pixels, as declared; 0 if unknown."""
    height: int
    extradata: bytes
    """Global headers, with start codes (Annex B) or as an mp4's box; often empty."""
    time_base: Fraction
    """Seconds a tick of the packets' stamps."""


@dataclass(frozen=True, slots=True, eq=False)
class KeptPacket:
    """One compressed picture."""

    number: int
    """Counts up over all connections of a camera, without gaps."""
    connection: int
    coding: Coding
    data: bytes
    key: bool
    """Decoding can begin here."""
    stamp: int
    """When it is shown, in ticks of the connection's own count."""
    duration: int
    """In ticks; 0 if unknown."""
    arrived_seconds: float
    """Monotonic clock."""

    @property
    def stamp_seconds(self) -> float:
        """When it is shown, in seconds of the connection's own count."""
        base = self.coding.time_base
        return self.stamp * base.numerator / base.denominator


class Placed(NamedTuple):
    """A packet and the Unix time, on the camera's clock, at which its picture was seen."""

    packet: KeptPacket
    time_seconds: float


@dataclass(slots=True)
class _Tie:
    """From a packet on, how the connection's count stands to Unix time."""

    from_number: int
    offset_seconds: float


@dataclass(slots=True)
class _Group:
    """A key frame and what follows it."""

    began_seconds: float
    packets: list[KeptPacket] = field(default_factory=list)
    size_bytes: int = 0


class PreRoll:
    """Keeps the packets of the last `seconds`, in whole groups of pictures and decoding order.

    One thread adds, any thread may read; one ring serves a camera for good, over all connections.
    A group is let go once the next one reaches back far enough, or when all take more than
    `most_bytes`; then what is kept is shorter than asked for (`kept_seconds`). A single group
    larger than that is dropped: it could not be cut shorter.
    """

    def __init__(self, *, seconds: float, most_bytes: int) -> None:
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._groups: deque[_Group] = deque()
        self._size_bytes = 0
        self._last_seconds = 0.0
        self._next_number = 0
        self._connection = 0
        self._coding: Coding | None = None
        self._ties: dict[int, list[_Tie]] = {}
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Bytes of the packets kept."""
        with self._lock:
            return self._size_bytes

    @property
    def kept_seconds(self) -> float:
        """How far back the packets kept reach."""
        with self._lock:
            return self._last_seconds - self._groups[0].began_seconds if self._groups else 0.0

    @property
    def next_number(self) -> int:
        """The number that the next packet will get."""
        with self._lock:
            return self._next_number

    @property
    def ties(self) -> int:
        """How many stretches of the count are told apart in the present connection."""
        with self._lock:
            return len(self._ties.get(self._connection, ()))

    def reach(self, seconds: float) -> None:
        """Keep the last `seconds` from now on."""
        with self._lock:
            self._seconds = seconds

    def begin(self, coding: Coding) -> None:
        """Say that a connection was opened: packets follow that go on from no other ones."""
        with self._lock:
            self._connection += 1
            self._coding = coding
            kept = {group.packets[0].connection for group in self._groups}
            self._ties = {one: ties for one, ties in self._ties.items() if one in kept}

    def add(
        self, data: bytes, *, key: bool, stamp: int, duration: int = 0, now_seconds: float
    ) -> None:
        """Take a packet that arrived at `now_seconds` (monotonic); `key`: decoding can begin here.

        What comes before the first key frame of a connection is not kept.
        """
        with self._lock:
            if self._coding is None:
                raise RuntimeError("packets come only after their connection began")
            self._last_seconds = now_seconds
            if key:
                self._groups.append(_Group(now_seconds))
            if not self._groups or not (key or self._goes_on()):
                return
            group = self._groups[-1]
            group.packets.append(
                KeptPacket(
                    self._next_number,
                    self._connection,
                    self._coding,
                    data,
                    key,
                    stamp,
                    duration,
                    now_seconds,
                )
            )
            self._next_number += 1
            group.size_bytes += len(data)
            self._size_bytes += len(data)
            self._let_go(now_seconds)

    def tie(self, stamp_seconds: float, time_seconds: float, *, anew: bool = False) -> None:
        """Say when a picture was seen: Unix time of a stamp in the present connection's count.

        `anew`: its count jumped there, and what came before keeps its place; otherwise all of the
        stretch is moved.
        """
        offset_seconds = time_seconds - stamp_seconds
        with self._lock:
            ties = self._ties.setdefault(self._connection, [])
            if not ties:
                ties.append(_Tie(0, offset_seconds))
            elif anew:
                ties.append(_Tie(self._number_of(stamp_seconds), offset_seconds))
                self._forget_ties(ties)
            else:
                ties[-1].offset_seconds = offset_seconds

    def since(self, number: int, most: int | None = None) -> list[Placed]:
        """Return the packets from `number` on, oldest first, as far as their time is known.

        At most `most` of them, all if that is None.
        """
        with self._lock:
            found: list[Placed] = []
            for packet in islice(self._from(number), most):
                time_seconds = self._time_of(packet)
                if time_seconds is None:
                    if packet.connection == self._connection:
                        break
                    continue  # it ended before any picture of it was seen
                found.append(Placed(packet, time_seconds))
            return found

    def start_for(self, time_seconds: float) -> int | None:
        """Return the number of the last key frame at or before a Unix time; else of the oldest.

        Never looks back behind a moment at which the clock was set back. None: nothing is kept.
        """
        with self._lock:
            best: int | None = None
            later = float("inf")
            for group in reversed(self._groups):
                at_seconds = self._time_of(group.packets[0])
                if at_seconds is None:
                    continue
                if at_seconds > later + _STEPPED_SECONDS:
                    break
                best, later = group.packets[0].number, at_seconds
                if at_seconds <= time_seconds:
                    break
            return best

    def is_at_risk(self, packet: KeptPacket) -> bool:
        """Whether a packet may be let go before long: who wants it must take it now."""
        with self._lock:
            age_seconds = self._last_seconds - packet.arrived_seconds
            return (
                age_seconds > _AT_RISK * self._seconds
                or self._size_bytes > _AT_RISK * self._most_bytes
            )

    def _goes_on(self) -> bool:
        """Whether the newest group is one of the present connection."""
        packets = self._groups[-1].packets
        return bool(packets) and packets[-1].connection == self._connection

    def _from(self, number: int) -> Iterable[KeptPacket]:
        newer: list[list[KeptPacket]] = []
        for group in reversed(self._groups):
            if group.packets[-1].number < number:
                break
            at = bisect_left(group.packets, number, key=lambda one: one.number)
            newer.append(group.packets[at:])
        return chain.from_iterable(reversed(newer))

    def _time_of(self, packet: KeptPacket) -> float | None:
        for tie in reversed(self._ties.get(packet.connection, ())):
            if tie.from_number <= packet.number:
                return packet.stamp_seconds + tie.offset_seconds
        return None

    def _number_of(self, stamp_seconds: float) -> int:
        """Return the number of the newest packet with a stamp; of the very newest if none has."""
        for group in reversed(self._groups):
            for packet in reversed(group.packets):
                if packet.connection != self._connection:
                    return self._next_number
                if abs(packet.stamp_seconds - stamp_seconds) < _SAME_STAMP_SECONDS:
                    return packet.number
        return self._next_number

    def _forget_ties(self, ties: list[_Tie]) -> None:
        """Drop the ties that held for packets of which none is kept: a count may jump for years."""
        oldest = self._groups[0].packets[0].number if self._groups else self._next_number
        while len(ties) > 1 and ties[1].from_number <= oldest:
            del ties[0]

    def _let_go(self, now_seconds: float) -> None:
        groups = self._groups
        while len(groups) > 1 and groups[1].began_seconds <= now_seconds - self._seconds:
            self._size_bytes -= groups.popleft().size_bytes
        while groups and self._size_bytes > self._most_bytes:
            self._size_bytes -= groups.popleft().size_bytes
