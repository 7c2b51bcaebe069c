"""Every kind of stream and of login that a camera may have, from GStreamer's RTSP server."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgewatch.pipeline.errors import CameraUnreachable
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.source import parse_source
from edgewatch.pipeline.types import Clip, Health, SourceInfo
from edgewatch.pipeline.video import probe
from tests.integration.camera_watch import CameraWatch, watching
from tests.integration.rtsp_cameras import RtspCameras, running, self_signed

pytestmark = pytest.mark.integration

CODECS = {"live": "h264", "b-frames": "h264", "h265": "hevc", "mjpeg": "mjpeg"}
STREAMS = [(transport, path) for transport in ("tcp", "udp") for path in CODECS]
CLIPS = 3


@dataclass(frozen=True)
class Seen:
    """What a camera said until it had given its clips."""

    health: list[Health]
    info: SourceInfo
    clips: list[Clip]


def seen_by(watch: CameraWatch) -> Seen:
    clips = [watch.next_clip() for _ in range(CLIPS)]
    health = [watch.next_health() for _ in range(2)]
    assert watch.health.empty()
    return Seen(health, watch.next_info(), clips)


@pytest.fixture(scope="module")
def seen(
    rtsp_available: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Seen]]:
    """All streams over both transports, and an encrypted one, watched at the same time."""
    with ExitStack() as stack:
        plain = stack.enter_context(running(RtspCameras()))
        watches = {
            (transport, path): CameraWatch(plain.url(path=f"/{path}"), transport=transport)
            for transport, path in STREAMS
        }
        if shutil.which("openssl"):
            certificate = self_signed(tmp_path_factory.mktemp("tls"))
            secret = stack.enter_context(running(RtspCameras(certificate=certificate)))
            watches["tcp", "rtsps"] = CameraWatch(secret.url())
            watches["tcp", "proven"] = CameraWatch(secret.url(), ca_file=str(certificate))
        with watching(*watches.values()):
            seen = {key: seen_by(watch) for key, watch in watches.items()}
        yield seen


@pytest.mark.parametrize(("transport", "path"), STREAMS)
def test_stream_is_online_and_judged(
    seen: dict[tuple[str, str], Seen], transport: str, path: str
) -> None:
    what = seen[transport, path]
    assert [one.state for one in what.health] == ["connecting", "online"]
    assert (what.info.codec, what.info.width, what.info.height) == (CODECS[path], 160, 120)
    assert_sound(what.clips)


@pytest.mark.parametrize("kind", ["rtsps", "proven"])
def test_encrypted_stream_is_judged(seen: dict[tuple[str, str], Seen], kind: str) -> None:
    if ("tcp", kind) not in seen:
        pytest.skip("openssl is missing: apt install openssl")
    assert [one.state for one in seen["tcp", kind].health] == ["connecting", "online"]
    assert_sound(seen["tcp", kind].clips)


def test_camera_that_cannot_prove_itself_is_not_watched(
    rtsp_available: None, tmp_path: Path
) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing: apt install openssl")
    (tmp_path / "other").mkdir()
    certificate, other = self_signed(tmp_path), self_signed(tmp_path / "other")
    with running(RtspCameras(certificate=certificate)) as cameras:
        source = parse_source(cameras.url())
        with pytest.raises(CameraUnreachable, match="did not prove to be the right") as caught:
            probe(source, Reading(ca_file=str(other)))
        assert caught.value.reason == "certificate"
        assert probe(source, Reading(ca_file=str(certificate))).codec == "h264"


def assert_sound(clips: list[Clip]) -> None:
    """Check that time grows evenly and that each picture is another one: the ball moves."""
    for clip in clips:
        assert len(clip.frames) == 4
        assert clip.duration_seconds == pytest.approx(1.0, abs=0.15)
        for before, after in itertools.pairwise(clip.frames):
            step_seconds = after.media_seconds - before.media_seconds
            assert step_seconds == pytest.approx(0.25, abs=0.1)
            assert (before.pixels != after.pixels).any()
            assert after.pixels.std() > 5
    for first, second in itertools.pairwise(clips):
        assert second.start_seconds - first.start_seconds == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("digest", [False, True], ids=["basic", "digest"])
def test_login_decides_whether_a_camera_is_watched(rtsp_available: None, digest: bool) -> None:
    with running(RtspCameras(password="p@ss/w:rd#?%20", digest=digest)) as cameras:
        right = CameraWatch(cameras.url(login="admin:p%40ss%2Fw%3Ard%23%3F%2520"))
        wrong = CameraWatch(cameras.url(login="admin:guessed-wrong"))
        nobody = CameraWatch(cameras.url().replace("admin:p@ss/w:rd#?%20@", ""))
        with watching(right, wrong, nobody):
            assert [one.state for one in right.until_online()] == ["connecting"]
            for watch in (wrong, nobody):
                refused = watch.until_offline()
                assert refused.reason == "authentication"
                assert "password_file" in refused.detail
                assert "guessed-wrong" not in refused.detail
                # Before the slow retry: a try of every second would lock the account.
                assert watch.thread.stats().reconnects == 0
            right.next_clip()
