"""What happens to cameras in the field, with GStreamer's RTSP server: they must be judged again."""

from __future__ import annotations

import random
import time

import pytest

from tests.integration.camera_watch import RECOVERY_SECONDS, WINDOW_SECONDS, CameraWatch, watching
from tests.integration.rtsp_cameras import RtspCameras, running

pytestmark = pytest.mark.integration


def test_dropped_session_is_opened_again_at_once(rtsp_available: None) -> None:
    # With the delays of the field: after a short outage they must be short by themselves.
    with running(RtspCameras()) as cameras:
        watch = CameraWatch(cameras.url(), random=random.random)
        with watching(watch):
            watch.until_judged()
            dropped_seconds = time.monotonic()
            cameras.order("drop")
            lost = watch.until_offline()
            assert lost.reason == "ended"
            watch.until_judged()
            assert time.monotonic() - dropped_seconds <= WINDOW_SECONDS + RECOVERY_SECONDS + 1.0
            assert watch.thread.stats().reconnects == 1


def test_server_that_stops_is_watched_again_when_it_is_back(rtsp_available: None) -> None:
    with running(RtspCameras()) as cameras:
        watch = CameraWatch(cameras.url(), random=random.random)
        with watching(watch):
            watch.until_judged()
            cameras.stop()
            assert watch.until_offline().reason == "ended"
            assert watch.until_offline().reason == "unreachable"
            cameras.start()
            watch.until_judged()


def test_other_codec_after_a_reconnect_is_judged(rtsp_available: None) -> None:
    with running(RtspCameras()) as cameras:
        watch = CameraWatch(cameras.url())
        with watching(watch):
            watch.until_judged()
            assert watch.next_info().codec == "h264"
            for stream, codec in (("h265", "hevc"), ("mjpeg", "mjpeg")):
                cameras.order(f"serve {stream}")
                cameras.order("drop")
                assert watch.until_offline().reason == "ended"
                watch.until_judged()
                assert watch.next_info().codec == codec


def test_size_that_changes_in_mid_stream_begins_a_new_window(rtsp_available: None) -> None:
    with running(RtspCameras()) as cameras:
        watch = CameraWatch(cameras.url())
        with watching(watch):
            watch.until_online()
            small = watch.next_clip()
            cameras.order("resize 320 240")
            clips = [watch.next_clip()]
            while clips[-1].frames[0].pixels.shape == small.frames[0].pixels.shape:
                clips.append(watch.next_clip())
            clips.append(watch.next_clip())
        assert watch.health.empty()
        assert watch.thread.stats().reconnects == 0
    for clip in clips:
        assert len({frame.pixels.shape for frame in clip.frames}) == 1
    assert clips[-1].frames[0].pixels.shape == (224, 280, 3)
    assert clips[-1].start_seconds - small.end_seconds < RECOVERY_SECONDS


@pytest.mark.long  # with the hostile server, which needs not wait for two cameras, in make test
def test_stream_joined_between_key_frames_is_judged_from_the_next(rtsp_available: None) -> None:
    with running(RtspCameras()) as cameras:
        first = CameraWatch(cameras.url(path="/rare-keys"))
        second = CameraWatch(cameras.url(path="/rare-keys"))
        with watching(first):
            first.until_online()
            first.next_clip()  # the shared stream now stands between two key frames
            with watching(second):
                second.until_online()
                clips = [second.next_clip() for _ in range(2)]
    for clip in clips:
        assert len(clip.frames) == 4
        # The ball is white on black: pictures without their reference are grey all over.
        assert all((frame.pixels < 40).mean() > 0.5 for frame in clip.frames)


def test_server_that_hangs_is_stalled_and_watched_again_when_it_goes_on(
    rtsp_available: None,
) -> None:
    with running(RtspCameras()) as cameras:
        watches = [
            CameraWatch(cameras.url(), transport=transport, read_seconds=1.0)
            for transport in ("tcp", "udp")
        ]
        with watching(*watches):
            for watch in watches:
                watch.until_judged()
            cameras.freeze()
            try:
                for watch in watches:
                    assert watch.until_offline().reason == "stalled"
            finally:
                cameras.thaw()
            for watch in watches:
                watch.until_judged()
