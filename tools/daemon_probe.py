"""A probe of the daemon: whether one runs on a data folder, and what it says of itself."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import aiohttp

from edgewatch.tools.findings import Finding, ok, warn

ANSWER_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """Who uses a data folder."""

    state: Literal["none", "daemon", "hidden"]
    """Hidden: this user may not look."""
    process: str = ""
    """The daemon's process id."""

    @property
    def is_daemon(self) -> bool:
        """Whether a daemon is known to be at work."""
        return self.state == "daemon"


def tenant_of(data_dir: Path) -> Tenant:
    """Say whether a daemon holds the folder's lock (see `DataLock`).

    The lock is tried, shared and for an instant, and neither made nor changed.
    """
    try:
        lock = os.open(data_dir / "edgewatch.lock", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return Tenant("hidden")
    except OSError:
        return Tenant("none")
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return Tenant("daemon", os.pread(lock, 32, 0).decode(errors="replace").strip())
    finally:
        os.close(lock)
    return Tenant("none")


async def daemon_finding(daemon: Tenant, socket: Path) -> Finding:
    """Say what the daemon, if one runs, answers on its control socket."""
    if daemon.state == "none":
        return ok("daemon", "", "none is running with this data folder")
    if daemon.state == "hidden":
        return warn(
            "daemon",
            "",
            "whether one is running cannot be seen: this user may not read the data folder",
            "Check as the daemon's user: sudo -u edgewatch edgewatch check",
        )
    subject = f"process {daemon.process}"
    try:
        figures = await _status(socket)
    except (aiohttp.ClientError, OSError, ValueError, TimeoutError):
        return warn(
            "daemon",
            subject,
            f"is running; its control socket {socket} does not answer",
            "If it has just been started, wait. Else look for `no control socket` in its log, and "
            "check as a user of the group edgewatch.",
        )
    return _healthy(subject, figures)


def _healthy(subject: str, figures: Mapping[str, Any]) -> Finding:
    engine, store = figures.get("engine", {}), figures.get("store", {})
    if engine.get("state") != "ready":
        detail = f"is running; its engine is {engine.get('state')}: {engine.get('detail')}"
        return warn("daemon", subject, detail, "It starts the engine anew by itself; see its log.")
    if trouble := store.get("trouble"):
        detail = f"is running; {trouble}"
        return warn("daemon", subject, detail, "Events wait in memory until that is mended.")
    clips = figures.get("clips_judged", 0)
    up = timedelta(seconds=round(figures.get("uptime_seconds", 0.0)))
    detail = f"has been running for {up}; {clips} clips judged by {engine.get('name')}"
    return ok("daemon", subject, detail)


async def _status(socket: Path) -> Mapping[str, Any]:
    async with (
        asyncio.timeout(ANSWER_SECONDS),
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session,
        session.get("http://edgewatch/status") as answer,
    ):
        answer.raise_for_status()
        figures: Mapping[str, Any] = await answer.json()
        return figures
