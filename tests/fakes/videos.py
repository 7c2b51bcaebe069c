"""Small real videos, written with PyAV: what a camera or a recorder may hand us."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

Drawing = Callable[[int, int, int], npt.NDArray[np.uint8]]
"""(index, width, height) -> uint8 RGB picture, shape (height, width, 3)."""

CREATED = "2024-05-01T12:00:00Z"
CREATED_SECONDS = 1_714_564_800.0


def drifting_bar(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw a white bar that moves over a grey gradient: every picture is another one."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = np.linspace(40, 160, width, dtype=np.uint8)[None, :, None]
    left = index * 3 % width
    picture[:, left : left + max(4, width // 16)] = 255
    return picture


def noisy_scene(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw blobs that wander over texture, with noise: encoders find use for all their tools."""
    noise = np.random.default_rng(index).integers(0, 24, (height, width, 1))
    rows, columns = np.mgrid[0:height, 0:width]
    picture = (96 + 48 * np.sin(columns / 5 + index / 7) * np.cos(rows / 4))[..., None] + noise
    picture = np.repeat(picture, 3, axis=2)
    picture[(rows - height / 2) ** 2 + (columns - index * 2 % width) ** 2 < height] = (230, 60, 20)
    if index % 37 == 36:
        picture = 255 - picture  # a cut
    drawn: npt.NDArray[np.uint8] = np.clip(picture, 0, 255).astype(np.uint8)
    return drawn


def marked_corner(index: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Draw a red upper left quarter on blue."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 2] = 200
    picture[: height // 2, : width // 2] = (220, 0, 0)
    return picture


@contextmanager
def _usual_priority() -> Iterator[None]:
    """Take back what SVT-AV1 does to the thread that encodes: real-time priority, where it may.

    Whatever a test started later would inherit it; a browser then locks up a machine of two cores.
    """
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    width: int = 64,
    height: int = 48,
    fps: int | Fraction = 10,
    frames: int = 80,
    gop: int = 10,
    b_frames: int = 0,
    stamps: Sequence[float] | None = None,
    rotation: int = 0,
    sample_aspect_ratio: Fraction | None = None,
    pixel_format: str = "yuv420p",
    created: str | None = CREATED,
    faststart: bool = False,
    codec_options: Mapping[str, str] | None = None,
    draw: Drawing = drifting_bar,
) -> Path:
    """Write a video and return its path.

    `stamps`: each picture's time in seconds, growing, instead of index / fps. `rotation`:
    degrees counter-clockwise by which a player turns the pictures. `created`: the container's
    `creation_time`.
    """
    options = {"movflags": "faststart"} if faststart else {}
    with _usual_priority(), av.open(str(path), "w", options=options) as container:
        if created is not None:
            container.metadata["creation_time"] = created
        stream = container.add_stream(codec, rate=Fraction(fps))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.options = dict(codec_options or {})
        if sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if rotation:
            stream.set_display_rotation(rotation)
        time_base = Fraction(1, 1000) if stamps is not None else 1 / Fraction(fps)
        stream.codec_context.time_base = time_base
        for index in range(len(stamps) if stamps is not None else frames):
            frame = av.VideoFrame.from_ndarray(draw(index, width, height), format="rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.time_base = time_base
            frame.pts = index if stamps is None else round(stamps[index] * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path, *, seconds: float = 1.0, first_stream_id: int | None = None) -> Path:
    """Write a file with a sound track and no video; `first_stream_id`: its PID in MPEG-TS."""
    options = {} if first_stream_id is None else {"mpegts_start_pid": str(first_stream_id)}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("aac", rate=16_000)
        samples = np.zeros((1, 1024), np.float32)
        for index in range(round(seconds * 16_000 / 1024)):
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 16_000
            frame.pts = index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def truncate(path: Path, *, keep: float) -> Path:
    """Cut a file off after a share of its bytes."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    return path


def damage(path: Path, *, every: int, after: float) -> Path:
    """Invert one byte in `every`, behind the first `after` share of the file."""
    content = bytearray(path.read_bytes())
    for position in range(int(len(content) * after), len(content), every):
        content[position] ^= 0xFF
    path.write_bytes(content)
    return path
