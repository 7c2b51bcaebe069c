"""Recordings on disk: the files behind an address, in order, and whether they can be read."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from edgewatch.pipeline.errors import CameraRejected
from edgewatch.pipeline.source import Source

VIDEO_SUFFIXES = (
    *(".mp4", ".mkv", ".mov", ".avi", ".ts", ".webm"),
    *(".m4v", ".m2ts", ".mts", ".mpg", ".mpeg", ".flv", ".wmv", ".3gp", ".h264", ".h265", ".hevc"),
)
"""File names that count as recordings in a directory; the usual ones first."""

_NAMED_TIME = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"[-_. T]{0,2}([01]\d|2[0-3])[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?!\d)"
)


def recordings(source: Source) -> list[Source]:
    """Return the recordings behind a `file` source: itself, or a directory's in order of time.

    The time is the one in the file names, as dashcams and recorders write it
    (`20240501_120000F.mp4`, `EV2024-05-01 12.00.00.mp4`); if a name has none, names are in
    natural order. Raises CameraRejected for a directory that holds none.
    """
    path = Path(source.location)
    if not path.is_dir():
        return [source]
    try:
        names = [
            entry
            for entry in path.iterdir()
            if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file()
        ]
    except OSError as error:
        raise _unreadable_path(source, error) from None
    if not names:
        raise CameraRejected(
            "not_found",
            f"{source.display} holds no video files ({', '.join(VIDEO_SUFFIXES[:6])} ...).",
        )
    names.sort(key=lambda entry: _natural(entry.name))
    times = {entry: named_seconds(entry.name) for entry in names}
    if None not in times.values():
        names.sort(key=lambda entry: times[entry] or 0.0)
    return [Source("file", str(entry), str(entry)) for entry in names]


def check_readable(source: Source) -> None:
    """Raise CameraRejected, naming the cure, unless the file is there, readable and not empty."""
    try:
        with open(source.location, "rb") as file:
            if not file.read(1):
                raise CameraRejected(
                    "unreadable", f"{source.display} is empty: copy or record it anew."
                )
    except OSError as error:
        raise _unreadable_path(source, error) from None


def _unreadable_path(source: Source, error: OSError) -> CameraRejected:
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return CameraRejected(
                "not_found", f"{source.display} does not exist: check the path in url."
            )
        case PermissionError():
            return CameraRejected(
                "unreadable",
                f"{source.display} may not be read: give the service's user read permission.",
            )
        case _:
            return CameraRejected("unreadable", f"{source.display}: {error.strerror}.")


def named_seconds(name: str) -> float | None:
    """Return the date and time of day in a file name in seconds, None if there is none.

    In the recorder's own time zone: good for order and distance, not for the time itself.
    """
    found = _NAMED_TIME.search(name)
    if found is None:
        return None
    with suppress(ValueError):  # the 31st of a month that has 30 days
        moment = datetime.strptime("".join(found.groups()), "%Y%m%d%H%M%S")
        return moment.replace(tzinfo=UTC).timestamp()
    return None


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key by which clip2 comes before clip10."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]
