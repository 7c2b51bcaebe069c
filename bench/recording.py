"""A recording read as the pipeline reads it, without what follows."""

from __future__ import annotations

import threading
from pathlib import Path

from edgewatch.config.sections import Clips
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread, ClipOutlet
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip


class Shelf:
    """Takes every clip."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.closed = threading.Event()

    def offer(self, clip: Clip, /) -> bool:
        """Keep a clip."""
        self.clips.append(clip)
        return True

    def close(self) -> None:
        """Note that there are no more."""
        self.closed.set()


def replaying(
    path: Path, cut: Clips, outlet: ClipOutlet, camera: CameraName | None = None
) -> CameraThread:
    """Return the thread, not yet started, that replays a recording as fast as it can."""
    return CameraThread(
        camera or CameraName("bench"),
        parse_source(str(path.absolute())),
        fps=cut.fps,
        seconds=cut.seconds,
        stride_seconds=cut.stride_seconds,
        pixels=cut.pixels,
        speed=None,
        loop=False,
        replay=True,
        outlet=outlet,
        on_health=lambda _: None,
        on_info=lambda _: None,
        on_end=lambda _: None,
        clock=SystemClock(),
        random=lambda: 0.5,
    )


def clips_of(path: Path, cut: Clips, camera: CameraName | None = None) -> list[Clip]:
    """Make a recording's clips."""
    shelf = Shelf()
    replaying(path, cut, shelf, camera).start()
    shelf.closed.wait()
    return shelf.clips
