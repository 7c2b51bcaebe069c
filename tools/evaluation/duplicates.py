"""Near-duplicates: recordings that show the same pictures, told from small grey ones. Pure.

Two recordings of one fixed camera share their background and are witnesses all the same: what is
held against each other is how pictures differ from their recording's mean, unless hardly anything
moves in either. Another encoding, size or brightness of the same footage is recognised, and so is
a part cut out of it; a mirrored or strongly cropped one is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from edgewatch.tools.evaluation.evaluation import NearDuplicate
from edgewatch.tools.evaluation.judgement import Signature

SIDE = 16
"""Pixels of a signature's pictures."""
SIGNATURE_FPS = 4.0
MOST_PICTURES = 256
LEAST_PICTURES = 8
"""Of both recordings at the same time, for any statement."""
SIMILAR = 0.7
"""Correlation from which two recordings are named. Of real footage, different incidents stay below
0.4; the same one smaller, encoded anew and cut off the beat reaches 0.75 to 0.99."""
_STILL = 1.5
"""Grey levels (standard deviation over time) below which a recording hardly moves."""
_STILL_STRICTNESS = 4.0
"""Plain pictures of like places (sky above, road below) correlate by 0.8: the same must by 0.93."""

_Floats = npt.NDArray[np.float32]


def near_duplicates(signatures: Mapping[str, Signature]) -> tuple[NearDuplicate, ...]:
    """Return the pairs that show nearly the same pictures, the most similar first."""
    found = []
    for first, second in _candidates(signatures):
        likeness = similarity(signatures[first], signatures[second])
        if likeness >= SIMILAR:
            found.append(NearDuplicate(first, second, round(likeness, 4)))
    return tuple(sorted(found, key=lambda one: (-one.similarity, one.first, one.second)))


def similarity(first: Signature, second: Signature) -> float:
    """Return how alike two recordings are, 0 to 1, where they fit each other best in time."""
    one, other = _flat(first), _flat(second)
    if min(len(one), len(other)) < LEAST_PICTURES:
        return 0.0
    moving = max(_motion(one), _motion(other)) >= _STILL
    best = max(
        _correlation(one[a : a + length], other[b : b + length], moving=moving)
        for a, b, length in _overlaps(len(one), len(other))
    )
    if not moving:
        best = 1.0 - _STILL_STRICTNESS * (1.0 - best)
    return min(1.0, max(0.0, best))


def _overlaps(one: int, other: int) -> Iterable[tuple[int, int, int]]:
    """Yield (start, start, length) of each shift at which most of the shorter one is covered."""
    least = max(LEAST_PICTURES, (3 * min(one, other) + 3) // 4)
    for shift in range(least - other, one - least + 1):
        a, b = max(0, shift), max(0, -shift)
        length = min(one - a, other - b)
        if length >= least:
            yield a, b, length


def _correlation(one: _Floats, other: _Floats, *, moving: bool) -> float:
    """Return the correlation of two stretches of equal length, of changes or of the pictures."""
    axis = 0 if moving else 1
    one = one - one.mean(axis=axis, keepdims=True)
    other = other - other.mean(axis=axis, keepdims=True)
    scale = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float((one * other).sum()) / scale if scale > 1e-6 else 0.0


def _motion(pictures: _Floats) -> float:
    return float(pictures.std(axis=0).mean())


def _flat(signature: Signature) -> _Floats:
    """Return each picture as a row of cells; coarse, as samples of both are never quite in step."""
    return (
        _cells(signature.pictures)
        .reshape(len(signature.pictures), SIDE * SIDE // 4)
        .astype(np.float32)
        / 4.0
    )


def _cells(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Sum two by two pixels, shape (pictures, SIDE / 2, SIDE / 2)."""
    paired = pictures.reshape(len(pictures), SIDE // 2, 2, SIDE // 2, 2)
    return np.asarray(paired.sum(axis=(2, 4), dtype=np.int32))


def _candidates(signatures: Mapping[str, Signature]) -> list[tuple[str, str]]:
    """Return the pairs worth a look: one picture of each is bright in the same places.

    Which of 64 cells are brighter than the mean ("average hash") is cut into four bands; pictures
    that differ in less than four cells share a band. To compare all pairs would not do for
    thousands of recordings.
    """
    buckets: dict[tuple[int, int], set[str]] = defaultdict(set)
    for name, signature in signatures.items():
        for cells in _cells(signature.pictures):
            for band, bits in enumerate(_bands(cells)):
                buckets[band, bits].add(name)
    pairs: set[tuple[str, str]] = set()
    order = {name: place for place, name in enumerate(signatures)}
    for names in buckets.values():
        if len(names) > 1:
            pairs.update(combinations(sorted(names, key=order.__getitem__), 2))
    return sorted(pairs)


def _bands(cells: npt.NDArray[np.int32]) -> list[int]:
    bits = np.packbits((cells > cells.mean()).reshape(-1))
    return [int(band) for band in bits.view(np.uint16)]
