"""Ways in which a recording comes to harm, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(seed: int, originals: Sequence[bytes]) -> tuple[int, bytes]:
    """Return which original was taken and its damaged copy; the same seed gives the same."""
    rng = random.Random(seed)
    chosen = rng.randrange(len(originals))
    data = bytearray(originals[chosen])
    for _ in range(rng.choice((1, 1, 2, 4))):
        rng.choice(_MUTATIONS)(rng, data, originals)
    return chosen, bytes(data)


def _flip_bits(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 3, 30, 300))):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _flip_in_head(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    for _ in range(rng.choice((1, 4, 16))):
        if data:
            data[rng.randrange(min(len(data), 600))] ^= 1 << rng.randrange(8)


def _truncate(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _cut_out(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 4, 188, 2000))]


def _blank(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    start = rng.randrange(len(data) + 1)
    length = min(rng.choice((4, 64, 1500)), len(data) - start)
    data[start : start + length] = bytes([rng.choice((0, 255))]) * length


def _splice(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    other = rng.choice(originals)
    start = rng.randrange(len(other) + 1)
    piece = other[start : start + rng.choice((16, 188, 3000))]
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice((0, len(piece)))] = piece


def _extreme_number(rng: random.Random, data: bytearray, originals: Sequence[bytes]) -> None:
    """Overwrite an aligned field, as sizes, counts and times are."""
    if len(data) >= 8:
        at = rng.randrange(len(data) // 4 - 1) * 4
        number = rng.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000))
        data[at : at + 4] = number.to_bytes(4, rng.choice(("big", "little")))


_MUTATIONS: Sequence[Mutation] = (
    *(_flip_bits, _flip_in_head, _truncate, _cut_out, _blank, _splice, _extreme_number),
)
