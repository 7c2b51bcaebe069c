"""A camera as no server would be on purpose: written on bare sockets, RTSP over TCP alone.

It shakes hands as RFC 2326 wants it, and then does to the camera thread what it was told to.
"""

from __future__ import annotations

import random
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

import av

from tests.fakes.videos import write_video

FPS = 15
GROUP = 15
"""Pictures from one key frame to the next."""
CLOCK_HZ = 90_000
STEP = CLOCK_HZ // FPS

Send = Callable[[bytes], None]
Show = Callable[["Line"], None]
"""What is done with a viewer once it plays; returns to break the connection."""

PLAYABLE = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
UNKNOWN_CODEC = "m=video 0 RTP/AVP 96\r\na=rtpmap:96 X-FUTURE/90000\r\n"
SOUND_ONLY = "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"


class Line:
    """The way to one viewer that plays: RTP packets, at the pace of a camera."""

    def __init__(self, send: Send, stopping: threading.Event) -> None:
        self._send = send
        self._stopping = stopping
        self._sequence = 65_000  # wraps soon
        self.stamp = 0xFFFF_0000  # so does this

    def pause(self, seconds: float) -> bool:
        """Wait; False when the server is to end."""
        return not self._stopping.wait(seconds)

    def hang(self) -> None:
        """Keep the connection and send nothing more."""
        self._stopping.wait()

    def picture(self, units: list[bytes]) -> bool:
        """Send the NAL units of the next picture and wait until another is due."""
        for number, unit in enumerate(units, 1):
            self.packet(unit, marker=number == len(units))
        self.stamp += STEP
        return self.pause(1.0 / FPS)

    def packet(self, payload: bytes, *, marker: bool) -> None:
        """Send one RTP packet of the picture that is due."""
        head = struct.pack(
            "!BBHII",
            0x80,
            96 | marker << 7,
            self._sequence & 0xFFFF,
            self.stamp & 0xFFFF_FFFF,
            0xED6E,
        )
        self._sequence += 1
        self.raw(b"$\0" + struct.pack("!H", len(head + payload)) + head + payload)

    def raw(self, content: bytes) -> None:
        """Send bytes as they are."""
        self._send(content)


@cache
def pictures() -> tuple[list[bytes], ...]:
    """Return a second of video: for each picture its NAL units, the first a key frame with sets."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_video(
            Path(folder) / "a.h264",
            width=160,
            height=120,
            fps=FPS,
            frames=GROUP,
            gop=GROUP,
            created=None,
        )
        with av.open(str(file)) as video:
            packets = [bytes(packet) for packet in video.demux() if packet.size]
    return tuple(
        [unit.rstrip(b"\0") for unit in packet.split(b"\0\0\1") if unit.rstrip(b"\0")]
        for packet in packets
    )


def endless(*, first: int = 0) -> Iterator[list[bytes]]:
    """Yield pictures for ever, from the one with index `first`, over and over."""
    while True:
        yield from pictures()[first:]
        first = 0


def show(line: Line) -> None:
    """Do as a good camera does."""
    for units in endless():
        if not line.picture(units):
            return


def mute(line: Line) -> None:
    """Answer PLAY, and then send nothing."""
    line.hang()


def falling_silent(line: Line) -> None:
    """Send for a second and a half, and then nothing more, on an open connection."""
    for _, units in zip(range(3 * FPS // 2), endless(), strict=False):
        line.picture(units)
    line.hang()


def between_keys(line: Line) -> None:
    """Begin with a picture that refers to others."""
    for units in endless(first=4):
        if not line.picture(units):
            return


def restarting_stamps(line: Line) -> None:
    """Send time stamps that fall back by an hour, and later leap ahead by ten, every 1.6 s."""
    for number, units in enumerate(endless(), 1):
        if number % 24 == 0:
            line.stamp += CLOCK_HZ * (-3_600 if number % 48 else 36_000)
        if not line.picture(units):
            return


def noise(line: Line) -> None:
    """Send RTP packets of noise."""
    source = random.Random(4)
    while line.picture([source.randbytes(source.randrange(1, 1_400))]):
        pass


def noise_in_pictures(line: Line) -> None:
    """Begin well, then send pictures whose insides are noise: heads of slices, and no sense."""
    source = random.Random(4)
    for number, units in enumerate(endless()):
        if number < 2 * FPS:
            sent = units
        else:
            sent = [unit[:1] + source.randbytes(len(unit)) for unit in units]
        if not line.picture(sent):
            return


def noise_on_the_line(line: Line) -> None:
    """Send neither RTP nor RTSP."""
    source = random.Random(4)
    while line.pause(0.05):
        line.raw(source.randbytes(1_000))


class HostileServer:
    """Answers each request by `answers` (method -> status; else 200) and shows `show`.

    With `show` None it accepts connections and never says a word. `media`: how DESCRIBE (SDP,
    RFC 4566) describes the stream. All three may be changed while it runs.
    """

    def __init__(
        self,
        show: Show | None = show,
        *,
        answers: Mapping[str, str] | None = None,
        media: str = PLAYABLE,
    ) -> None:
        self.show = show
        self.answers = dict(answers or {})
        self.requests: list[str] = []
        """Every request that came, from all viewers."""
        self.media = media
        self._stopping = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="hostile server")]
        self._changed = threading.Condition()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"rtsp://admin:hush-hush@127.0.0.1:{self.port}/live"

    def start(self) -> None:
        self._threads[0].start()

    def stop(self) -> None:
        """Break every connection and end."""
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        self._listener.close()

    def until_connected(self, count: int, *, timeout_seconds: float = 20.0) -> None:
        """Wait until so many viewers have connected."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._connections) >= count, timeout_seconds)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()[0]
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="hostile line")
            self._threads.append(thread)
            with self._changed:
                self._connections.append(connection)
                self._changed.notify_all()
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if self.show is None:
                self._stopping.wait()
                return
            buffer = b""
            while block := connection.recv(4096):
                buffer += block
                while b"\r\n\r\n" in buffer:
                    request, _, buffer = buffer.partition(b"\r\n\r\n")
                    if self._answer(connection, request.decode()):
                        self.show(Line(connection.sendall, self._stopping))
                        return

    def _answer(self, connection: socket.socket, request: str) -> bool:
        """Answer a request; True once the viewer is to be shown something."""
        self.requests.append(request)
        method, address = request.split()[:2]
        status = self.answers.get(method, "200 OK")
        number = request.lower().partition("cseq:")[2].split()[0]
        head = [f"RTSP/1.0 {status}", f"CSeq: {number}"]
        body = ""
        if status.startswith("401"):
            head.append('WWW-Authenticate: Basic realm="camera"')
        elif method == "DESCRIBE":
            body = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{self.media}"
            head += [f"Content-Base: {address}/", "Content-Type: application/sdp"]
            head.append(f"Content-Length: {len(body)}")
        elif method == "SETUP":
            head += ["Session: 7", "Transport: RTP/AVP/TCP;unicast;interleaved=0-1"]
        elif method == "PLAY":
            head.append("Session: 7")
        connection.sendall(("\r\n".join(head) + "\r\n\r\n" + body).encode())
        return method == "PLAY" and status.startswith("200")


@contextmanager
def serving(*servers: HostileServer) -> Iterator[None]:
    """Run servers for as long as the block lasts."""
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        yield
