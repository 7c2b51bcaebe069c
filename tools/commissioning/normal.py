"""Normal footage of a camera: its sampled frames, from recordings or watched now."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from edgewatch.config.errors import ConfigError
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.errors import CameraError, CameraRejected
from edgewatch.pipeline.frames import gap_seconds
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import Source, parse_source
from edgewatch.pipeline.types import CameraName, Clip, Frame

MOST_BYTES = 600_000_000
"""Of frames kept in memory: about 12 minutes at the usual size and rate."""
SILENT_SECONDS = 30.0
"""A camera that gives nothing for so long, beyond a clip's length, is given up."""
_OPENING_SECONDS = 10.0
_READING_SECONDS = 10.0
_JOIN_SECONDS = 5.0

Stretch = tuple[Frame, ...]
"""Frames without a gap, in order of time."""


@dataclass(frozen=True, slots=True)
class Normal:
    """What was read."""

    stretches: tuple[Stretch, ...]
    source: str
    """Where it comes from, for people."""
    cut: bool
    """There was more than fits into memory."""

    @property
    def seconds(self) -> float:
        """Length of all footage."""
        return sum(
            one[-1].media_seconds - one[0].media_seconds for one in self.stretches if len(one) > 1
        )


class _Frames:
    """An outlet that keeps each frame of the clips it is handed once."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.cut = False
        self.news: queue.SimpleQueue[float | None] = queue.SimpleQueue()
        """Seconds read so far after each clip; None at the end."""
        self._frames: dict[int, Frame] = {}
        self._bytes = 0

    def offer(self, clip: Clip, /) -> bool:
        """Take a clip's frames."""
        for frame in clip.frames:
            if frame.index not in self._frames:
                self._frames[frame.index] = frame
                self._bytes += frame.pixels.nbytes
        self.news.put(clip.media_end_seconds)
        if self._bytes >= MOST_BYTES:
            self.cut = True
            self.stop.set()
        return not self.cut

    def close(self) -> None:
        """Say that no more will come."""
        self.news.put(None)

    def stretches(self, fps: float) -> list[Stretch]:
        """Part the frames at gaps, and where their size changes."""
        parts: list[list[Frame]] = []
        for frame in sorted(self._frames.values(), key=lambda one: one.index):
            last = parts[-1][-1] if parts else None
            if last is not None and _follows(last, frame, fps):
                parts[-1].append(frame)
            else:
                parts.append([frame])
        return [tuple(part) for part in parts]


def read_recordings(plan: CameraPlan, paths: Sequence[str]) -> Normal:
    """Read recordings as the camera would be read. Raises CameraError, ValueError."""
    kept = [_read(plan, parse_source(path), live=False, limit_seconds=None) for path in paths]
    parts = [part for frames in kept for part in frames.stretches(plan.clips.fps)]
    return _normal(plan, parts, f"{len(paths)} recordings", cut=any(one.cut for one in kept))


def watch(plan: CameraPlan, seconds: float, on_seconds: Callable[[float], None]) -> Normal:
    """Watch the camera now, for so long. A camera that is a file is read as a recording.

    Raises CameraError, ValueError.
    """
    source = parse_source(plan.url, password=plan.password)
    if source.kind == "file":
        frames = _read(plan, source, live=False, limit_seconds=None)
        words = "the camera's own recording"
    else:
        frames = _read(plan, source, live=True, limit_seconds=seconds, on_seconds=on_seconds)
        words = "the camera, watched just now"
    return _normal(plan, frames.stretches(plan.clips.fps), words, cut=frames.cut)


def _normal(plan: CameraPlan, parts: Iterable[Stretch], source: str, *, cut: bool) -> Normal:
    least = round(plan.clips.fps * plan.clips.seconds)
    whole = tuple(part for part in parts if len(part) >= least)
    if not whole:
        raise ConfigError(
            f"{plan.name}: no stretch of its footage is as long as a clip "
            f"({plan.clips.seconds:g} s): name longer recordings with --footage, or watch longer "
            "with --minutes"
        )
    return Normal(whole, source, cut)


def _read(
    plan: CameraPlan,
    source: Source,
    *,
    live: bool,
    limit_seconds: float | None,
    on_seconds: Callable[[float], None] = lambda _: None,
) -> _Frames:
    kept = _Frames()
    errors: list[CameraError] = []
    thread = CameraThread(
        CameraName(plan.name),
        source,
        fps=plan.clips.fps,
        seconds=plan.clips.seconds,
        stride_seconds=plan.clips.stride_seconds,
        pixels=plan.clips.pixels,
        speed=None,
        loop=False,
        replay=not live,
        outlet=kept,
        on_health=lambda _: None,
        on_info=lambda _: None,
        on_end=lambda error: errors.append(error) if error else None,
        clock=SystemClock(),
        random=random.random,
        reading=Reading.of(plan, _OPENING_SECONDS, _READING_SECONDS),
        stop_signal=kept.stop,
    )
    thread.start()
    try:
        _follow(kept, plan, limit_seconds, on_seconds)
    finally:
        thread.stop()
        thread.join(_JOIN_SECONDS)
    if errors:
        raise errors[0]
    return kept


def _follow(
    kept: _Frames,
    plan: CameraPlan,
    limit_seconds: float | None,
    on_seconds: Callable[[float], None],
) -> None:
    """Wait for the end of a recording, or until a live camera was watched for long enough."""
    ends_seconds = None if limit_seconds is None else time.monotonic() + limit_seconds
    while ends_seconds is None or time.monotonic() < ends_seconds:
        try:
            seconds = kept.news.get(timeout=SILENT_SECONDS + plan.clips.seconds)
        except queue.Empty:
            raise CameraRejected(
                "timed_out",
                f"{plan.name} gives no picture: `edgewatch check` says what is wrong with it.",
            ) from None
        if seconds is None:
            return
        on_seconds(seconds)


def _follows(last: Frame, frame: Frame, fps: float) -> bool:
    step_seconds = frame.media_seconds - last.media_seconds
    return 0 < step_seconds <= gap_seconds(fps) and frame.pixels.shape == last.pixels.shape
