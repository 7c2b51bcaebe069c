"""A real RTSP server with a moving test picture, for tests: run it with the system's Python.

Prints its port on one line when it is ready; ends when its standard input is closed. Listens on
loopback only. Stream: H.264, 160x120, 15 pictures a second, a key frame every second, at /live.
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

ROLE = "viewer"
PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width=160,height=120,framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 "
    "! rtph264pay name=pay0 config-interval=1 )"
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--user", required=True)
    arguments.add_argument("--password", required=True)
    options = arguments.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    server.set_auth(login(options.user, options.password))
    server.get_mount_points().add_factory("/live", stream())
    if not server.attach(None):
        sys.exit(f"port {options.port} is taken")

    loop = GLib.MainLoop()
    GLib.io_add_watch(
        sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_HUP, lambda *_: loop.quit()
    )
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


def login(user: str, password: str) -> GstRtspServer.RTSPAuth:
    token = GstRtspServer.RTSPToken.new()
    token.set_string("media.factory.role", ROLE)
    auth = GstRtspServer.RTSPAuth.new()
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    return auth


def stream() -> GstRtspServer.RTSPMediaFactory:
    permissions = GstRtspServer.RTSPPermissions.new()
    permissions.add_role(ROLE)
    for action in ("access", "construct"):
        permissions.add_permission_for_role(ROLE, f"media.factory.{action}", True)
    factory = GstRtspServer.RTSPMediaFactory.new()
    factory.set_launch(PIPELINE)
    factory.set_shared(True)
    factory.set_permissions(permissions)
    return factory


if __name__ == "__main__":
    main()
