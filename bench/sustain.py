"""Cameras on one core, in a process of its own: do their frames come in time?

    python -m bench.sustain --cameras 11 VIDEO

Recordings stand for cameras: each is read by a `CameraThread` at the pace of its footage, sampled
and scaled with default settings. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgewatch.config.settings import load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip

START_SECONDS = 2.0
"""Over this time the cameras start one after the other: their key frames are never in step."""
SETTLE_SECONDS = 2.0
CLIP_SECONDS = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=8.0, help="measured, once all have begun")
    parser.add_argument("video", type=Path)
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(json.dumps(watch(options.video, options.cameras, options.seconds)))
    return 0


def watch(video: Path, cameras: int, seconds: float) -> dict[str, float]:
    """Read the video as so many cameras, and measure CPU time and lateness."""
    desks = [Desk() for _ in range(cameras)]
    threads = [_thread(number, video, desk) for number, desk in enumerate(desks)]
    began_seconds = time.monotonic()
    for number, thread in enumerate(threads):
        time.sleep(max(0.0, began_seconds + number * START_SECONDS / cameras - time.monotonic()))
        thread.start()
    time.sleep(SETTLE_SECONDS)
    from_seconds, cpu_seconds = time.monotonic(), time.process_time()
    time.sleep(seconds)
    until_seconds, cpu_seconds = time.monotonic(), time.process_time() - cpu_seconds
    for thread in threads:
        thread.stop()
    for desk in desks:
        desk.closed.wait()
    late = [second for desk in desks for second in lateness(desk.times, from_seconds)]
    # Frames that never came are as late as can be: a core that is swamped gives few of them
    due = round(
        cameras
        * (until_seconds - from_seconds)
        * load_settings(environ={}, default_files=()).clips.fps
    )
    return {
        "cpu_share_per_camera": cpu_seconds / (until_seconds - from_seconds) / cameras,
        "late_p99_seconds": float(np.percentile(late, 99)) if late else seconds,
        "frames_share": len(late) / due,
    }


class Desk:
    """Takes a camera's clips and keeps when its frames were due and when they came."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        """Of each frame, (media time, monotonic time when it was decoded), in seconds."""
        self.closed = threading.Event()

    def offer(self, clip: Clip, /) -> bool:
        """Take a clip."""
        self.times += [(frame.media_seconds, frame.captured_seconds) for frame in clip.frames]
        return True

    def close(self) -> None:
        """Take note of the end."""
        self.closed.set()


def lateness(times: Sequence[tuple[float, float]], from_seconds: float) -> list[float]:
    """Return how late each frame was that came at `from_seconds` or later, in seconds.

    `times`: (media time, time it came) of one camera's frames. The frame that was the least
    behind its media time is taken to have been in time.
    """
    if not times:
        return []
    least = min(came - media for media, came in times)
    return [came - media - least for media, came in times if came >= from_seconds]


def _thread(number: int, video: Path, desk: Desk) -> CameraThread:
    clips = load_settings(environ={}, default_files=()).clips
    return CameraThread(
        CameraName(f"camera-{number}"),
        parse_source(str(video.absolute())),
        fps=clips.fps,
        seconds=CLIP_SECONDS,
        stride_seconds=CLIP_SECONDS,
        pixels=clips.pixels,
        speed=1.0,
        loop=True,
        replay=False,
        outlet=desk,
        on_health=lambda _: None,
        on_info=lambda _: None,
        on_end=lambda _: None,
        clock=SystemClock(),
        random=lambda: 0.5,
    )


if __name__ == "__main__":
    sys.exit(main())
