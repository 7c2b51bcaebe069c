"""Which packets of a stream must be decoded so that the wanted pictures come out exactly.

Works on packets in decoding order, before any is decoded. A group begins at each clean point;
a wanted picture needs the pictures of its group that others refer to, up to itself. What follows
the last wanted picture of a group is never decoded.

Pictures are asked for in order of presentation. That order is known for a picture once a packet
with a decoding time at or after its presentation time has come: all later ones are shown later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, TypeVar

from edgewatch.pipeline.bitstream import PacketFacts

P = TypeVar("P")
T = TypeVar("T")

MOST_HELD_PACKETS = 256
MOST_HELD_BYTES = 8_000_000
"""More is not held back: what others refer to is decoded although perhaps nobody needs it."""

_DEEPEST_REORDERING = 32
"""Twice what H.264 and H.265 allow: a decoding time has long been due."""


@dataclass(frozen=True, slots=True)
class Timed(Generic[P]):
    """A packet with its times, in the stream's own unit."""

    packet: P
    pts: int | None
    """Presentation time."""
    dts: int | None
    """Decoding time."""
    size_bytes: int
    facts: PacketFacts
    hidden: bool = False
    """Decoded, but never shown: before the begin that an edit list sets."""


@dataclass(slots=True)
class Batch(Generic[P, T]):
    """Packets of one group that are to be decoded, in order, by the decoder of their group."""

    packets: list[P] = field(default_factory=list)
    wanted: dict[int | None, T] | None = field(default_factory=dict)
    """By presentation time, what to do with a picture; None: every picture is to be asked for."""
    begins_group: bool = False
    """The decoder begins anew: nothing before this batch is referred to."""


@dataclass(slots=True)
class _Held(Generic[P, T]):
    timed: Timed[P]
    asked: bool = False
    ticket: T | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is, or may still be, to be decoded."""
        return self.timed.facts.needed or not self.asked or self.ticket is not None


class Selection(Generic[P, T]):
    """Chooses the packets of one stream.

    `choose` is called once for each picture with its presentation time, in order; what it returns
    is the ticket of a wanted picture, None for one that is not wanted.
    """

    def __init__(self, choose: Callable[[int | None], T | None], *, reordered: bool = True) -> None:
        """`reordered`: False for codecs whose pictures are coded in order of presentation."""
        self._choose = choose
        self._reordered = reordered
        self._held: list[_Held[P, T]] = []
        self._is_whole = reordered
        self._begins_group = True
        self._last_asked: int | None = None
        self._parameters = b""
        self._obstacle = ""
        self.parameters_vary = False
        """Parameter sets were replaced within the stream: only a decoder that saw all of it since
        has the right ones."""

    @property
    def is_whole(self) -> bool:
        """Whether every picture of the current group is decoded."""
        return self._is_whole

    @property
    def obstacle(self) -> str:
        """Why the current group is decoded in full; empty if it is not."""
        return self._obstacle if self._is_whole else ""

    def add(self, timed: Timed[P], *, obstacle: str = "", hurry: bool = False) -> list[Batch[P, T]]:
        """Take the next packet; return what is to be decoded by now.

        `obstacle`: why no picture of the stream may be left out. `hurry`: hold nothing back that
        will be decoded anyway, as a wanted picture is still inside the decoder.
        """
        ready: list[Batch[P, T]] = []
        if timed.facts.clean:
            ready += self.end()
            self._begin_group(obstacle)
        elif self._is_whole and not self._obstacle:
            self._obstacle = "it began between key frames"
        self._note_parameters(timed.facts)
        if not self._is_whole and (trouble := obstacle or self._trouble(timed)):
            ready += self._give_up(trouble)
        if self._is_whole:
            return [*ready, self._batch([timed.packet], None)]
        self._held.append(_Held(timed))
        if timed.dts is not None or not self._reordered:
            self._ask(timed.dts)
        return ready + self._due(hurry)

    def end(self) -> list[Batch[P, T]]:
        """Close the group: whatever is wanted of it is due."""
        self._ask(None)
        ready = self._due(hurry=False)
        self._held.clear()
        return ready

    def choose_decoded(self, pts: int | None) -> T | None:
        """Ask for a picture that came out of the decoder, in a group that is decoded in full."""
        if pts is not None and self._last_asked is not None and pts <= self._last_asked:
            return None  # asked for before the group was given up
        return self._choose(pts)

    def _begin_group(self, obstacle: str) -> None:
        # A stream decoded in full throughout is one run of the decoder, as anywhere else
        self._begins_group = not (self._is_whole and obstacle)
        self._is_whole = bool(obstacle)
        self._obstacle = obstacle
        self._last_asked = None

    def _note_parameters(self, facts: PacketFacts) -> None:
        if facts.parameters and facts.parameters != self._parameters:
            self.parameters_vary = bool(self._parameters)
            self._parameters = facts.parameters

    def _trouble(self, timed: Timed[P]) -> str:
        if not self._reordered:
            return ""
        if timed.pts is None or (timed.dts is None and len(self._held) >= _DEEPEST_REORDERING):
            return "its packets have no times"
        if any(held.timed.pts == timed.pts for held in self._held) or (
            self._last_asked is not None and timed.pts <= self._last_asked and not timed.hidden
        ):
            return "its times are out of order"
        return ""

    def _give_up(self, reason: str) -> list[Batch[P, T]]:
        """Decode the rest of the group in full: first all that was held back."""
        self._ask(None)
        held, self._held = self._held, []
        self._is_whole, self._obstacle = True, reason
        return [self._batch_of(held)] if held else []

    def _ask(self, dts: int | None) -> None:
        """Ask for the pictures whose turn is known by now; all, if `dts` is None."""
        waiting = [one for one in self._held if not one.asked]
        if not self._reordered:
            due = waiting
        elif dts is None:
            due = sorted(waiting, key=_shown_at)
        else:
            due = sorted((one for one in waiting if _shown_at(one) <= dts), key=_shown_at)
        for one in due:
            one.asked = True
            if not one.timed.hidden:
                one.ticket = self._choose(one.timed.pts)
                self._last_asked = one.timed.pts

    def _due(self, hurry: bool) -> list[Batch[P, T]]:
        """Take what is to be decoded: up to the last wanted picture, all before it decided upon."""
        self._held = [one for one in self._held if one.is_open]
        decided = list(takewhile(lambda one: one.asked, self._held))
        if not (hurry or self._is_too_much()):
            last = max((at for at, one in enumerate(decided) if one.ticket is not None), default=-1)
            decided = decided[: last + 1]
        if not decided:
            return []
        del self._held[: len(decided)]
        return [self._batch_of(decided)]

    def _is_too_much(self) -> bool:
        held_bytes = sum(one.timed.size_bytes for one in self._held)
        return len(self._held) >= MOST_HELD_PACKETS or held_bytes >= MOST_HELD_BYTES

    def _batch_of(self, held: Sequence[_Held[P, T]]) -> Batch[P, T]:
        wanted = {one.timed.pts: one.ticket for one in held if one.ticket is not None}
        return self._batch([one.timed.packet for one in held], wanted)

    def _batch(self, packets: list[P], wanted: dict[int | None, T] | None) -> Batch[P, T]:
        begins, self._begins_group = self._begins_group, False
        return Batch(packets, wanted, begins_group=begins)


def _shown_at(one: _Held[P, T]) -> int:
    return one.timed.pts if one.timed.pts is not None else 0
