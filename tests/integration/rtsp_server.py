"""A real RTSP server with a moving test picture, for tests: run it with the system's Python.

Prints its port on one line when it is ready; ends when its standard input is closed. Listens on
loopback only. Each stream is 160x120, 15 pictures a second, and has its path: /live, /h265, ...
Each client has an encoder of its own, but at /rare-keys: GStreamer's server fails assertions now
and then where several clients come to the same media at the same time.

A line on standard input is an order, answered by `ok` on standard output:
  drop             breaks every connection
  serve STREAM     /live is from now on that stream, for who connects then
  resize W H       the streams that run change their picture's size
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import gi  # type: ignore[import-not-found] # a system package, never in the virtual environment

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found] # noqa: E402 - versions come first
    Gio,
    GLib,
    Gst,
    GstRtsp,
    GstRtspServer,
)

ROLE = "viewer"
H264 = "x264enc speed-preset=ultrafast tune=zerolatency key-int-max={keys}"
STREAMS = {
    "live": f"{H264.format(keys=15)} ! rtph264pay config-interval=1",
    # Two pictures in three are B, and the last of a group refers to the next key frame.
    "b-frames": "x264enc speed-preset=ultrafast key-int-max=15 bframes=2 b-adapt=false "
    "rc-lookahead=0 sync-lookahead=0 option-string=open-gop=1 ! rtph264pay config-interval=1",
    "h265": "x265enc speed-preset=ultrafast tune=zerolatency key-int-max=15 "
    "! rtph265pay config-interval=1",
    "mjpeg": "jpegenc ! rtpjpegpay",
    "rare-keys": f"{H264.format(keys=45)} ! rtph264pay config-interval=-1",
}
SOURCE = (
    "videotestsrc is-live=true pattern=ball ! videoscale ! videoconvert "
    "! capsfilter name=shape caps={shape} "
)
SHAPE = "video/x-raw,format=I420,width={width},height={height},framerate=15/1"


class Camera:
    """The server, and the media that run in it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._login = (options.user, options.password)
        self._media: list[GstRtspServer.RTSPMedia] = []
        self._server = GstRtspServer.RTSPServer.new()
        self._server.set_address("127.0.0.1")
        self._server.set_service(str(options.port))
        self._server.set_auth(self._auth(options.digest, options.certificate))
        for name in STREAMS:
            self._mount(name, name)

    def listen(self) -> int:
        """Return the port it listens on, 0 if that is taken."""
        return self._server.get_bound_port() if self._server.attach(None) else 0

    def drop(self) -> None:
        for client in self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REF):
            client.close()

    def serve(self, stream: str) -> None:
        self._mount("live", stream)

    def resize(self, width: str, height: str) -> None:
        caps = Gst.Caps.from_string(SHAPE.format(width=width, height=height))
        for media in self._media:
            media.get_element().get_by_name("shape").set_property("caps", caps)

    def _mount(self, path: str, stream: str) -> None:
        permissions = GstRtspServer.RTSPPermissions.new()
        permissions.add_role(ROLE)
        for action in ("access", "construct"):
            permissions.add_permission_for_role(ROLE, f"media.factory.{action}", True)
        factory = GstRtspServer.RTSPMediaFactory.new()
        shape = SHAPE.format(width=160, height=120)
        factory.set_launch(f"( {SOURCE.format(shape=shape)} ! {STREAMS[stream]} name=pay0 )")
        factory.set_shared(path == "rare-keys")
        factory.set_permissions(permissions)
        factory.connect("media-configure", self._took_shape)
        self._server.get_mount_points().add_factory(f"/{path}", factory)

    def _took_shape(self, _: object, media: GstRtspServer.RTSPMedia) -> None:
        self._media.append(media)
        media.connect("unprepared", self._media.remove)

    def _auth(self, digest: bool, certificate: str | None) -> GstRtspServer.RTSPAuth:
        token = GstRtspServer.RTSPToken.new()
        token.set_string("media.factory.role", ROLE)
        auth = GstRtspServer.RTSPAuth.new()
        if digest:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(*self._login, token)
        else:
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*self._login), token)
        if certificate:
            pem = Path(certificate).read_text("ascii")
            auth.set_tls_certificate(Gio.TlsCertificate.new_from_pem(pem, -1))
        return auth


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--user", required=True)
    arguments.add_argument("--password", required=True)
    arguments.add_argument("--digest", action="store_true", help="instead of basic")
    arguments.add_argument("--certificate", help="PEM with its key: speaks RTSPS")
    options = arguments.parse_args()

    Gst.init(None)
    camera = Camera(options)
    port = camera.listen()
    if not port:
        sys.exit(f"port {options.port} is taken")
    orders: dict[str, Callable[..., None]] = {
        "drop": camera.drop,
        "serve": camera.serve,
        "resize": camera.resize,
    }

    loop = GLib.MainLoop()
    GLib.io_add_watch(
        sys.stdin.fileno(),
        GLib.PRIORITY_DEFAULT,
        GLib.IO_IN | GLib.IO_HUP,
        lambda *_: obey(orders) or loop.quit(),
    )
    say(str(port))
    loop.run()


def obey(orders: dict[str, Callable[..., None]]) -> bool:
    """Carry out the next order; False when there are no more."""
    words = sys.stdin.readline().split()
    if not words:
        return False
    orders[words[0]](*words[1:])
    say("ok")
    return True


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
