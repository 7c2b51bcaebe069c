"""Footage for `bench.decode`: recordings as cameras and recorders encode them.

Made at the first call and kept in the temporary folder. What is seen are real clips where the
checkout has its neighbour `shared/footage`, enlarged, with a sensor's noise on top; the drawn
drive elsewhere. `Recording.kind` says which.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from edgewatch.pipeline.scenes.drawn.drive import DriveScene

FOLDER = Path(tempfile.gettempdir()) / "edgewatch-bench"

REAL_FOOTAGE = Path(__file__).resolve().parents[2] / "shared" / "footage"
REAL_CLIPS = (
    "fixed_normal_taxi_street.mp4",
    "drive_normal_forest_road.mp4",
    "fixed_normal_side_street.mp4",
    "drive_normal_highway.mp4",
    "fixed_crash_motorbikes.mp4",
    "fixed_fight_room.mp4",
)
"""Of 640 pixels width and about 25 pictures a second; each picture is shown once."""

NOISE_DEVIATION = 2.0
"""Of brightness, in steps of 8 bits: a small sensor by day."""
SEED = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """How a recording is encoded."""

    name: str
    width: int
    height: int
    fps: int
    gop: int
    options: dict[str, str] = field(default_factory=dict)


B_FRAMES = Shape("b_frames", 1920, 1080, 30, 30, {"preset": "medium"})
"""x264's own choice of B-frames: up to 3 in a row, the middle one referred to. Closed groups."""
P_ONLY = Shape("p_only", 1920, 1080, 30, 60, {"preset": "medium", "bf": "0"})
SUB_STREAM = Shape("sub_stream", 640, 360, 15, 30, {"preset": "medium", "bf": "0", "crf": "26"})
"""A network camera's second stream."""


def recording(shape: Shape, seconds: float, folder: Path = FOLDER) -> Path:
    """Return the path of an mp4 of that shape and length, made at the first call and kept."""
    path = folder / f"{_name(shape)}-{seconds:g}s.mp4"
    return _kept(path, lambda unfinished: _encode(shape, seconds, unfinished))


def repeated(shape: Shape, seconds: float, times: int, folder: Path = FOLDER) -> Path:
    """Return the path of a recording put behind itself `times` times, not encoded again."""
    once = recording(shape, seconds, folder)
    path = folder / f"{_name(shape)}-{seconds:g}s-x{times}.mp4"
    return _kept(path, lambda unfinished: _repeat(once, seconds, times, unfinished))


def excerpt(shape: Shape, whole_seconds: float, seconds: float, folder: Path = FOLDER) -> Path:
    """Return the path of the first `seconds` of a recording, cut at a key frame, packets as is."""
    whole = recording(shape, whole_seconds, folder)
    path = folder / f"{_name(shape)}-{whole_seconds:g}s-first-{seconds:g}s.mp4"
    return _kept(path, lambda unfinished: _cut(whole, round(seconds * shape.fps), unfinished))


def content() -> str:
    """Say what is seen in the recordings."""
    return "real" if _real_clips() else "drawn"


def _name(shape: Shape) -> str:
    return f"{content()}-{shape.name}"


def _kept(path: Path, make: Callable[[Path], None]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as work:
            unfinished = Path(work) / path.name
            make(unfinished)
            unfinished.replace(path)
    return path


def _encode(shape: Shape, seconds: float, path: Path) -> None:
    noise = SensorNoise(shape.width, shape.height)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=shape.fps)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = shape.width, shape.height, "yuv420p"
        stream.options = {"sc_threshold": "0", **shape.options}  # groups all of one length
        stream.codec_context.gop_size = shape.gop
        pictures = _pictures(shape)
        for index in range(round(seconds * shape.fps)):
            picture = next(pictures).reformat(
                shape.width, shape.height, "yuv420p", interpolation="BICUBIC"
            )
            frame = av.VideoFrame.from_ndarray(noise.over(picture), format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, shape.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class SensorNoise:
    """Noise that is never the same in two pictures, from one drawn field at changing places."""

    def __init__(self, width: int, height: int) -> None:
        self._random = np.random.default_rng(SEED)
        self._size = (height, width)
        field_size = (height + 64, width + 64)
        self._field = np.rint(self._random.normal(0.0, NOISE_DEVIATION, field_size)).astype(np.int8)

    def over(self, picture: av.VideoFrame) -> npt.NDArray[np.uint8]:
        """Return the planes of a yuv420p picture with noise on its brightness."""
        height, width = self._size
        down, across = self._random.integers(0, 64, 2)
        noise = self._field[down : down + height, across : across + width]
        # A copy: the decoder may still refer to the picture itself
        planes = picture.to_ndarray().astype(np.uint8, copy=True)
        luma = planes[:height]
        luma[:] = np.clip(luma.astype(np.int16) + noise, 16, 235)
        return planes


def _pictures(shape: Shape) -> Iterator[av.VideoFrame]:
    """Yield pictures without end, of any size."""
    clips = _real_clips()
    if not clips:
        scene = DriveScene(SEED, (640, 360), shape.fps, duration_seconds=8.0)
        drawn = [av.VideoFrame.from_ndarray(pixels, format="rgb24") for pixels in scene.frames()]
        yield from cycle(drawn)
    for clip in cycle(clips):
        with av.open(str(clip)) as container:
            yield from container.decode(container.streams.video[0])


def _real_clips() -> list[Path]:
    return [path for name in REAL_CLIPS if (path := REAL_FOOTAGE / name).is_file()]


def _repeat(once: Path, seconds: float, times: int, path: Path) -> None:
    with av.open(str(path), "w") as out, av.open(str(once)) as container:
        source = container.streams.video[0]
        assert source.time_base is not None
        stream = out.add_stream_from_template(source)
        for repeat in range(times):
            shift = round(repeat * seconds / source.time_base)
            container.seek(0)
            for packet in container.demux(source):
                if packet.dts is None or packet.pts is None:
                    continue  # the demuxer's last, empty packet
                packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                packet.stream = stream
                out.mux(packet)


def _cut(whole: Path, pictures: int, path: Path) -> None:
    with av.open(str(path), "w") as out, av.open(str(whole)) as container:
        source = container.streams.video[0]
        stream = out.add_stream_from_template(source)
        for index, packet in enumerate(container.demux(source)):
            if packet.dts is None or (packet.is_keyframe and index >= pictures):
                return
            packet.stream = stream
            out.mux(packet)


def non_reference_share(path: Path) -> float:
    """Return which share of an mp4's H.264 pictures no other picture refers to.

    Source: ITU-T H.264, 7.4.1: `nal_ref_idc` of a picture's slices is 0, or of none of them.
    """
    unreferenced = pictures = 0
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                pictures += 1
                unreferenced += not is_referred_to(bytes(packet))
    return unreferenced / pictures


def is_referred_to(access_unit: bytes) -> bool:
    """Whether an H.264 picture may be referred to; NAL units with 4 bytes of length, as in mp4."""
    at = 0
    while at + 4 < len(access_unit):
        header = access_unit[at + 4]
        if 1 <= header & 31 <= 5:  # a slice
            return header >> 5 & 3 != 0
        at += 4 + int.from_bytes(access_unit[at : at + 4], "big")
    return True
