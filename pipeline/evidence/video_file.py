"""An mp4 that is being written: packets as they came, or encoded anew where browsers want that.

The file is made of fragments of a second, so that what a killed process leaves can be played; when
it is closed it becomes an ordinary mp4 (FFmpeg's `hybrid_fragmented`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.codec import Codec, CodecContext
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edgewatch.pipeline import nal
from edgewatch.pipeline.evidence.placing import DecodeOrder, depth_of
from edgewatch.pipeline.evidence.trouble import EvidenceFailed, failed
from edgewatch.pipeline.preroll import Coding, KeptPacket

ENCODERS = ("libx264", "libopenh264", "h264_v4l2m2m", "mpeg4")
"""What the others are encoded with, whichever is there first; browsers don't play the last."""

_OPTIONS = {
    # Offsets may be negative: pictures out of order need no edit list then, and time begins at 0
    "movflags": "hybrid_fragmented+negative_cts_offsets",
    "frag_duration": "1000000",
    "flush_packets": "1",
}
_TICKS = Fraction(1, 90_000)
_X264 = {"preset": "veryfast", "crf": "23", "bf": "0", "threads": "1", "rc-lookahead": "10"}
_KEY_EVERY = 50
_ENOUGH_BYTES = 4096
"""Of a key frame tell most often what kind of stream it begins."""


class VideoFile(Protocol):
    """A video that is being written, by one thread."""

    @property
    def codec(self) -> str:
        """What it is written in."""

    @property
    def reencoded(self) -> bool:
        """Whether its pictures are not those that came, but encoded anew."""

    def write(self, packet: KeptPacket, tick: int) -> None:
        """Add a packet, at a place in ticks of its own time base. Raises EvidenceFailed."""

    def close(self) -> None:
        """Finish it, and bring it safely to the disk. Raises EvidenceFailed."""


def open_video_file(path: Path, first: Sequence[KeptPacket], name: str) -> VideoFile:
    """Begin a video. Raises EvidenceFailed.

    `first`: packets with which it begins, a key frame in front, to learn the stream's order from;
    they are not written yet. `name`: how the file is called in errors.
    """
    if first[0].coding.codec in nal.CODECS:  # browsers play them
        return _Copied(path, first, name)
    return _Encoded(path, first[0].coding, name)


class _Copied:
    reencoded = False

    def __init__(self, path: Path, first: Sequence[KeptPacket], name: str) -> None:
        coding = first[0].coding
        self.codec = coding.codec
        self._path, self._name = path, name
        self._prefix_bytes = nal.length_bytes(coding.codec, coding.extradata)
        self._order = DecodeOrder(depth_of(one.stamp for one in first))
        key = nal.with_start_codes(first[0].data, self._prefix_bytes)
        sets = nal.carried_sets(coding.codec, key)
        sets = sets or nal.parameter_sets(coding.codec, coding.extradata)
        key = nal.joined(sets) + key
        with _told(name, path):
            self._container = _opened(path)
            try:
                self._stream = _like(self._container, coding, key, name)
                self._container.start_encoding()
            except BaseException:
                _let_go(self._container)
                raise

    def write(self, packet: KeptPacket, tick: int) -> None:
        decoded, shown = self._order.stamps(tick)
        copy = av.Packet(nal.with_start_codes(packet.data, self._prefix_bytes))
        copy.stream = self._stream
        copy.time_base = packet.coding.time_base
        copy.dts, copy.pts = decoded, shown
        copy.duration = packet.duration
        copy.is_keyframe = packet.key
        with _told(self._name, self._path):
            self._container.mux(copy)

    def close(self) -> None:
        with _told(self._name, self._path):
            self._container.close()
            _sync(self._path)


