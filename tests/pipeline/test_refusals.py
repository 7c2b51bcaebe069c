from __future__ import annotations

import errno

import av
import pytest

from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.refusals import translated
from edgewatch.pipeline.source import Source, parse_source

CAMERA = parse_source("rtsp://admin:hush-hush@10.0.0.9/live?token=t0ken")
RECORDING = parse_source("/videos/front.mp4")


def ffmpeg_error(code: int) -> av.error.FFmpegError:
    """Make the error that PyAV raises for an FFmpeg code, its text full of secrets."""
    text = f"Input/output error: {CAMERA.location!r}"
    kind = av.error.classes.get(code, av.error.OSError)
    assert isinstance(kind, type)
    made = kind(code, text, CAMERA.location)
    assert isinstance(made, av.error.FFmpegError)
    return made


def tagged(tag: bytes) -> int:
    """Return FFERRTAG of four bytes. Source: FFmpeg, libavutil/error.h."""
    return int.from_bytes(tag, "little")


UNAUTHORIZED = tagged(b"\xf8401")
FORBIDDEN = tagged(b"\xf8403")
NOT_FOUND = tagged(b"\xf8404")
OTHER_4XX = tagged(b"\xf84XX")
SERVER = tagged(b"\xf85XX")
INVALID_DATA = tagged(b"INDA")
INTERRUPTED = tagged(b"EXIT")
NO_DECODER = tagged(b"\xf8DEC")


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [
        (UNAUTHORIZED, CameraRejected, "authentication"),
        (FORBIDDEN, CameraRejected, "authentication"),
        (NOT_FOUND, CameraRejected, "not_found"),
        (NO_DECODER, CameraRejected, "unsupported_codec"),
        (OTHER_4XX, CameraUnreachable, "refused"),
        (SERVER, CameraUnreachable, "refused"),
        (errno.EPROTONOSUPPORT, CameraUnreachable, "refused"),
        (errno.ECONNREFUSED, CameraUnreachable, "unreachable"),
        (errno.EHOSTUNREACH, CameraUnreachable, "unreachable"),
        (errno.EIO, CameraUnreachable, "unreachable"),
        (INVALID_DATA, CameraUnreachable, "unreachable"),
        (INTERRUPTED, CameraUnreachable, "timed_out"),
        (errno.ETIMEDOUT, CameraUnreachable, "timed_out"),
    ],
)
def test_what_a_camera_answers_at_opening_has_its_class_and_reason(
    code: int, kind: type[CameraError], reason: str
) -> None:
    error = translated(ffmpeg_error(code), CAMERA, while_reading=False)
    assert (type(error), error.reason) == (kind, reason)
    assert "10.0.0.9/live" in str(error)
    for secret in ("hush-hush", "admin", "t0ken"):
        assert secret not in str(error)


@pytest.mark.parametrize(
    ("code", "reason"),
    [(INTERRUPTED, "stalled"), (errno.ETIMEDOUT, "stalled"), (errno.ECONNRESET, "ended")],
)
def test_what_happens_to_an_open_stream_has_its_reason(code: int, reason: str) -> None:
    error = translated(ffmpeg_error(code), CAMERA, while_reading=True)
    assert (type(error), error.reason) == (CameraUnreachable, reason)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOENT, "not_found"),
        (errno.EACCES, "unreadable"),
        (INVALID_DATA, "unreadable"),
        (errno.EIO, "unreadable"),
    ],
)
def test_recording_that_cannot_be_read_is_rejected(code: int, reason: str) -> None:
    source: Source = RECORDING
    error = translated(ffmpeg_error(code), source, while_reading=False)
    assert (type(error), error.reason) == (CameraRejected, reason)
