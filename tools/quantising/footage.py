"""Footage to calibrate with: recordings cut into clips as live video is, or drawn drives."""

from __future__ import annotations

import queue
import random
from collections.abc import Iterator

import numpy as np

from edgewatch.config.sections import Clips
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.scenes.drawn.drive import DriveScene
from edgewatch.pipeline.source import Source
from edgewatch.pipeline.types import CameraName, Clip, Frame
from edgewatch.tools.recordings import Recording

WAITING_CLIPS = 4
"""Decoded ahead of whoever takes them."""
DRIVE_SECONDS = 60.0
_DRAWN_SIZE = (640, 360)
_JOIN_SECONDS = 5.0


class _Handed:
    """An outlet that waits for whoever takes its clips."""

    def __init__(self) -> None:
        self.error: CameraError | None = None
        self._waiting: queue.Queue[Clip | None] = queue.Queue(WAITING_CLIPS)
        self._closed = False

    def offer(self, clip: Clip, /) -> bool:
        """Hand over a clip, waiting for room; False once nobody takes any more."""
        while not self._closed:
            try:
                self._waiting.put(clip, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def close(self) -> None:
        """Say that no more will come."""
        while not self._closed:
            try:
                self._waiting.put(None, timeout=0.1)
            except queue.Full:
                continue
            return

    def refuse(self) -> None:
        """Take no more."""
        self._closed = True

    def take(self) -> Iterator[Clip]:
        """Yield the clips until there are no more."""
        while (clip := self._waiting.get()) is not None:
            yield clip


def recorded_clips(recording: Recording, plan: CameraPlan) -> Iterator[AskedClip]:
    """Yield a recording's clips, as a camera's under this plan. Raises CameraError."""
    outlet = _Handed()

    def note(error: CameraError | None) -> None:
        outlet.error = error

    clips = plan.clips
    path = str(recording.path)
    thread = CameraThread(
        recording.camera,
        Source("file", path, path),
        fps=clips.fps,
        seconds=clips.seconds,
        stride_seconds=clips.stride_seconds,
        pixels=clips.pixels,
        speed=None,
        loop=False,
        replay=True,
        outlet=outlet,
        on_health=lambda _: None,
        on_info=lambda _: None,
        on_end=note,
        clock=SystemClock(),
        random=random.random,
        reading=Reading.of(plan),
    )
    thread.start()
    try:
        for clip in outlet.take():
            yield AskedClip(clip.stacked(), clip.fps, plan.prompt)
    finally:
        outlet.refuse()
        thread.stop()
        thread.join(_JOIN_SECONDS)
    if outlet.error is not None:
        raise outlet.error


def drawn_clips(kind: Clips, prompt: str, count: int) -> Iterator[AskedClip]:
    """Yield clips of drawn drives, every second one with an impact; the same ones each time."""
    size = target_size(*_DRAWN_SIZE, kind.pixels)
    seconds = max(DRIVE_SECONDS, 2 * kind.seconds)
    left, seed = count, 0
    while left > 0:
        impact = seconds / 2 if seed % 2 else None
        scene = DriveScene(seed, size, kind.fps, impact, duration_seconds=seconds)
        for clip in _cut(scene, kind, left):
            yield AskedClip(clip.stacked(), clip.fps, prompt)
            left -= 1
        seed += 1


def _cut(scene: DriveScene, kind: Clips, most: int) -> Iterator[Clip]:
    camera = CameraName("drawn")
    assembler = ClipAssembler(
        camera,
        fps=kind.fps,
        seconds=kind.seconds,
        stride_seconds=kind.stride_seconds,
        replay=True,
    )
    made = 0
    for index, pixels in enumerate(scene.frames()):
        at = index / kind.fps
        frame = Frame(
            camera=camera,
            index=index,
            slot=index,
            pixels=np.ascontiguousarray(pixels),
            media_seconds=at,
            time_seconds=at,
            captured_seconds=at,
        )
        if clip := assembler.add(frame):
            yield clip
            made += 1
            if made == most:
                return
