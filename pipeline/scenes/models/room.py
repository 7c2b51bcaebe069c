"""Room on the disk, asked before the first byte."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgewatch.pipeline.errors import SceneRefused

RESERVE_BYTES = 10**9
"""Left free beside what is fetched: the database and the evidence go on."""


def free_bytes(folder: Path) -> int:
    """Return what this user may still write where a folder is, or will be."""
    for place in (folder, *folder.parents):
        if place.exists():
            return shutil.disk_usage(place).free
    return 0


def refuse_without_room(folder: Path, needed_bytes: int, there_bytes: int) -> None:
    """Raise SceneRefused unless there is room, with what is missing."""
    missing = needed_bytes + RESERVE_BYTES - there_bytes
    if missing > 0:
        raise SceneRefused(
            f"the disk of {folder} is too small: {in_gb(needed_bytes)} are still to be fetched and "
            f"{in_gb(RESERVE_BYTES)} stay free, {in_gb(there_bytes)} are there. Free "
            f"{in_gb(missing)}, or set [scenes] dir to a larger disk"
        )


def in_gb(size_bytes: float) -> str:
    """Write a size as people compare it with disks: 10^9 bytes, in smaller units if small."""
    if size_bytes < 10**6:
        return f"{size_bytes / 10**3:.1f} kB"
    if size_bytes < 10**9:
        return f"{size_bytes / 10**6:.1f} MB"
    return f"{size_bytes / 10**9:.1f} GB"
