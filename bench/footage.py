"""Footage to measure on: a drawn drive, encoded the way network cameras encode."""

from __future__ import annotations

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from edgewatch.pipeline.scenes.drawn.drive import DriveScene

SIZE = (640, 360)
FPS = 25
DRAWN_SECONDS = 8.0
"""Drawing costs more than all else, so a short stretch is drawn and repeated: what is measured
does not depend on what is seen."""
SEED = 3


def footage(seconds: float) -> Path:
    """Return the path of an mp4 of at least `seconds`, 640 x 360, made at the first call and kept.

    H.264 (main profile, 25 fps, a key frame every 2 s, no B-frames), about 0.4 Mbit/s. It is
    as long as `length_seconds` says.
    """
    folder = Path(tempfile.gettempdir()) / "edgewatch-bench"
    folder.mkdir(parents=True, exist_ok=True)
    kind = f"{SIZE[0]}x{SIZE[1]}-{FPS}fps-seed{SEED}"
    drawn = folder / f"drive-{kind}-{DRAWN_SECONDS:g}s.mp4"
    long = folder / f"drive-{kind}-{length_seconds(seconds):g}s.mp4"
    with tempfile.TemporaryDirectory(dir=folder) as work:
        unfinished = Path(work) / "footage.mp4"
        if not drawn.exists():
            _draw(unfinished)
            unfinished.replace(drawn)
        if not long.exists():
            _repeat(drawn, round(length_seconds(seconds) / DRAWN_SECONDS), unfinished)
            unfinished.replace(long)
    return long


def length_seconds(seconds: float) -> float:
    """Return how long the footage is that is at least `seconds` long."""
    return math.ceil(seconds / DRAWN_SECONDS) * DRAWN_SECONDS


def _draw(path: Path) -> None:
    scene = DriveScene(SEED, SIZE, FPS, duration_seconds=DRAWN_SECONDS)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        assert isinstance(stream, VideoStream)
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        stream.options = {"preset": "veryfast", "profile": "main", "crf": "28", "bf": "0"}
        stream.codec_context.gop_size = 2 * FPS
        for index, pixels in enumerate(scene.frames()):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _repeat(drawn: Path, times: int, path: Path) -> None:
    """Put the drawn stretch behind itself, without encoding it again."""
    with av.open(str(path), "w") as out:
        stream: VideoStream | None = None
        for repeat in range(times):
            with av.open(str(drawn)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                assert source.time_base is not None
                shift = round(repeat * DRAWN_SECONDS / source.time_base)
                for packet in container.demux(source):
                    if packet.dts is None or packet.pts is None:
                        continue  # the demuxer's last, empty packet
                    packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                    packet.stream = stream
                    out.mux(packet)
