from __future__ import annotations

import functools
import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.video import probe
from tests.fakes.clock import ManualClock
from tests.fakes.videos import write_video
from tests.integration.camera_watch import LONG_SECONDS, CameraWatch, watching
from tests.integration.conftest import RtspServer

pytestmark = pytest.mark.integration


def test_a_camera_over_rtsp_is_online_and_gives_clips(rtsp_server: RtspServer) -> None:
    watch = CameraWatch(rtsp_server.url())
    with watching(watch):
        assert watch.next_health().state == "connecting"
        assert watch.next_health().state == "online"
        clips = [watch.next_clip() for _ in range(3)]
        info = watch.next_info()
    assert (info.codec, info.width, info.height) == ("h264", 160, 120)
    assert info.duration_seconds is None
    for clip in clips:
        assert len(clip.frames) == 4
        assert clip.duration_seconds == pytest.approx(1.0, abs=0.3)
        assert clip.frames[0].pixels.shape == (112, 140, 3)
        assert clip.frames[0].pixels.std() > 5  # the ball, not an empty picture
    assert clips[0].start_seconds < clips[1].start_seconds < clips[2].start_seconds


def test_a_password_with_special_characters_opens_the_camera(rtsp_available: None) -> None:
    server = RtspServer(password="p@ss/w:rd#?%20")
    server.start()
    try:
        source = parse_source(
            f"rtsp://{server.user}@127.0.0.1:{server.port}/live", password=server.password
        )
        assert probe(source, Reading()).codec == "h264"
    finally:
        server.stop()


def test_a_wrong_path_is_not_found(rtsp_server: RtspServer) -> None:
    watch = CameraWatch(rtsp_server.url(path="/nothing"))
    with watching(watch):
        watch.next_health()
        offline = watch.next_health()
    assert (offline.state, offline.reason) == ("offline", "not_found")


def test_a_server_that_accepts_and_says_nothing_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = parse_source(f"rtsp://admin:hush@127.0.0.1:{silent.getsockname()[1]}/live")
        with pytest.raises(CameraError) as caught:
            probe(source, Reading(open_seconds=0.5, read_seconds=0.5))
    assert caught.value.reason == "timed_out"
    assert "hush" not in str(caught.value)


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            if self.path.startswith("/locked"):
                self.send_error(401)
            else:
                super().do_GET()

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_recording_behind_http_is_played_in_real_time_and_ends(tmp_path: Path) -> None:
    write_video(tmp_path / "door.mp4", faststart=True)
    clock = ManualClock()
    began_seconds = clock.monotonic_seconds()
    with web_server(tmp_path) as address:
        watch = CameraWatch(f"{address}/door.mp4", clock=clock)
        watch.thread.start()
        assert watch.ended.get(timeout=LONG_SECONDS) is None
        assert watch.thread.join(LONG_SECONDS)
    assert [watch.next_health().state for _ in range(2)] == ["connecting", "online"]
    assert watch.next_health().reason == "ended"
    assert watch.clips.qsize() >= 10
    assert clock.monotonic_seconds() - began_seconds == pytest.approx(7.8, abs=0.2)


@contextmanager
def motion_jpeg_server(picture: bytes) -> Iterator[str]:
    """Serve one picture again and again, twenty times a second, as simple IP cameras do."""
    stopping = threading.Event()

    class Stream(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            with suppress(OSError):  # the camera thread hung up
                while not stopping.wait(0.05):
                    self.wfile.write(head.encode() + picture + b"\r\n")

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
        finally:
            stopping.set()
            server.shutdown()
            thread.join()


def test_motion_jpeg_over_http_is_timed_by_its_arrival(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mjpeg", codec="mjpeg", pixel_format="yuvj420p", frames=1, created=None
    )
    with motion_jpeg_server(path.read_bytes()) as url, watching(watch := CameraWatch(url)):
        assert [watch.next_health().state for _ in range(2)] == ["connecting", "online"]
        clips = [watch.next_clip() for _ in range(3)]
    for clip in clips:
        captured = [frame.captured_seconds for frame in clip.frames]
        media = [frame.media_seconds for frame in clip.frames]
        assert media[-1] - media[0] == pytest.approx(captured[-1] - captured[0], abs=0.3)


def test_a_clock_that_is_set_ends_the_window_and_the_next_has_the_new_time(
    rtsp_server: RtspServer,
) -> None:
    clock = ManualClock()
    watch = CameraWatch(rtsp_server.url(), clock=clock)
    watch.thread.start()
    before = watch.next_clip()
    clock.set_wall(clock.wall_seconds() + 3600.0)
    while (after := watch.next_clip()).start_seconds < before.start_seconds + 3000.0:
        assert after.duration_seconds < 2.0
    assert after.duration_seconds < 2.0
    watch.thread.stop()
    assert watch.thread.join(LONG_SECONDS)


@pytest.mark.parametrize(
    ("path", "reason"),
    [("/locked.mp4?key=hush", "authentication"), ("/gone.mp4", "not_found"), ("/", "unreadable")],
)
def test_what_a_web_server_refuses_has_its_reason(tmp_path: Path, path: str, reason: str) -> None:
    with web_server(tmp_path) as address, pytest.raises(CameraError) as caught:
        probe(parse_source(f"{address}{path}"), Reading())
    assert caught.value.reason == reason
    assert "hush" not in str(caught.value)
