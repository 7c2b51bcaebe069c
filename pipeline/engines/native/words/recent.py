"""Keys and values of the latest suspects, so that words go on where their score was read.

While a batch is read, all its clips' keys and values are held (`Language.read` writes them anyway,
so that costs room alone); its scores say which were suspects, and these are copied into room of
their own by whoever launches next, as keys and values belong to that thread's stream.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from edgewatch.pipeline.engines.native.language import KeysValues
from edgewatch.pipeline.engines.native.packing import Packed, Passage
from edgewatch.pipeline.engines.native.passages import Look

SUSPECT_SCORE = 0.3
"""Clips from here on may be asked about: words are sought at a threshold, mostly 0.5, of scores
that a calibration may have moved. Whatever is missed is read again, which costs one forward."""
MOST_BYTES = 256_000_000
"""Four clips of 1062 tokens of a 7B model, at 56 KiB a token: those of one batch that opens
events, as one clip at a time is described."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One clip as it was read."""

    look: Look
    passage: Passage
    memory: KeysValues
    """Of all its tokens, and maybe of others."""
    first_slot: int = 0

    def alone(self) -> Reading:
        """Return it with room of its own."""
        count = self.passage.tokens
        if not self.first_slot and self.memory.slots == count:
            return self
        return Reading(self.look, self.passage, self.memory.part(self.first_slot, count))


class RecentReadings:
    """The latest suspects' readings, within a bound. One thread only, but for `offer`."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        """`most_bytes`: of what is kept; 0 keeps nothing."""
        self.most_bytes = most_bytes
        self._offered: deque[Reading] = deque()
        self._kept: OrderedDict[Look, Reading] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        """Of what is kept, and of batches that are held for a suspect in them."""
        held = [one.memory for one in (*self._kept.values(), *self._offered)]
        return sum(memory.held_bytes for memory in {id(one): one for one in held}.values())

    def offer(self, reading: Reading) -> None:
        """Name a suspect; its batch is held until the next call of another method. Any thread."""
        if self.most_bytes:
            self._offered.append(reading)

    def settle(self) -> None:
        """Keep what was offered, the oldest giving way, and let go of its batches."""
        while self._offered:
            reading = self._offered.popleft()
            self._kept.pop(reading.look, None)
            if reading.passage.tokens * reading.memory.token_bytes > self.most_bytes:
                continue
            kept = self._kept[reading.look] = reading.alone()
            self._kept.move_to_end(kept.look)
            while sum(one.memory.held_bytes for one in self._kept.values()) > self.most_bytes:
                self._kept.popitem(last=False)

    def take(self, look: Look) -> Reading | None:
        """Return a clip's reading and forget it; None if there is none."""
        self.settle()
        return self._kept.pop(look, None)

    def clear(self) -> None:
        """Free all of it."""
        self._offered.clear()
        self._kept.clear()


def readings_of(
    looks: Sequence[Look], passages: Sequence[Passage], packed: Packed, memory: KeysValues
) -> tuple[Reading, ...]:
    """Return the readings of a batch, in its packed order; looks and passages are in it too."""
    firsts = [
        group.first_slot + number * (group.known + group.length)
        for group in packed.groups
        for number in range(group.count)
    ]
    return tuple(
        Reading(look, passage, memory, first)
        for look, passage, first in zip(looks, passages, firsts, strict=True)
    )
