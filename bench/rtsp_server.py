"""A network recorder with one moving test picture: run it with the system's Python.

    /usr/bin/python3 rtsp_server.py --port 0

Prints its port on one line when it is ready; ends when its standard input is closed. Listens on
loopback only. Stream: H.264, 320 x 240, 15 pictures a second, a key frame every second, at /live;
encoded once for all who watch.
"""

from __future__ import annotations

import argparse
import sys

import gi  # type: ignore[import-not-found] # a system package, never in the virtual environment

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import (  # type: ignore[import-not-found] # noqa: E402 - versions come first
    GLib,
    Gst,
    GstRtspServer,
)

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 threads=1 "
    "! rtph264pay name=pay0 config-interval=1 )"
)


def main() -> None:
    """Serve until standard input is closed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    options = arguments.parse_args()
    Gst.init(None)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")
    loop = GLib.MainLoop()
    GLib.io_add_watch(
        sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_HUP, lambda *_: loop.quit()
    )
    print(server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main()
