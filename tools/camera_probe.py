"""Probes of cameras: each opened once, all at the same time, until its first picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgewatch.config.regions import ignored_share
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.recordings import recordings
from edgewatch.pipeline.source import Source, parse_source
from edgewatch.pipeline.types import SourceInfo
from edgewatch.pipeline.video import probe
from edgewatch.tools.findings import Finding, fail, ok, warn

PROBE_SECONDS = 15.0
"""Longest wait for all cameras together."""
SLOW_PICTURE_SECONDS = 4.0
"""After each loss of its connection a camera is blind for about so long."""

_OPEN_SECONDS = 8.0
_READ_SECONDS = 5.0

_FPS_SLACK = 0.95

_CURES = {
    "authentication": "Correct the user in url and the secret in password_file.",
    "certificate": "Set ca_file to the camera's certificate or its authority's; compare clocks.",
    "ended": "Look for a limit of viewers in the camera's settings, or restart it.",
    "no_video": "Choose another stream of the camera in url.",
    "refused": "Look for a limit of viewers, restart the camera, or try the other rtsp_transport.",
    "stalled": "Restart the camera; watch the network between it and this box.",
    "timed_out": "Switch the camera on, and see that this box reaches it: ping its host.",
    "unreachable": "Check power, cable, host and port in url, and the firewall between.",
    "unreadable": "Play the file elsewhere; copy or record it anew, or correct its permissions.",
    "unsupported_codec": "Set the camera to H.264 or H.265.",
}
"""By reason; what is not here is in docs/cameras.md."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a source showed."""

    info: SourceInfo
    first_picture_seconds: float
    """From the start of the connection to the first decoded picture: its first key frame."""
    recordings: int = 1
    """Files behind a folder; the first one was opened."""


Look = Callable[[Source, CameraPlan], Seen]


class CameraProbe:
    """One camera being looked at, in a thread of its own; it begins at once.

    Raises ValueError if the address cannot be read.
    """

    def __init__(self, plan: CameraPlan, look: Look) -> None:
        self.plan = plan
        self.source = parse_source(plan.url, password=plan.password)
        self.seen: Seen | None = None
        self.error: CameraError | None = None
        self._look = look
        # A daemon: a call of FFmpeg that hangs must not keep the command from ending.
        self._thread = threading.Thread(target=self._run, name=f"probe-{plan.name}", daemon=True)
        self._thread.start()

    def wait(self, timeout_seconds: float) -> None:
        """Wait for the end of the look; after it without `seen` and `error` there was none."""
        self._thread.join(max(0.0, timeout_seconds))

    def _run(self) -> None:
        try:
            self.seen = self._look(self.source, self.plan)
        except CameraError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - code that is not ours; its text may hold a secret
            self.error = CameraError(
                "internal",
                f"{self.source.display} broke the probe ({type(error).__name__}).",
            )


def look(source: Source, plan: CameraPlan) -> Seen:
    """Open a source until its first picture. Raises CameraError; takes about 13 s at most."""
    parts = recordings(source) if source.kind == "file" else [source]
    began_seconds = time.monotonic()
    info = probe(parts[0], Reading.of(plan, _OPEN_SECONDS, _READ_SECONDS))
    return Seen(info, time.monotonic() - began_seconds, len(parts))


class CameraProbes:
    """All cameras being looked at, from the moment this is made."""

    def __init__(
        self,
        plans: Sequence[CameraPlan],
        look: Look = look,
        limit_seconds: float = PROBE_SECONDS,
    ) -> None:
        self._limit_seconds = limit_seconds
        self._until_seconds = time.monotonic() + limit_seconds
        self._looks = [_begin(plan, look) for plan in plans]

    def findings(self, *, daemon_runs: bool) -> list[Finding]:
        """Return one finding a camera, in order, as soon as there are all, or at the time limit."""
        findings = []
        for one in self._looks:
            if isinstance(one, CameraProbe):
                one.wait(self._until_seconds - time.monotonic())
                findings.append(self._finding(one, daemon_runs=daemon_runs))
            else:
                findings.append(one)
        return findings

    def _finding(self, one: CameraProbe, *, daemon_runs: bool) -> Finding:
        name, display = one.plan.name, one.source.display
        if one.seen is not None:
            return _seen(one.plan, one.source, one.seen)
        if one.error is None:
            detail = f"{display} gave no picture within {self._limit_seconds:g} s"
            return fail("camera", name, detail, _CURES["timed_out"])
        if daemon_runs and one.source.kind == "device":
            cure = "A device serves one program, and the daemon is running: its health topic tells."
            return warn("camera", name, str(one.error), cure)
        return fail("camera", name, str(one.error), _cure(one.error, one.source))


def _begin(plan: CameraPlan, look: Look) -> CameraProbe | Finding:
    if not plan.enabled:
        return ok("camera", plan.name, "switched off (enabled = false)")
    try:
        return CameraProbe(plan, look)
    except ValueError as error:
        return fail("camera", plan.name, str(error), "Correct url and password_file.")


def _cure(error: CameraError, source: Source) -> str:
    if error.reason == "not_found":
        if source.kind == "file":
            return "Correct url; a relative path begins at the settings file's folder."
        return "Correct the path in url: the camera's manual names its streams."
    return _CURES.get(error.reason, "See docs/cameras.md.")


def _seen(plan: CameraPlan, source: Source, seen: Seen) -> Finding:
    detail = f"{source.display}: {_source(seen)}; {_judged(plan, seen.info)}"
    if seen.first_picture_seconds > SLOW_PICTURE_SECONDS and source.kind in ("rtsp", "http"):
        return warn(
            "camera",
            plan.name,
            detail,
            "Its first key frame comes late, and so will each after a lost connection: set the "
            "camera's key frame (I-frame) interval to 1 or 2 s.",
        )
    fps = seen.info.fps
    if fps is not None and fps < _FPS_SLACK * plan.clips.fps:
        return warn(
            "camera",
            plan.name,
            detail,
            f"It gives fewer pictures than are looked at: set the camera to {plan.clips.fps:g} "
            f"pictures a second or more, or fps = {fps:.3g} here.",
        )
    return ok("camera", plan.name, detail)


def _source(seen: Seen) -> str:
    info = seen.info
    rate = f"{info.fps:.4g} fps" if info.fps else "rate not declared"
    parts = [
        f"{info.codec} {info.width}x{info.height}",
        rate,
        f"first picture after {seen.first_picture_seconds:.1f} s",
    ]
    if seen.recordings > 1:
        parts.append(f"first of {seen.recordings} recordings")
    return ", ".join(parts)


def _judged(plan: CameraPlan, info: SourceInfo) -> str:
    width, height = target_size(info.width, info.height, plan.clips.pixels)
    clips = plan.clips
    ignored = f", {100 * ignored_share(plan.ignore):.0f} % of it ignored" if plan.ignore else ""
    return (
        f"judged as {width}x{height} at {clips.fps:g} fps, {clips.seconds:g} s every "
        f"{clips.stride_seconds:g} s, threshold {plan.threshold:g}{ignored}"
    )
