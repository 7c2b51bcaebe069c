"""One damaged recording through a real camera thread."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import CameraName, Clip, Health
from tests.fakes.videos import noisy_scene, write_video

LONGEST_SECONDS = 20.0
"""A file of two seconds that takes longer hangs."""

SHAPES = {
    "h264.mp4": ("libx264", 2, {"x264-params": "log-level=none"}),
    "h264.ts": ("libx264", 2, {}),
    "h264.mkv": ("libx264", 0, {}),
    "h265.mp4": ("libx265", 2, {"x265-params": "log-level=none"}),
    "h265.ts": ("libx265", 0, {"x265-params": "log-level=none:open-gop=0"}),
    "mpeg4.avi": ("mpeg4", 2, {}),
    "mjpeg.mov": ("mjpeg", 0, {}),
    "vp8.webm": ("libvpx", 0, {"deadline": "realtime"}),
}


class Outlet:
    """Checks each clip and lets it go."""

    def __init__(self) -> None:
        self.clips = 0

    def offer(self, clip: Clip, /) -> bool:
        times = [frame.time_seconds for frame in clip.frames]
        assert times == sorted(times)
        assert len({frame.pixels.shape for frame in clip.frames}) == 1
        self.clips += 1
        return True

    def close(self) -> None:
        pass


def originals(folder: Path) -> list[Path]:
    """Write one small recording of each codec and container."""
    return [
        write_video(
            folder / name,
            codec=codec,
            width=96,
            height=64,
            fps=12,
            frames=24,
            gop=8,
            b_frames=b_frames,
            pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
            codec_options=options,
            draw=noisy_scene,
        )
        for name, (codec, b_frames, options) in SHAPES.items()
    ]


def replayed(path: Path) -> str:
    """Replay a recording; return the reason it gave, "" if it was whole.

    Raises AssertionError if it hangs, or fails in any other way than with a typed error.
    """
    outlet = Outlet()
    health: list[Health] = []
    ends: list[CameraError | None] = []
    thread = CameraThread(
        CameraName("fuzz"),
        parse_source(str(path)),
        fps=4.0,
        seconds=1.0,
        stride_seconds=0.5,
        pixels=63_504,
        speed=None,
        loop=False,
        replay=True,
        outlet=outlet,
        on_health=health.append,
        on_info=lambda info: None,
        on_end=ends.append,
        clock=SystemClock(),
        random=lambda: 0.5,
    )
    thread.start()
    assert thread.join(LONGEST_SECONDS), "hangs"
    assert len(ends) == 1
    error = ends[0]
    assert error is None or error.reason != "internal", str(error)
    return "" if error is None else error.reason


def replay_mutated(data: bytes, suffix: str, reasons: Counter[str]) -> None:
    """Write a damaged recording to a file of its own and replay it."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        reasons[replayed(Path(file.name)) or "whole"] += 1
