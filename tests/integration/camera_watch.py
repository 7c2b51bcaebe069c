"""A camera thread on real time, and all that it tells, with the moment it told it."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Health, SourceInfo
from tests.fakes.clock import ManualClock, ManualSignal

FRONT = CameraName("front")
LONG_SECONDS = 20.0
"""Longest wait for anything that must come; the machine may be busy."""
WINDOW_SECONDS = 1.0
RECOVERY_SECONDS = 3.0
"""From a camera's first picture to a clip of it, beyond the clip's own length."""


class CameraWatch:
    """A camera thread with windows of one second, judged by nobody.

    `open_seconds`, `read_seconds`: its time-outs. `random`: what it draws its delays with; by
    default they are short. `clock`: one that jumps over the camera's waits; else real time.
    """

    def __init__(
        self,
        url: str,
        *,
        fps: float = 4.0,
        transport: str = "tcp",
        ca_file: str | None = None,
        open_seconds: float = 3.0,
        read_seconds: float = 3.0,
        random: Callable[[], float] = lambda: random.random() * 0.2,
        clock: ManualClock | None = None,
    ) -> None:
        self.clips: queue.Queue[Clip] = queue.Queue()
        self.health: queue.Queue[Health] = queue.Queue()
        self.infos: queue.Queue[SourceInfo] = queue.Queue()
        self.ended: queue.Queue[CameraError | None] = queue.Queue()
        self.closed = threading.Event()
        self.signal = ManualSignal(clock) if clock else None
        """Keeps the waits that `clock` jumped over."""
        self._online_seconds: float | None = None
        self._firsts: queue.Queue[tuple[Clip, float]] = queue.Queue()
        self.thread = CameraThread(
            FRONT,
            parse_source(url),
            fps=fps,
            seconds=WINDOW_SECONDS,
            stride_seconds=0.5,
            pixels=63_504,
            speed=None,
            loop=False,
            replay=False,
            outlet=self,
            on_health=self._take_health,
            on_info=self.infos.put,
            on_end=self.ended.put,
            clock=clock or SystemClock(),
            random=random,
            reading=Reading(open_seconds, read_seconds, transport, ca_file),
            stop_signal=self.signal,
        )

    def offer(self, clip: Clip, /) -> bool:
        if self._online_seconds is not None:
            self._firsts.put((clip, time.monotonic() - self._online_seconds))
            self._online_seconds = None
        self.clips.put(clip)
        return True

    def close(self) -> None:
        self.closed.set()

    def next_health(self) -> Health:
        return self.health.get(timeout=LONG_SECONDS)

    def next_clip(self) -> Clip:
        return self.clips.get(timeout=LONG_SECONDS)

    def next_info(self) -> SourceInfo:
        return self.infos.get(timeout=LONG_SECONDS)

    def until_online(self) -> list[Health]:
        """Wait until it is online; return what it said before."""
        before = []
        while (health := self.next_health()).state != "online":
            before.append(health)
        return before

    def until_offline(self) -> Health:
        """Wait until it is offline, and return that."""
        while (health := self.next_health()).state != "offline":
            pass
        return health

    def until_judged(self) -> None:
        """Wait until it is online and gives the first clip since; that must come in time."""
        self.until_online()
        clip, waited_seconds = self._firsts.get(timeout=LONG_SECONDS)
        assert waited_seconds <= WINDOW_SECONDS + RECOVERY_SECONDS
        assert clip.frames[0].media_seconds < 0.5

    def _take_health(self, health: Health) -> None:
        self._online_seconds = time.monotonic() if health.state == "online" else None
        self.health.put(health)


@contextmanager
def watching(*watches: CameraWatch) -> Iterator[None]:
    """Run camera threads, all at once, for as long as the block lasts; each must then end."""
    with ExitStack() as stack:
        for watch in watches:
            watch.thread.start()
            stack.callback(_joined, watch)
        try:
            yield
        finally:
            for watch in watches:
                watch.thread.stop()


def _joined(watch: CameraWatch) -> None:
    assert watch.thread.join(LONG_SECONDS)
    assert watch.closed.is_set()
