"""Versions and what a package demands of another. Pure.

Source: PEP 440 (release segments, local parts), PEP 508 (requirements), as far as pip writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_BOUND = re.compile(r"^(>=|<=|==|!=|~=|<|>)\s*([0-9][0-9.]*)$")

Operator = Literal[">=", "<=", "==", "!=", "~=", "<", ">"]


def numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers: (2, 13, 0) for "2.13.0+cpu", (2, 9, 1) for "2.9.1rc2"."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version.strip())
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def dotted(version: tuple[int, ...]) -> str:
    """Return (2, 13) as "2.13"."""
    return ".".join(str(part) for part in version)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One package that another wants, and in which versions."""

    package: str
    bounds: tuple[tuple[str, tuple[int, ...]], ...]
    """Operator and version; all must hold."""

    @property
    def text(self) -> str:
        """As pip takes it: "av>=18,<19"."""
        return self.package + ",".join(f"{sign}{dotted(bound)}" for sign, bound in self.bounds)

    def holds(self, version: str) -> bool:
        """Whether a version is one that is wanted."""
        return all(_holds(numbers(version), sign, bound) for sign, bound in self.bounds)


def core_requirements(lines: Iterable[str]) -> list[Requirement]:
    """Return what a package always wants; extras and markers of other platforms are left out."""
    found = []
    for line in lines:
        match = _REQUIREMENT.match(line)
        if match is None or match.group(3):  # behind a marker: an extra, or another platform
            continue
        bounds = [_BOUND.match(part.strip()) for part in match.group(2).split(",") if part.strip()]
        found.append(
            Requirement(
                match.group(1),
                tuple((one.group(1), numbers(one.group(2))) for one in bounds if one),
            )
        )
    return found


def _holds(version: tuple[int, ...], sign: str, bound: tuple[int, ...]) -> bool:
    order = _compare(version, bound)
    match sign:
        case ">=":
            return order >= 0
        case "<=":
            return order <= 0
        case "<":
            return order < 0
        case ">":
            return order > 0
        case "!=":
            return order != 0
        case "~=":
            return order >= 0 and version[: len(bound) - 1] == bound[:-1]
    return order == 0


def _compare(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """Return -1, 0 or 1; missing parts are zeros."""
    for left, right in zip_longest(one, other, fillvalue=0):
        if left != right:
            return -1 if left < right else 1
    return 0
