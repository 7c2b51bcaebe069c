"""What a source answered instead of video: FFmpeg's errors turned into ours.

By class alone: the text of an FFmpeg error is never used, as it holds the URL with its password.
"""

from __future__ import annotations

import errno

import av

from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.source import Source, redact


def translated(error: av.error.FFmpegError, source: Source, *, while_reading: bool) -> CameraError:
    """Return our error for FFmpeg's, from opening a source or `while_reading` it."""
    where = source.display
    match error:
        case av.error.HTTPUnauthorizedError() | av.error.HTTPForbiddenError():
            return CameraRejected(
                "authentication",
                f"{where} refused the login: check the user in url and the password in "
                "password_file.",
            )
        case av.error.HTTPNotFoundError() | av.error.FileNotFoundError():
            return CameraRejected(
                "not_found", f"{where} does not exist there: check the path in url."
            )
        case (
            av.error.HTTPServerError()
            | av.error.HTTPOtherClientError()
            | av.error.HTTPBadRequestError()
        ):
            return refused(source)
        case av.error.OSError() if error.errno == errno.EPROTONOSUPPORT:
            return refused(source)  # RTSP's 461, Unsupported Transport
        case av.error.ExitError() | av.error.TimeoutError():
            return stalled(source) if while_reading else timed_out(source)
        case av.error.DecoderNotFoundError() | av.error.DemuxerNotFoundError():
            return CameraRejected(
                "unsupported_codec",
                f"{where} uses a format that this FFmpeg cannot read: set it to H.264 or H.265.",
            )
        case av.error.InvalidDataError() if source.kind != "rtsp":
            return CameraRejected(
                "unreadable",
                f"{where} is no video, or its index is missing (cut off while recording): "
                "play it elsewhere, then copy or record it anew.",
            )
        case av.error.PermissionError():
            return CameraRejected(
                "unreadable", f"{where} may not be read: give the service's user permission."
            )
    if source.kind == "file":
        return CameraRejected("unreadable", f"{where} cannot be read ({_cause(error, source)}).")
    if while_reading:
        return CameraUnreachable("ended", f"{where} broke the connection.")
    return CameraUnreachable("unreachable", f"{where} cannot be reached ({_cause(error, source)}).")


def refused(source: Source) -> CameraUnreachable:
    """Return the error of a source that is there and answers with an error of its own."""
    return CameraUnreachable(
        "refused",
        f"{source.display} answered with an error instead of video: look for a limit of viewers, "
        "restart it, or try the other rtsp_transport.",
    )


def untrusted(source: Source) -> CameraUnreachable:
    """Return the error of an encrypted source that is not the one that `ca_file` speaks of."""
    return CameraUnreachable(
        "certificate",
        f"{source.display} did not prove to be the right camera: its certificate is not signed by "
        "one in ca_file, is out of date, or names another host than url. No login was sent.",
    )


def timed_out(source: Source) -> CameraUnreachable:
    """Return the error of a source that did not open in time."""
    return CameraUnreachable(
        "timed_out", f"{source.display} did not answer in time: is it switched on and free?"
    )


def stalled(source: Source) -> CameraUnreachable:
    """Return the error of a live source that is connected but silent."""
    return CameraUnreachable(
        "stalled", f"{source.display} is connected but has stopped sending video."
    )


def _cause(error: av.error.FFmpegError, source: Source) -> str:
    """Return the plain name of an error number: "Connection refused"."""
    return redact(error.strerror or "unknown error", source)


def no_picture(source: Source) -> CameraError:
    """Return the error of a source that opened and ended without a single picture."""
    if source.kind == "file":
        return CameraRejected(
            "unreadable",
            f"{source.display} holds no picture that can be decoded: copy or record it anew.",
        )
    return CameraUnreachable("ended", f"{source.display} ended before its first picture.")
