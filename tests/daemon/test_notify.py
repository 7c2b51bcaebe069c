from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edgewatch.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Listen where systemd would; give the socket and the value of NOTIFY_SOCKET."""
    name = (
        str(tmp_path / "notify") if request.param == "path" else f"@edgewatch-{secrets.token_hex()}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        listener.settimeout(5.0)
        yield listener, name


def test_a_service_tells_its_life_to_the_socket(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    notifier = Notifier(address, monotonic_usec=lambda: 1234567)
    notifier.status("loading the engine")
    notifier.ready("watching 2 cameras")
    notifier.alive()
    notifier.reloading()
    notifier.stopping()
    assert [listener.recv(4096).decode() for _ in range(5)] == [
        "STATUS=loading the engine",
        "READY=1\nSTATUS=watching 2 cameras",
        "WATCHDOG=1",
        "RELOADING=1\nMONOTONIC_USEC=1234567",
        "STOPPING=1\nSTATUS=stopping",
    ]


def test_the_environment_names_socket_and_watchdog(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "77"}
    notifier = Notifier.from_environment(environ, pid=77)
    assert notifier.watchdog_seconds == 60.0
    notifier.ready("x")
    assert listener.recv(4096).startswith(b"READY=1")
    assert Notifier.from_environment(environ, pid=78).watchdog_seconds is None


def test_the_reload_is_stamped_with_the_clock_that_systemd_reads(
    manager: tuple[socket.socket, str],
) -> None:
    listener, address = manager
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier(address).reloading()
    stamp = int(listener.recv(4096).decode().partition("MONOTONIC_USEC=")[2])
    assert before <= stamp <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@given(status=st.text())
def test_no_status_can_smuggle_in_a_message(status: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"edgewatch-{secrets.token_hex()}"
        listener.bind(f"\0{name}")
        listener.settimeout(5.0)
        Notifier(f"@{name}").status(status.encode(errors="ignore").decode())
        assert listener.recv(65536).decode().count("\n") == 0


def test_without_a_manager_nothing_is_sent_and_nothing_watches() -> None:
    notifier = Notifier.from_environment({"WATCHDOG_USEC": "1000000"})
    with capture_logs() as logs:
        notifier.ready("x")
        notifier.alive()
    assert notifier.watchdog_seconds is None
    assert logs == []


@pytest.mark.parametrize("value", ["", "0", "-5", "soon"])
def test_a_watchdog_without_a_time_is_none(value: str) -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": value, "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.from_environment(environ).watchdog_seconds is None


def test_a_manager_that_went_away_is_logged_once_and_ends_nothing(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "gone"))
    with capture_logs() as logs:
        notifier.alive()
        notifier.alive()
    assert [entry["event"] for entry in logs] == ["systemd not reached"]


def test_a_full_socket_does_not_block_the_service(tmp_path: Path) -> None:
    """Nobody reads here: a blocking send would hang until the test times out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        with capture_logs() as logs:
            for _ in range(2000):
                notifier.alive()
    assert [entry["event"] for entry in logs] == ["systemd not reached"]
