"""A camera over UDP that loses 5 % of its packets, in the kernel: in a network namespace."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.integration.camera_watch import LONG_SECONDS, CameraWatch
from tests.integration.rtsp_cameras import RtspCameras, running

pytestmark = pytest.mark.integration

CLONE_NEWNET = 0x4000_0000
LOSS_PERCENT = 5


class Startable(Protocol):
    """A thread."""

    def start(self) -> None: ...


@dataclass(frozen=True)
class Namespace:
    """A network of its own with a loopback that loses UDP packets."""

    name: str

    @property
    def within(self) -> tuple[str, ...]:
        """The command that runs another within."""
        return ("ip", "netns", "exec", self.name)

    def start(self, thread: Startable) -> None:
        """Start a thread within: a thread is born into the namespace of the one that starts it."""
        errors: list[int] = []

        def enter_and_start() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path("/run/netns", self.name).open("rb") as namespace:
                if libc.setns(namespace.fileno(), CLONE_NEWNET):
                    errors.append(ctypes.get_errno())
                    return
            thread.start()

        door = threading.Thread(target=enter_and_start)
        door.start()
        door.join()
        assert not errors, os.strerror(errors[0])

    def lost_packets(self) -> int:
        """Return how many were lost."""
        rules = _run(*self.within, "nft", "list", "ruleset")
        found = re.search(r"counter packets (\d+)", rules)
        assert found
        return int(found[1])


@pytest.fixture
def lossy(rtsp_available: None) -> Iterator[Namespace]:
    """By netfilter and not by `tc netem`: kernels of small boxes and clouds often lack that."""
    if os.geteuid() != 0:
        pytest.skip("only root may make a network namespace")
    for program, package in (("ip", "iproute2"), ("nft", "nftables")):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: apt install {package}")
    namespace = Namespace(f"edgewatch-{os.getpid()}")
    try:
        _run("ip", "netns", "add", namespace.name)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
    with _removed_at_the_end(namespace):
        rule = f"meta l4proto udp numgen random mod 100 < {LOSS_PERCENT} counter drop"
        for command in (
            "ip link set lo up",
            "nft add table inet lossy",
            "nft add chain inet lossy input { type filter hook input priority 0 ; }",
            f"nft add rule inet lossy input {rule}",
        ):
            _run(*namespace.within, *command.split())
        yield namespace


@contextmanager
def _removed_at_the_end(namespace: Namespace) -> Iterator[None]:
    try:
        yield
    finally:
        _run("ip", "netns", "del", namespace.name)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("path", ["live", pytest.param("h265", marks=pytest.mark.long)])
def test_stream_that_loses_packets_stays_online_and_is_judged(lossy: Namespace, path: str) -> None:
    with running(RtspCameras(within=lossy.within)) as cameras:
        watch = CameraWatch(cameras.url(path=f"/{path}"), transport="udp")
        lossy.start(watch.thread)
        try:
            watch.until_online()
            clips = [watch.next_clip() for _ in range(8)]
        finally:
            watch.thread.stop()
            assert watch.thread.join(LONG_SECONDS)
    assert lossy.lost_packets() > 0
    assert watch.health.empty()
    assert watch.thread.stats().reconnects == 0
    # Where a key frame is lost its group may be, too: a window then ends early, and time goes on.
    assert sum(len(clip.frames) for clip in clips) >= 3 * len(clips)
    spanned_seconds = clips[-1].end_seconds - clips[0].start_seconds
    assert spanned_seconds == pytest.approx(0.5 * (len(clips) - 1) + 1.0, rel=0.5)
