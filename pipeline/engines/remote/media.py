"""Media: a clip's pixels as an mp4 or as JPEGs, in memory, for a server that reads files."""

from __future__ import annotations

import io
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

Frames = npt.NDArray[np.uint8]
"""RGB, shape (frames, height, width, 3)."""

VIDEO_QUALITY = "12"
"""x264's constant rate factor: on driving footage 1 to 2 dB from what yuv420p alone costs, at two
thirds of the size of lossless (which needs a profile that hardware decoders lack)."""
JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """The frames that a server is sent, and their rate."""

    frames: Frames
    fps: float


def retimed(frames: Frames, fps: float, wanted_fps: float | None) -> Shown:
    """Return an even number of frames at about `wanted_fps`, from first to last; None: as it is.

    For a server that takes a rate for granted: a clip at another would seem slower or faster
    than it was. Frames are left out, or shown again, never mixed. The rate returned is the true
    one of what is shown.
    """
    count = len(frames)
    if wanted_fps is None or fps == wanted_fps:
        return Shown(frames, fps)
    kept = max(2, 2 * round(count * wanted_fps / fps / 2))
    if kept >= count or count % kept == 0:
        return Shown(frames[np.arange(kept) * count // kept], fps * kept / count)
    chosen = np.linspace(0, count - 1, kept).round().astype(int)
    return Shown(frames[chosen], fps * (kept - 1) / (count - 1))


def mp4_of(shown: Shown) -> bytes:
    """Encode frames as H.264 in mp4; frame n is shown at exactly n / fps.

    yuv420p, as hardware decoders (which a NIM may use) know no 4:4:4; no B-frames, so that times
    stand as they are and a reader that seeks frame by frame (OpenCV) finds each; BT.601 in the
    small range, which OpenCV takes for granted, and said so in the stream. One thread: the same
    clip gives the same bytes, and a small box has other work.
    """
    rate = Fraction(shown.fps).limit_denominator(1001)
    count, height, width, _ = shown.frames.shape
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        coder = stream.codec_context
        coder.time_base = 1 / rate
        coder.gop_size, coder.max_b_frames = count, 0
        coder.thread_count = 1
        coder.colorspace, coder.color_range = Colorspace.SMPTE170M, ColorRange.MPEG
        coder.options = {"crf": VIDEO_QUALITY, "preset": "superfast"}
        for number, pixels in enumerate(shown.frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=Colorspace.SMPTE170M,
                dst_color_range=ColorRange.MPEG,
            )
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()


def jpegs_of(shown: Shown) -> list[bytes]:
    """Encode each frame as a JPEG without colour subsampling. Raises ValueError."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        JPEG_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    pictures = []
    for pixels in shown.frames:
        done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
        if not done:
            raise ValueError(f"no JPEG of a frame of shape {pixels.shape}")
        pictures.append(data.tobytes())
    return pictures
