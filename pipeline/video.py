"""An open video: PyAV's containers, packets and pictures behind our own types and errors.

PyAV's exceptions carry the URL with its password, and so does what FFmpeg logs: neither leaves
this module (see `refusals`).
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime
from fractions import Fraction
from typing import TypeVar

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from edgewatch.pipeline.bitstream import Syntax, syntax_of
from edgewatch.pipeline.errors import CameraRejected, CameraUnreachable
from edgewatch.pipeline.hardware import opened_with
from edgewatch.pipeline.lanes import Lane, Sizing, VideoPacket, in_line, side_by_side
from edgewatch.pipeline.opening import opened
from edgewatch.pipeline.pictures import Picture, Sampled
from edgewatch.pipeline.preroll import Coding
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.recordings import check_readable
from edgewatch.pipeline.refusals import no_picture, stalled, timed_out, translated, untrusted
from edgewatch.pipeline.selection import Selection, Timed
from edgewatch.pipeline.source import Source
from edgewatch.pipeline.types import SourceInfo

# FFmpeg's log lines hold URLs, and its callback into Python can deadlock on the GIL
av.logging.set_level(None)

T = TypeVar("T")

MOST_CORRUPT_PACKETS = 50
"""So many unreadable packets in a row, and a live stream is opened anew."""

# MJPEG over HTTP and bare elementary streams: FFmpeg makes their time up from a guessed rate
_UNSTAMPED_FORMATS = frozenset(("mpjpeg", "mjpeg", "h264", "hevc"))

_RTSP_PROBE_BYTES = 32_768
_LOOK_SECONDS = 0.5
"""A live source that is silent is asked again so often, until it has stalled or is stopped."""
_UNSPECIFIED_PICTURE_SECONDS = 0.04
_USUAL_TIME_BASE = Fraction(1, 90_000)
_EARLIEST_CREATION_SECONDS = 315_532_800.0  # 1980: recorders without a clock say 1904 or 1970


class VideoInput:
    """An open source. Used and closed by one thread."""

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        source: Source,
        reading: Reading,
        stopped: Callable[[], bool],
    ) -> None:
        self._container = container
        self._stream = stream
        self._source = source
        self._reading = reading
        self._stopped = stopped
        self._read_until_seconds = 0.0
        self._first_packet_seconds: float | None = None
        self._corrupt_in_a_row = 0
        self._obstacle = ""
        self.corrupt_packets = 0
        self.pictures_decoded = 0

    @property
    def obstacle(self) -> str:
        """Why every picture is decoded at present; empty while only what is needed is."""
        return self._obstacle

    @property
    def is_finite(self) -> bool:
        """Whether it is a recording: it has an end."""
        if self._source.kind == "http":
            return bool(self._container.duration)
        return self._source.kind == "file"

    @property
    def has_stamps(self) -> bool:
        """Whether its pictures carry times at all; if not, a live one's are when they arrive."""
        return self._container.format.name not in _UNSTAMPED_FORMATS

    @property
    def coding(self) -> Coding:
        """What a decoder must know of its packets."""
        codec = self._stream.codec_context
        return Coding(
            codec=codec.codec.canonical_name,
            width=codec.width,
            height=codec.height,
            extradata=codec.extradata or b"",
            time_base=self._stream.time_base or _USUAL_TIME_BASE,
        )

    @property
    def picture_seconds(self) -> float:
        """Declared distance of two pictures, or a usual one."""
        rate = self._declared_fps()
        return 1.0 / rate if rate else _UNSPECIFIED_PICTURE_SECONDS

    @property
    def sample_aspect_ratio(self) -> float:
        """Width of a pixel over its height, as coded (unrotated); 1.0 if it makes no sense."""
        ratio = self._stream.sample_aspect_ratio
        return float(ratio) if ratio and 0.1 <= ratio <= 10 else 1.0

    @property
    def missing_seconds(self) -> float:
        """How much of the recording its file declares but does not hold; once it was read."""
        declared = self._declared_seconds()
        if declared is None or self._first_packet_seconds is None:
            return 0.0
        missing = declared - (self._read_until_seconds - self._first_packet_seconds)
        return missing if missing > max(1.0, 0.05 * declared) else 0.0

    def describe(self, displayed_size: tuple[int, int]) -> SourceInfo:
        """Say what the source is; (width, height) of a picture is given as only it is upright."""
        duration = self._container.duration
        duration_seconds = duration / av.time_base if duration and self.is_finite else None
        return SourceInfo(
            codec=self._stream.codec_context.name,
            width=displayed_size[0],
            height=displayed_size[1],
            fps=self._declared_fps(),
            duration_seconds=duration_seconds,
            started_seconds=self._started_seconds(duration_seconds or 0.0),
            decoding=self._decoding(),
        )

    def sampled(
        self,
        choose: Callable[[float | None], T | None],
        *,
        area_pixels: int,
        lanes: int = 1,
        on_packet: Callable[[VideoPacket], None] | None = None,
    ) -> Generator[list[Sampled[T]], None, None]:
        """Yield the wanted pictures in order of presentation, after each packet those that are due.

        `choose` is asked once for every picture, in order, with its time in the stream's own
        count (None if it has none); it returns a ticket for a picture that is wanted. Only what
        these depend on is decoded, where the codec tells (see `obstacle`); pixels are those of a
        full decode. `area_pixels`: size of the result, see `target_size`. `lanes`: a recording's
        groups of pictures are decoded by so many threads. `on_packet` is given every packet.

        Ends with the source. Raises CameraError when it breaks before; a recording that breaks
        off just ends (see `missing_seconds`).
        """
        codec = self._stream.codec_context
        intra_only = bool(codec.codec.intra_only)
        syntax = syntax_of(codec.name, codec.extradata, intra_only=intra_only)
        time_base = self._stream.time_base

        def choose_at(stamp: int | None) -> T | None:
            if stamp is None or time_base is None:
                return choose(None)
            # Not float(stamp * time_base): a Fraction a picture costs more than the rest of this.
            return choose(stamp * time_base.numerator / time_base.denominator)

        sizing = Sizing(area_pixels, self.sample_aspect_ratio)
        selection = Selection[VideoPacket, T](choose_at, reordered=not intra_only)
        packets = self._timed_packets(syntax, on_packet)
        with ExitStack() as spare:
            first = [Lane[T](codec, sizing)]

            def new_lane() -> Lane[T]:
                return first.pop() if first else Lane(self._another_decoder(spare), sizing)

            results = (
                in_line(packets, selection, syntax, new_lane())
                if lanes == 1
                else side_by_side(packets, selection, syntax, new_lane, lanes)
            )
            with closing(results):
                for result in results:
                    self._obstacle = selection.obstacle
                    self.pictures_decoded += result.pictures
                    self.corrupt_packets += result.corrupt_pictures
                    self._count_corrupt(result.corrupt_packets, result.pictures)
                    yield result.sampled

    def _decoding(self) -> str:
        extent = f"every picture: {self._obstacle}" if self._obstacle else "what is needed"
        return f"{extent}, by hardware" if self._stream.codec_context.is_hwaccel else extent

    def first_picture(self) -> Picture | None:
        """Decode up to the first picture; None if there is none. Raises CameraError."""
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                self._count_corrupt(1, 0)
                continue
            if frames:
                return Picture(frames[0])
        return None

    def _count_corrupt(self, packets: int, pictures: int) -> None:
        self.corrupt_packets += packets
        self._corrupt_in_a_row = 0 if pictures else self._corrupt_in_a_row + packets
        if self._corrupt_in_a_row >= MOST_CORRUPT_PACKETS and not self.is_finite:
            raise CameraUnreachable(
                "corrupt", f"{self._source.display} sends video that cannot be decoded."
            )

    def _another_decoder(self, spare: ExitStack) -> VideoCodecContext:
        """Open the recording once more for its decoder: PyAV cannot copy all of a decoder's set-up.

        Raises CameraError if it was taken away meanwhile.
        """
        twin = spare.enter_context(open_video(self._source, self._reading))
        return twin._stream.codec_context

    def _timed_packets(
        self, syntax: Syntax, on_packet: Callable[[VideoPacket], None] | None
    ) -> Iterator[Timed[VideoPacket]]:
        for packet in self._packets():
            if not packet.size:  # the last one: PyAV's sign to bring out what is left
                continue
            if on_packet is not None:
                on_packet(packet)
            facts = syntax.read(memoryview(packet))
            times = packet.pts, packet.dts
            yield Timed(packet, *times, packet.size, facts, hidden=packet.is_discard)

    def _packets(self) -> Iterator[VideoPacket]:
        packets = self._container.demux(self._stream)
        heard_seconds = time.monotonic()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:
                # PyAV 18 trips over packets of a stream that appeared after opening (MPEG-TS):
                # they are none of ours, reading goes on behind them
                packets = self._container.demux(self._stream)
                continue
            except av.error.ExitError:
                if self._stopped():
                    return
                if time.monotonic() - heard_seconds >= self._reading.read_seconds:
                    raise stalled(self._source) from None
                packets = self._container.demux(self._stream)
                continue
            except av.error.FFmpegError as error:
                broken = isinstance(error, av.error.InvalidDataError) and self.is_finite
                if broken or self._source.kind == "file":
                    self.corrupt_packets += 1
                    return
                raise translated(error, self._source, while_reading=True) from None
            self._note_time(packet)
            yield packet
            heard_seconds = time.monotonic()

    def _note_time(self, packet: VideoPacket) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None:
            return
        seconds = float(stamp * packet.time_base)
        if self._first_packet_seconds is None:
            self._first_packet_seconds = seconds
        end_seconds = seconds + float((packet.duration or 0) * packet.time_base)
        self._read_until_seconds = max(self._read_until_seconds, end_seconds)

    def _declared_fps(self) -> float | None:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else None

    def _declared_seconds(self) -> float | None:
        stream = self._stream
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        if self._container.duration and len(self._container.streams) == 1:
            return self._container.duration / av.time_base
        return None  # a longer sound track may have set the container's duration

    def _started_seconds(self, duration_seconds: float) -> float | None:
        if self._source.kind != "file":
            return None
        with suppress(ValueError):
            created = datetime.fromisoformat(self._container.metadata.get("creation_time", ""))
            if created.tzinfo and created.timestamp() >= _EARLIEST_CREATION_SECONDS:
                return created.timestamp()
        return os.stat(self._source.location).st_mtime - duration_seconds


