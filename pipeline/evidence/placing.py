"""Where pictures lie in a video: its own time from 0 on, over reconnects and jumps. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from edgewatch.pipeline.preroll import KeptPacket

MOST_DEPTH = 16
"""Pictures by which decoding may run ahead of showing; both standards allow no more."""
LONGEST_PAUSE_SECONDS = 120.0
"""A longer hole in a video is made so short: nobody would sit through it."""
_BACKWARD_SECONDS = 2.0
_RETIED_SECONDS = 2.0
_CLOCK_SET_SECONDS = 5.0
_USUAL_STEP_SECONDS = 0.04


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a video in which its time and the camera's run alike."""

    at_seconds: float
    """Where it begins in the video."""
    start_seconds: float
    """Unix time, on the camera's clock, of what is seen there."""
    end_seconds: float
    """Unix time at which its last picture was seen."""

    def where(self, time_seconds: float) -> float | None:
        """Return where in the video a Unix time lies; None if not in this part."""
        if self.start_seconds - 1e-3 <= time_seconds <= self.end_seconds + 1e-3:
            return self.at_seconds + time_seconds - self.start_seconds
        return None


class Placing:
    """Gives packets their place in a video, in ticks of the first one's time base.

    Within a connection the stream's own count holds, exactly; where it jumps, and between
    connections, the camera's time does, so that holes stay as long as they were.
    """

    def __init__(self) -> None:
        self._base: Fraction | None = None
        self._shift = 0
        self._stretches: list[Stretch] = []
        self._last: tuple[KeptPacket, float] | None = None
        self._end = -1

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """What of the camera's time lies where in the video."""
        return tuple(self._stretches)

    @property
    def seconds(self) -> float:
        """Length of the video so far, up to the last picture placed."""
        return 0.0 if self._end < 0 else self._seconds_of(self._end)

    @property
    def start_seconds(self) -> float | None:
        """Unix time at which the video begins."""
        return self._stretches[0].start_seconds if self._stretches else None

    def place(self, packet: KeptPacket, time_seconds: float) -> int:
        """Return a packet's tick; negative for a picture that is shown before the first one."""
        base = packet.coding.time_base
        if self._base is None:
            self._base, self._shift = base, -packet.stamp
            self._begin(0, time_seconds)
        elif self._last is not None and self._jumps(packet):
            at = self._end + max(1, round(self._pause_seconds(packet, time_seconds) / base))
            self._shift = at - packet.stamp
            self._begin(at, time_seconds)
        tick = packet.stamp + self._shift
        if tick >= self._end:
            self._reach(tick, time_seconds)
            self._end = tick
            self._last = packet, time_seconds
        return tick

    def _jumps(self, packet: KeptPacket) -> bool:
        assert self._last is not None
        before = self._last[0]
        step_seconds = packet.stamp_seconds - before.stamp_seconds
        return (
            packet.connection != before.connection
            or step_seconds < -_BACKWARD_SECONDS
            or step_seconds > LONGEST_PAUSE_SECONDS
        )

    def _pause_seconds(self, packet: KeptPacket, time_seconds: float) -> float:
        """Return how long nothing was seen: by the camera's clock unless that was set meanwhile."""
        assert self._last is not None
        before, before_seconds = self._last
        arrived_seconds = packet.arrived_seconds - before.arrived_seconds
        pause_seconds = time_seconds - before_seconds
        if abs(pause_seconds - arrived_seconds) > _CLOCK_SET_SECONDS or pause_seconds <= 0:
            pause_seconds = arrived_seconds
        return min(LONGEST_PAUSE_SECONDS, max(_USUAL_STEP_SECONDS, pause_seconds))

    def _seconds_of(self, tick: int) -> float:
        # Not float(tick * base): a Fraction a packet costs more than writing it
        assert self._base is not None
        return tick * self._base.numerator / self._base.denominator

    def _begin(self, tick: int, time_seconds: float) -> None:
        self._stretches.append(Stretch(self._seconds_of(tick), time_seconds, time_seconds))

    def _reach(self, tick: int, time_seconds: float) -> None:
        """Let the last stretch reach to a picture, by the newest word on when that was seen."""
        last, at_seconds = self._stretches[-1], self._seconds_of(tick)
        start_seconds = time_seconds - (at_seconds - last.at_seconds)
        if abs(start_seconds - last.start_seconds) > _RETIED_SECONDS:
            self._begin(tick, time_seconds)  # the camera's clock was tied anew, its count goes on
            return
        self._stretches[-1] = Stretch(last.at_seconds, start_seconds, time_seconds)


def where(stretches: Iterable[Stretch], time_seconds: float) -> float | None:
    """Return where in a video a Unix time lies; None if it is not in it."""
    for stretch in stretches:
        if (at := stretch.where(time_seconds)) is not None:
            return at
    return None


class DecodeOrder:
    """Makes the decoding time stamps of packets that come in decoding order.

    A file needs them, growing and none later than the showing. Streams often have none.
    """

    def __init__(self, depth: int) -> None:
        """`depth`: by how many pictures showing lags behind decoding; see `depth_of`."""
        self._depth = min(MOST_DEPTH, depth)
        self._waiting: list[int] = []
        self._last: int | None = None
        self._first: int | None = None
        self._count = 0

    def stamps(self, shown: int) -> tuple[int, int]:
        """Return (decoding, showing) ticks of the next packet.

        The showing is put off where it would come before the decoding: a stream out of order.
        """
        heapq.heappush(self._waiting, shown)
        if self._first is None:
            self._first = shown
        if self._count < self._depth:
            decoded = self._first - (self._depth - self._count)
        else:
            decoded = heapq.heappop(self._waiting)
        self._count += 1
        if self._last is not None:
            decoded = max(decoded, self._last + 1)
        self._last = decoded
        return decoded, max(shown, decoded)


def depth_of(shown: Iterable[int]) -> int:
    """Return how many pictures that are shown later come before one, at most."""
    deepest, later = 0, list[int]()
    for tick in shown:
        later = [one for one in later if one > tick]
        deepest = max(deepest, len(later))
        later = [*later, tick][-MOST_DEPTH:]
    return min(MOST_DEPTH, deepest)
