"""The box that edgewatch runs on: its data folder, its disk, its records, its clock."""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from edgewatch.pipeline.errors import StoreError
from edgewatch.pipeline.store import Store
from edgewatch.tools.findings import Finding, fail, ok, warn

LITTLE_BYTES = 1_000_000_000
TOO_LITTLE_BYTES = 50_000_000
"""The database's log alone may take this much before it is folded in."""

EARLIEST_SECONDS = 1_767_225_600.0
"""2026-01-01: a clock before it was never set, for this program is younger."""
CLOCK_SLACK_SECONDS = 60.0

LONGEST_SOCKET_PATH_BYTES = 107
"""Source: unix(7), sun_path less its closing zero."""


def data_findings(data_dir: Path) -> Iterator[Finding]:
    """Look at folder, disk and records, and leave nothing that the service could not use.

    This may run as root. What SQLite makes to read records (-wal, -shm) it gives to their owner.
    """
    place = _nearest(data_dir)
    yield _folder(data_dir, place)
    yield disk_finding(data_dir, shutil.disk_usage(place).free)
    database = data_dir / "edgewatch.db"
    if os.path.exists(database):
        yield _records(database)


def disk_finding(data_dir: Path, free_bytes: int) -> Finding:
    """Say whether there is room for what is to be kept."""
    detail = f"{free_bytes / 1e9:.1f} GB free"
    cure = "Free space on that disk, or set service.data_dir to one with more."
    if free_bytes < TOO_LITTLE_BYTES:
        return fail("disk", str(data_dir), f"full: {free_bytes / 1e6:.0f} MB free", cure)
    if free_bytes < LITTLE_BYTES:
        return warn("disk", str(data_dir), detail, cure)
    return ok("disk", str(data_dir), detail)


def socket_finding(path: Path) -> Finding:
    """Say whether a daemon could make its control socket."""
    cure = "Set service.control_socket to a place this user may write to."
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH_BYTES:
        longest = f"longer than {LONGEST_SOCKET_PATH_BYTES} bytes"
        return warn("control socket", str(path), longest, cure)
    place = _nearest(path.parent)
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        detail = f"cannot be made: {place} may not be written to by this user"
        return warn("control socket", str(path), detail, cure)
    return ok("control socket", str(path), "can be made")


def clock_finding(now_seconds: float, newest_record_seconds: float | None) -> Finding:
    """Say whether the wall clock makes sense; both times are Unix times."""
    local = datetime.fromtimestamp(now_seconds).astimezone()
    shown = local.isoformat(sep=" ", timespec="seconds")
    cure = "Set the clock, or let it be set: timedatectl set-ntp true"
    if now_seconds < EARLIEST_SECONDS:
        return warn("clock", shown, "was never set: events would carry a wrong time", cure)
    if newest_record_seconds and newest_record_seconds > now_seconds + CLOCK_SLACK_SECONDS:
        behind_seconds = newest_record_seconds - now_seconds
        detail = f"is {behind_seconds:.0f} s behind the newest record: it was set back"
        return warn("clock", shown, detail, cure)
    return ok("clock", shown, "makes sense; schedules go by this time zone")


def newest_record_seconds(data_dir: Path) -> float | None:
    """Return when the records were last written, Unix time; None if there are none."""
    written = []
    for name in ("edgewatch.db", "edgewatch.db-wal"):
        try:
            written.append((data_dir / name).stat().st_mtime)
        except OSError:
            continue
    return max(written, default=None)


def _nearest(path: Path) -> Path:
    """Return the path itself, or the nearest above it that exists."""
    return next(one for one in (path, *path.parents) if os.path.exists(one))


def _folder(data_dir: Path, place: Path) -> Finding:
    name, subject = "data_dir", str(data_dir)
    if not place.is_dir():
        return fail(name, subject, f"{place} is no folder", "Correct service.data_dir.")
    if place != data_dir:
        if os.access(place, os.W_OK | os.X_OK):
            return ok(name, subject, "does not exist yet; edgewatch makes it")
        return fail(
            name,
            subject,
            f"does not exist, and this user may not make it in {place}",
            "Set service.data_dir to a folder that this user may write to.",
        )
    try:
        # Without a name, so that nothing is left behind that the service could not write to.
        with tempfile.TemporaryFile(dir=data_dir) as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return fail(name, subject, f"cannot be written to: {error.strerror}", _cure(error))
    return _as_root(data_dir) or ok(name, subject, "can be written to")


def _cure(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free space on its disk."
    if error.errno == errno.EROFS:
        return "Mount its disk for writing, or set service.data_dir elsewhere."
    return "Set service.data_dir to a folder that this user may write to."


def _as_root(data_dir: Path) -> Finding | None:
    """Warn that root may write anywhere, which proves nothing for the service's own user."""
    owner = data_dir.stat().st_uid
    if os.geteuid() != 0 or owner == 0:
        return None
    try:
        user = pwd.getpwuid(owner).pw_name
    except KeyError:
        user = f"#{owner}"
    return warn(
        "data_dir",
        str(data_dir),
        f"belongs to {user}, and this check runs as root, who may do more",
        f"Check as the service's user: sudo -u {shlex.quote(user)} edgewatch check",
    )


def _records(database: Path) -> Finding:
    if not os.access(database, os.R_OK | os.W_OK):
        return fail(
            "records",
            str(database),
            "this user may not write to it: it was made by another",
            f"Give it to the service's user: chown edgewatch: {database}*",
        )
    try:
        with Store.open_readonly(database) as records:
            cameras = len(records.cameras())
            still_open = len(records.open_events())
    except StoreError as error:
        text = str(error).removeprefix(f"database {database}: ")
        detail, _, cure = text.partition(": ")
        return fail("records", str(database), detail, cure or "See docs/troubleshooting.md.")
    size = f"{database.stat().st_size / 1e6:.1f} MB"
    return ok("records", str(database), f"{size}, {cameras} cameras, {still_open} events open")
