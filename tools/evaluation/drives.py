"""Drives: which recordings are views of the same incident, told from folders and names. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

_SIDES = frozenset({"front", "rear", "back", "left", "right", "side"})
_BESIDES = frozenset(
    {"cam", "camera", "view", "cross", "wide", "tele", "narrow", "main", "center", "centre"}
    | {"fisheye", "corner"}
)
"""Words that stand beside a side's: "camera_front_wide_120fov", "cross-left"."""
_NUMBER = re.compile(r"\d+(fov|deg)?")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a recording belongs."""

    drive: str = ""
    """Empty: it is alone."""
    view: str = ""


def view_of(name: str) -> str:
    """Return which view a folder or file is called after, else "".

    "front", "Left", "rear_right" and "camera_front_wide_120fov" are views; "back" is "rear".
    """
    words = [word for word in re.split(r"[\s_.-]+", name.casefold()) if word]
    kept = [word for word in words if not _NUMBER.fullmatch(word)]
    if not _SIDES.intersection(kept) or not _SIDES.union(_BESIDES).issuperset(kept):
        return ""
    telling = [word for word in kept if word not in ("cam", "camera", "view")]
    return "_".join("rear" if word == "back" else word for word in telling)


def places(files: Sequence[str]) -> list[Place]:
    """Return the place of each file, given by its path below the data set's folder.

    A drive's folder holds a folder for each view (`drive7/front/0001.mp4`) or a file for each
    (`drive7/front.mp4`); it is a drive only with two views at least. Where view folders hold
    several files, those of the same name belong together (`drive7/0001`).
    """
    placed = [_by_folder(PurePath(file)) or _by_file(PurePath(file)) for file in files]
    cut = _cut_by_name(placed, files)
    views: dict[str, set[str]] = defaultdict(set)
    for place in cut:
        views[place.drive].add(place.view)
    return [place if place.drive and len(views[place.drive]) > 1 else Place() for place in cut]


def _by_folder(path: PurePath) -> Place | None:
    view = view_of(path.parent.name)
    return Place(str(path.parent.parent), view) if view else None


def _by_file(path: PurePath) -> Place:
    view = view_of(path.stem)
    return Place(str(path.parent), view) if view else Place()


def _cut_by_name(placed: Sequence[Place], files: Sequence[str]) -> list[Place]:
    """Where a view has several files, put those together that are called the same."""
    crowd = Counter((place.drive, place.view) for place in placed if place.drive)
    crowded = {drive for (drive, _), count in crowd.items() if count > 1}
    cut = []
    for place, file in zip(placed, files, strict=True):
        path = PurePath(file)
        if place.drive in crowded and view_of(path.parent.name):
            place = Place(str(PurePath(place.drive) / path.stem), place.view)
        cut.append(place)
    return cut