@contextmanager
def open_video(
    source: Source, reading: Reading, *, stopped: Callable[[], bool] = lambda: False
) -> Iterator[VideoInput]:
    """Open a source and close it on the same thread. Raises CameraError.

    Once `stopped` says so, opening ends with an error and reading just ends, both within half a
    second even where an RTSP source hangs.
    """
    if source.kind == "file":
        check_readable(source)
    began_seconds = time.monotonic()
    try:
        container = opened(lambda: _open(source, reading), stopped=stopped)
    except av.error.FFmpegError as error:
        waited_seconds = time.monotonic() - began_seconds
        if waited_seconds >= 0.9 * reading.open_seconds and source.kind == "rtsp":
            # A server that accepts and then says nothing: FFmpeg calls that invalid data
            raise timed_out(source) from None
        if reading.ca_file and error.errno == errno.EIO:  # what FFmpeg's TLS says
            raise untrusted(source) from None
        raise translated(error, source, while_reading=False) from None
    if container is None:
        raise CameraUnreachable("stopped", f"{source.display} was not opened: it is not wanted.")
    with container:
        yield VideoInput(container, _video_stream(container, source), source, reading, stopped)


def _open(source: Source, reading: Reading) -> InputContainer:
    read_seconds = reading.read_seconds
    if source.kind == "rtsp":  # where reading can go on after a time-out
        read_seconds = min(read_seconds, _LOOK_SECONDS)

    def opened_on(hardware: HWAccel | None) -> InputContainer:
        return av.open(
            f"file:{source.location}" if source.kind == "file" else source.location,
            format="v4l2" if source.kind == "device" else None,
            options=options_for(source, reading),
            metadata_errors="replace",
            timeout=(reading.open_seconds, read_seconds),
            hwaccel=hardware,
        )

    return opened_with(opened_on, reading.hwaccel)


