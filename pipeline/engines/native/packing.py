"""A batch as the language model reads it: clips of any length one behind the other. Pure.

Nothing is filled up. Clips of one length stand together, so that attention takes them at once;
where keys and values of a clip's first tokens are known from before, only the rest is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.qwen.positions import Grid, places
from edgewatch.pipeline.engines.qwen.script import Script


@dataclass(frozen=True, slots=True)
class Passage:
    """What is to be read of one clip."""

    script: Script
    grid: Grid
    seconds_per_pair: float
    known: int = 0
    """Tokens of `script.before`, from the first, whose keys and values are known; at least one
    token is left to read."""

    @property
    def length(self) -> int:
        """Tokens to read."""
        return self.tokens - self.known

    @property
    def tokens(self) -> int:
        """All of them, known or not."""
        return len(self.script.before) + self.grid.tokens + len(self.script.after)


@dataclass(frozen=True, slots=True)
class Group:
    """Passages of one length that begin with the same known tokens, side by side."""

    first: int
    """Number of its first passage."""
    count: int
    known: int
    """Tokens known of each."""
    length: int
    """Tokens read of each."""
    first_row: int
    """Where it begins among the rows that are read."""
    first_slot: int
    """Where it begins among the slots of keys and values."""

    @property
    def slots(self) -> int:
        """Of all its passages: known tokens have theirs too."""
        return self.count * (self.known + self.length)


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A batch, laid out. A row is a token that is read; a slot holds a key and a value."""

    order: tuple[int, ...]
    """Which passage, as they were given, stands at each place."""
    tokens: npt.NDArray[np.int64]
    """(rows,): a video's are 0, to be replaced by features."""
    video_rows: npt.NDArray[np.int64]
    """(video tokens,): where features go, passage by passage as they stand here."""
    places: npt.NDArray[np.int64]
    """(3, rows): time, row, column."""
    ends: npt.NDArray[np.int64]
    """(passages,): row of each one's last token, after which the answer comes."""
    next_places: npt.NDArray[np.int64]
    """(passages,): the place of the token after it, the same in all three."""
    slots: npt.NDArray[np.int64]
    """(rows,): the slot of each row."""
    groups: tuple[Group, ...]

    @property
    def slot_count(self) -> int:
        """Slots of the whole batch."""
        return sum(group.slots for group in self.groups)


def order_of(passages: Sequence[Passage]) -> list[int]:
    """Return which passage stands at each place of a batch: those that are alike side by side."""
    return sorted(range(len(passages)), key=lambda index: (_alike(passages[index]), index))


def pack(passages: Sequence[Passage], *, tokens_per_second: float) -> Packed:
    """Lay passages out. Raises ValueError if all of one is known, or more than stands in front."""
    for one in passages:
        if not 0 <= one.known <= len(one.script.before) or one.length < 1:
            raise ValueError(f"{one.known} tokens of {len(one.script.before)} cannot be known")
    order = order_of(passages)
    ordered = [passages[index] for index in order]
    groups = _groups(ordered)
    where = [_places(one, tokens_per_second) for one in ordered]
    starts = [0, *accumulate(one.length for one in ordered)]
    return Packed(
        order=tuple(order),
        tokens=np.concatenate([_tokens(one) for one in ordered]),
        video_rows=np.concatenate(
            [
                start + len(one.script.before) - one.known + np.arange(one.grid.tokens)
                for start, one in zip(starts[:-1], ordered, strict=True)
            ]
        ),
        places=np.concatenate(
            [each[:, one.known :] for each, one in zip(where, ordered, strict=True)], axis=1
        ),
        ends=np.array(starts[1:], np.int64) - 1,
        next_places=np.array([int(each.max()) + 1 for each in where], np.int64),
        slots=np.concatenate([_slots(group) for group in groups]),
        groups=groups,
    )


def _alike(one: Passage) -> tuple[int, tuple[int, ...], int]:
    """Return what passages of a group have in common: what is known, and how much is read."""
    return one.known, one.script.before[: one.known], one.length


def _tokens(one: Passage) -> npt.NDArray[np.int64]:
    script = one.script
    return np.array((*script.before[one.known :], *[0] * one.grid.tokens, *script.after), np.int64)


def _places(one: Passage, tokens_per_second: float) -> npt.NDArray[np.int64]:
    return places(
        len(one.script.before),
        one.grid,
        len(one.script.after),
        seconds_per_pair=one.seconds_per_pair,
        tokens_per_second=tokens_per_second,
    )


def _groups(ordered: Sequence[Passage]) -> tuple[Group, ...]:
    groups: list[Group] = []
    first = row = slot = 0
    for (known, _, length), same in groupby(ordered, key=_alike):
        group = Group(first, len(list(same)), known, length, row, slot)
        groups.append(group)
        first += group.count
        row += group.count * length
        slot += group.slots
    return tuple(groups)


def _slots(group: Group) -> npt.NDArray[np.int64]:
    """Return the slots of a group's rows: a passage's known tokens stand before those it reads."""
    within = np.arange(group.slots).reshape(group.count, group.known + group.length)
    return group.first_slot + within[:, group.known :].reshape(-1)