class _Encoded:
    reencoded = True

    def __init__(self, path: Path, coding: Coding, name: str) -> None:
        self._path, self._name = path, name
        self.codec = encoder_name()
        self._stream: VideoStream | None = None
        self._last = -1
        with _told(name, path):
            try:
                decoder = CodecContext.create(coding.codec, "r")
            except ValueError as error:
                raise EvidenceFailed(f"{name}: {coding.codec} cannot be decoded") from error
            assert isinstance(decoder, VideoCodecContext)
            if coding.extradata:
                decoder.extradata = coding.extradata
            decoder.thread_count = 1
            self._decoder = decoder
            self._container = _opened(path)

    def write(self, packet: KeptPacket, tick: int) -> None:
        copy = av.Packet(packet.data)
        copy.time_base = packet.coding.time_base
        copy.pts = copy.dts = tick
        with _told(self._name, self._path):
            try:
                frames = self._decoder.decode(copy)
            except FFmpegError:
                return  # a damaged picture: the next one is another chance
            for frame in frames:
                self._encode(frame, packet.coding.time_base)

    def close(self) -> None:
        with _told(self._name, self._path):
            if self._stream is not None:
                self._container.mux(self._stream.encode(None))
            self._container.close()
            _sync(self._path)

    def _encode(self, frame: VideoFrame, time_base: Fraction) -> None:
        if frame.pts is None:
            return
        tick = round(frame.pts * time_base / _TICKS)
        if tick <= self._last:
            return
        if self._stream is None:
            self._stream = self._new_stream(frame)
        context = self._stream.codec_context
        picture = frame.reformat(context.width, context.height, "yuv420p", threads=1)
        picture.time_base, picture.pts = _TICKS, tick
        self._last = tick
        self._container.mux(self._stream.encode(picture))

    def _new_stream(self, frame: VideoFrame) -> VideoStream:
        options = _X264 if self.codec == "libx264" else {}
        stream = self._container.add_stream(self.codec, rate=25, options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = frame.width // 2 * 2, frame.height // 2 * 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = _TICKS
        stream.codec_context.gop_size = _KEY_EVERY
        return stream


def encoder_name() -> str:
    """Return what pictures are encoded with here. Raises EvidenceFailed if there is nothing."""
    for name in ENCODERS:
        with suppress(ValueError):
            return Codec(name, "w").name
    raise EvidenceFailed("this FFmpeg has no encoder for evidence of cameras without H.264/H.265")


def mended(broken: Path, whole: Path, name: str) -> float:
    """Write what a killed process left as an ordinary mp4; return its length in seconds.

    Raises EvidenceFailed, where nothing of it can be played among others.
    """
    seconds = 0.0
    with _told(name, broken), av.open(str(broken)) as source, _opened(whole) as target:
        if not source.streams.video:
            raise EvidenceFailed(f"{name}: nothing of it can be played")
        stream = target.add_stream_from_template(source.streams.video[0])
        if stream.codec_context.name == "hevc":
            stream.codec_context.codec_tag = "hvc1"
        try:
            for packet in source.demux(source.streams.video[0]):
                if packet.is_corrupt:
                    break  # the last fragment was cut off
                if packet.size and packet.pts is not None:
                    seconds = max(seconds, float(packet.pts * packet.time_base))
                    packet.stream = stream
                    target.mux(packet)
        except av.error.InvalidDataError:
            pass  # likewise
    with _told(name, whole):
        _sync(whole)
    if not seconds:
        raise EvidenceFailed(f"{name}: nothing of it can be played")
    return seconds


def _opened(path: Path) -> OutputContainer:
    return av.open(f"file:{path}", "w", format="mp4", container_options=dict(_OPTIONS))


def _like(container: OutputContainer, coding: Coding, key: bytes, name: str) -> VideoStream:
    """Add a stream of the kind that a key frame, with its parameter sets, begins."""
    stream = None
    for begins in (key[:_ENOUGH_BYTES], key):  # FFmpeg decodes what it is given
        with suppress(av.error.InvalidDataError, av.error.EOFError):
            stream = _from_sample(container, coding.codec, begins)
        if stream is not None:
            break
    if stream is None:
        raise EvidenceFailed(f"{name}: the stream's parameters are not known, or damaged")
    if coding.codec == "hevc":
        stream.codec_context.codec_tag = "hvc1"  # the tag that Safari and Chromium play
    stream.time_base = coding.time_base
    return stream


def _from_sample(container: OutputContainer, codec: str, sample: bytes) -> VideoStream | None:
    with av.open(io.BytesIO(sample), format=codec) as opened:
        template = opened.streams.video[0]
        known = template.codec_context.width and template.codec_context.extradata
        return container.add_stream_from_template(template) if known else None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _let_go(container: OutputContainer) -> None:
    with suppress(FFmpegError, OSError, ValueError):
        container.close()


@contextmanager
def _told(name: str, path: Path) -> Iterator[None]:
    """Put FFmpeg's errors into words; its own texts name the path."""
    try:
        yield
    except OSError as error:  # FFmpeg's errors of the system are OSErrors too
        raise failed(name, error) from error
    except FFmpegError as error:
        raise EvidenceFailed(f"{name}: {error.strerror or type(error).__name__}") from error
    except ValueError as error:
        raise EvidenceFailed(f"{name}: it cannot be written as mp4 ({error})") from error
