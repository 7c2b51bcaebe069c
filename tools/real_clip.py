"""A real clip to try an engine with: the first window of a camera or recording."""

from __future__ import annotations

import queue
import random
import threading

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip

OPEN_SECONDS = 10.0
"""Longest wait for a live camera's first picture, beyond the length of a clip."""
_OPENING_SECONDS = 8.0
_READING_SECONDS = 5.0
_JOIN_SECONDS = 5.0


class _FirstClip:
    """An outlet that takes one clip, and tells the thread to end after it."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._found: queue.SimpleQueue[Clip | None] = queue.SimpleQueue()

    def offer(self, clip: Clip, /) -> bool:
        """Take a clip."""
        self._found.put(clip)
        self.stop.set()
        return True

    def close(self) -> None:
        """Say that none will come."""
        self._found.put(None)

    def wait(self, limit_seconds: float) -> Clip | None:
        """Return the first clip; None if none comes in time."""
        try:
            return self._found.get(timeout=limit_seconds)
        except queue.Empty:
            return None


def real_clip(plan: CameraPlan, limit_seconds: float | None = None) -> Clip | None:
    """Take the first clip of a camera; None if there is none in time.

    A live camera takes as long as a clip is; a recording is read as fast as it can be.
    """
    if limit_seconds is None:
        limit_seconds = OPEN_SECONDS + plan.clips.seconds
    source = parse_source(plan.url, password=plan.password)
    outlet = _FirstClip()
    thread = CameraThread(
        CameraName(plan.name),
        source,
        fps=plan.clips.fps,
        seconds=plan.clips.seconds,
        stride_seconds=plan.clips.stride_seconds,
        pixels=plan.clips.pixels,
        speed=None,
        loop=False,
        replay=source.kind == "file",
        outlet=outlet,
        on_health=lambda _: None,
        on_info=lambda _: None,
        on_end=lambda _: None,
        clock=SystemClock(),
        random=random.random,
        reading=Reading.of(plan, _OPENING_SECONDS, _READING_SECONDS),
        stop_signal=outlet.stop,
    )
    thread.start()
    clip = outlet.wait(limit_seconds)
    thread.stop()
    thread.join(_JOIN_SECONDS)
    return clip
