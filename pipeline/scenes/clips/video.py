"""Video: pictures to H.264 in mp4 and back, with nothing in the file that tells of its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from edgewatch.pipeline.errors import SceneInvalid
from edgewatch.pipeline.types import Pixels

CODEC: Final = "libx264"
QUALITY: Final = 20
"""Constant rate factor: what a good camera sends."""
_KEY_SECONDS: Final = 2.0
_PRESET: Final = "superfast"
"""Half the time of the next slower one, for a third more bytes."""


def encode(path: Path, pictures: Iterable[Pixels], size: tuple[int, int], fps: float) -> int:
    """Write pictures, uint8 RGB of `size` (width, height), as yuv420p; gives their number.

    One thread: how x264 shares work out would change the bits. No B-frames: the order in the file
    is that of the pictures. BT.601 in the small range, as decoders take for granted of small
    pictures, and said so. Raises OSError.
    """
    rate = Fraction(fps).limit_denominator(1001)
    options = {"movflags": "+faststart", "fflags": "+bitexact"}
    count = 0
    with av.open(f"file:{path}", "w", format="mp4", options=options) as container:
        stream = container.add_stream(CODEC, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        coder = stream.codec_context
        coder.time_base = 1 / rate
        coder.gop_size, coder.max_b_frames = max(1, round(_KEY_SECONDS * fps)), 0
        coder.thread_count = 1
        coder.colorspace, coder.color_range = Colorspace.SMPTE170M, ColorRange.MPEG
        coder.options = {"crf": str(QUALITY), "preset": _PRESET, "threads": "1"}
        for pixels in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame = frame.reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.SMPTE170M,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = count, 1 / rate
            container.mux(stream.encode(frame))
            count += 1
        container.mux(stream.encode(None))
    return count


def decode(path: Path) -> Iterator[Pixels]:
    """Read the pictures of a video, uint8 RGB. Raises SceneInvalid if it is damaged, OSError."""
    try:
        with av.open(f"file:{path}", timeout=(10.0, 10.0)) as container:
            if not container.streams.video:
                raise SceneInvalid(f"{path.name}: holds no video")
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for frame in container.decode(stream):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except av.error.FileNotFoundError:
        raise
    except av.FFmpegError as error:
        raise SceneInvalid(f"{path.name}: is damaged or cut off: {error.strerror}") from error