def probe(source: Source, reading: Reading) -> SourceInfo:
    """Open a source, decode its first picture and say what it is. Raises CameraError."""
    with open_video(source, reading) as video:
        picture = video.first_picture()
        if picture is None:
            raise no_picture(source)
        return video.describe(picture.displayed_size(video.sample_aspect_ratio))


def options_for(source: Source, reading: Reading) -> dict[str, str]:
    """Return FFmpeg's options for a source; times in microseconds, as it wants them."""
    timeout = str(round(reading.open_seconds * 1e6))
    tls = {} if reading.ca_file is None else {"tls_verify": "1", "ca_file": reading.ca_file}
    match source.kind:
        case "rtsp":
            return {
                "rtsp_transport": reading.rtsp_transport,
                "allowed_media_types": "video",
                "timeout": timeout,
                "fpsprobesize": "0",  # "nobuffer" would throw the first key frame away
                "probesize": str(_RTSP_PROBE_BYTES),
                "analyzeduration": "500000",
                **tls,
            }
        case "http":
            return {"timeout": timeout, **tls}
        case _:
            return {}


def _video_stream(container: InputContainer, source: Source) -> VideoStream:
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic  # a sound file's cover
    ]
    if not streams:
        raise CameraRejected(
            "no_video", f"{source.display} has no video stream, only sound or data."
        )
    chosen = streams[0]
    if chosen.codec_context is None:
        raise CameraRejected(
            "unsupported_codec",
            f"{source.display} uses a video codec that this FFmpeg cannot decode: "
            "set the camera to H.264 or H.265.",
        )
    for stream in container.streams:
        if stream is not chosen:
            # Also makes the read time-out one of video: sound alone does not keep it alive
            stream.discard = Discard.all
    # One thread a camera: pictures come at once and in the same order every time
    chosen.codec_context.thread_count = 1
    return chosen
