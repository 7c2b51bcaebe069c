"""Regions of the picture that are not judged: polygons, in shares of its width and height. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator

from edgewatch.config.rules import broken

Corner: TypeAlias = tuple[float, float]
"""(x, y): 0 is left and top, 1 is right and bottom."""
Region: TypeAlias = tuple[Corner, ...]
"""A polygon: its corners in order, all the way round; the last one joins the first."""
Regions: TypeAlias = tuple[Region, ...]

MOST_REGIONS = 16
MOST_CORNERS = 64
LARGEST_SHARE = 0.95
"""Of the picture, all regions together: with more ignored there is nothing left to judge."""

LARGE_SHARE = 0.6
"""Of the picture; with more ignored the camera is warned of."""

_ROWS = 200
_LEAST_AREA = 1e-4
_HOW = "Write ignore = [[[0.0, 0.0], [1.0, 0.0], [1.0, 0.2]]]: regions of [x, y] corners, 0 to 1"


def ignored_share(regions: Regions) -> float:
    """Return how much of the picture lies in any of the regions, 0 to 1.

    Measured along 200 lines across the picture, on each of them exactly.
    """
    lines = ((row + 0.5) / _ROWS for row in range(_ROWS))
    return sum(_length(_spans(regions, y)) for y in lines) / _ROWS


def _read(value: Any) -> Regions:
    """Take the lists of TOML or JSON apart. Raises BrokenRule, which names region and corner."""
    if not isinstance(value, list | tuple):
        broken("is no list of regions", _HOW)
    if len(value) > MOST_REGIONS:
        broken(f"has {len(value)} regions, and {MOST_REGIONS} are the most", "Join some of them")
    regions = tuple(_region(number, one) for number, one in enumerate(value, start=1))
    if regions and (share := ignored_share(regions)) > LARGEST_SHARE:
        broken(
            f"leaves {100 * (1 - share):.0f} % of the picture to be judged, and "
            f"{100 * (1 - LARGEST_SHARE):.0f} % are the least",
            "Draw smaller regions, or set enabled = false",
        )
    return regions


IgnoredRegions: TypeAlias = Annotated[Regions, BeforeValidator(_read)]
"""The type of the key `ignore`."""


def _region(number: int, value: Any) -> Region:
    if not isinstance(value, list | tuple):
        broken(f"region {number} is no list of corners", _HOW)
    if not 3 <= len(value) <= MOST_CORNERS:
        broken(f"region {number} has {len(value)} corners, not 3 to {MOST_CORNERS}", _HOW)
    region = tuple(_corner(number, place, one) for place, one in enumerate(value, start=1))
    if crossing := _crossing(region):
        one, other = crossing
        broken(
            f"region {number} crosses itself: its sides from corner {one} and from corner {other}",
            "Name the corners in order, once round the region",
        )
    if abs(_area(region)) < _LEAST_AREA:
        broken(
            f"region {number} encloses next to nothing",
            "Move its corners apart: they are shares of the picture, not pixels",
        )
    return region


def _corner(number: int, place: int, value: Any) -> Corner:
    where = f"region {number}, corner {place}"
    if not isinstance(value, list | tuple) or len(value) != 2:
        broken(f"{where} is no pair [x, y]", _HOW)
    for one in value:
        if isinstance(one, bool) or not isinstance(one, int | float):
            broken(f"{where} is not made of numbers", _HOW)
        if not 0 <= one <= 1:
            broken(
                f"{where} lies outside of the picture",
                "Write shares of width and height from 0 to 1, not pixels",
            )
    return float(value[0]), float(value[1])


def _area(region: Region) -> float:
    return sum(x * b - a * y for (x, y), (a, b) in pairwise((*region, region[0]))) / 2


def _crossing(region: Region) -> tuple[int, int] | None:
    """Return the numbers, from 1, of the first corners of two sides that cross."""
    sides = list(pairwise((*region, region[0])))
    for one in range(len(sides)):
        for other in range(one + 2, len(sides)):
            neighbours = one == 0 and other == len(sides) - 1
            if not neighbours and _meet(*sides[one], *sides[other]):
                return one + 1, other + 1
    return None


def _meet(a: Corner, b: Corner, c: Corner, d: Corner) -> bool:
    """Whether a-b and c-d cross each other; to touch is allowed."""
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Corner, b: Corner, c: Corner) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _spans(regions: Regions, y: float) -> Iterator[tuple[float, float]]:
    """Yield the stretches of a line across the picture that lie in each region."""
    for region in regions:
        crossings = sorted(
            a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
            for a, b in pairwise((*region, region[0]))
            if (a[1] <= y) != (b[1] <= y)
        )
        yield from zip(crossings[::2], crossings[1::2], strict=True)


def _length(spans: Iterator[tuple[float, float]]) -> float:
    """Return how long stretches are together, each place counted once."""
    total = reached = 0.0
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
