"""Systemd's notification protocol: what the service manager is told, and how often it wants to.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping

import structlog

log = structlog.get_logger(__name__)


class Notifier:
    """Tells systemd how the service does; without a systemd to tell, every call does nothing.

    A message that cannot be sent is logged once and never ends or delays the service.
    """

    def __init__(
        self,
        address: str | None,
        *,
        watchdog_seconds: float | None = None,
        monotonic_usec: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
    ) -> None:
        """`address`: a datagram socket's path, or "@name" in the abstract namespace."""
        self._address = f"\0{address[1:]}" if address and address.startswith("@") else address
        self._watchdog_seconds = watchdog_seconds
        self._monotonic_usec = monotonic_usec
        self._complained = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int | None = None) -> Notifier:
        """Make the notifier that systemd's variables ask for; `pid`: None is this process's."""
        address = environ.get("NOTIFY_SOCKET", "")
        return cls(
            address if address.startswith(("/", "@")) else None,
            watchdog_seconds=_watchdog_seconds(environ, os.getpid() if pid is None else pid),
        )

    @property
    def watchdog_seconds(self) -> float | None:
        """Systemd ends the service if `alive` is silent for so long; None: it does not watch."""
        return self._watchdog_seconds if self._address else None

    def ready(self, status: str) -> None:
        """Say that start or reload is complete."""
        self._send("READY=1", f"STATUS={_line(status)}")

    def status(self, status: str) -> None:
        """Say in one line what the service does; `systemctl status` shows it."""
        self._send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """Say that a reload began; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic_usec()}")

    def stopping(self) -> None:
        """Say that the stop began."""
        self._send("STOPPING=1", "STATUS=stopping")

    def alive(self) -> None:
        """Give the watchdog a sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.warning("systemd not reached", message=lines[0], error=str(error))


def _watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    try:
        meant_for = int(environ.get("WATCHDOG_PID") or pid)
        usec = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return usec / 1e6 if usec > 0 and meant_for == pid else None


def _line(text: str) -> str:
    """Keep a text to one line: the next one would be a message of its own."""
    return " ".join(text.split())
