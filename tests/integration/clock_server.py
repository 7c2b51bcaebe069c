"""RTSP cameras whose pictures show, for machines, when they were made: run with system Python.

Prints its port; ends when its standard input is closed. A line `drop` there breaks every
connection, and is answered by `ok`. Streams are 320x240, 15 pictures a second, at /h264,
/b-frames, /h265 and /mjpeg, one encoder a client. The upper half of a picture is 40 bars, black
or white: the Unix time of its making in milliseconds, modulo 2^40, highest bit left (`clock_bars`
reads it). Below, a block moves over a gradient.
"""

from __future__ import annotations

import sys
import time

import gi  # type: ignore[import-not-found] # a system package, never in the virtual environment

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found] # noqa: E402 - versions come first
    GLib,
    Gst,
    GstRtspServer,
)

WIDTH, HEIGHT, FPS, BITS = 320, 240, 15, 40
X264 = "x264enc speed-preset=ultrafast key-int-max=15"
STREAMS = {
    "h264": f"{X264} tune=zerolatency ! rtph264pay config-interval=1",
    "b-frames": f"{X264} bframes=2 b-adapt=false rc-lookahead=0 sync-lookahead=0 "
    "option-string=open-gop=1 ! rtph264pay config-interval=1",
    "h265": "x265enc speed-preset=ultrafast tune=zerolatency key-int-max=15 "
    "! rtph265pay config-interval=1",
    "mjpeg": "jpegenc ! rtpjpegpay",
}
SOURCE = (
    "appsrc name=clock is-live=true format=time block=false do-timestamp=true "
    f"caps=video/x-raw,format=I420,width={WIDTH},height={HEIGHT},framerate={FPS}/1 "
)
GRADIENT = bytes(40 + 120 * column // WIDTH for column in range(WIDTH))
CHROMA = bytes([128]) * (WIDTH * HEIGHT // 2)


def picture(number: int) -> bytes:
    milliseconds = time.time_ns() // 1_000_000 % (1 << BITS)
    bar = WIDTH // BITS
    bars = b"".join(
        (b"\xeb" if milliseconds >> (BITS - 1 - bit) & 1 else b"\x10") * bar for bit in range(BITS)
    )
    left = 10 + number * 3 % (WIDTH - 40)
    block = GRADIENT[:left] + b"\xd0" * 20 + GRADIENT[left + 20 :]
    half = HEIGHT // 2
    return bars * half + GRADIENT * 40 + block * 20 + GRADIENT * (half - 60) + CHROMA


class Clock:
    """Feeds one client's encoder for as long as it wants pictures."""

    def __init__(self, source: Gst.Element) -> None:
        self._source = source
        self._number = 0
        GLib.timeout_add(1000 // FPS, self._push)

    def _push(self) -> bool:
        buffer = Gst.Buffer.new_wrapped(picture(self._number))
        self._number += 1
        return bool(self._source.emit("push-buffer", buffer) == Gst.FlowReturn.OK)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(sys.argv[1] if len(sys.argv) > 1 else "0")
    clocks: list[Clock] = []

    def feed(_: object, media: GstRtspServer.RTSPMedia) -> None:
        clocks.append(Clock(media.get_element().get_by_name("clock")))

    for name, encoder in STREAMS.items():
        factory = GstRtspServer.RTSPMediaFactory.new()
        factory.set_launch(f"( {SOURCE} ! {encoder} name=pay0 )")
        factory.connect("media-configure", feed)
        server.get_mount_points().add_factory(f"/{name}", factory)
    server.attach(None)
    loop = GLib.MainLoop()

    def obey(*_: object) -> bool:
        if not sys.stdin.readline():
            loop.quit()
            return False
        for client in server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REF):
            client.close()
        say("ok")
        return True

    GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, obey)
    say(str(server.get_bound_port()))
    loop.run()


if __name__ == "__main__":
    main()
