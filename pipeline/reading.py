"""How a source is read: waits, transport, encryption, hardware, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass

from edgewatch.config.regions import Regions
from edgewatch.config.settings import CameraPlan


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a source."""

    open_seconds: float = 10.0
    """Longest wait for a connection and the stream's description."""
    read_seconds: float = 10.0
    """Longest wait for the next packet of video: after it, the source has stalled."""
    rtsp_transport: str = "tcp"
    """"tcp" or "udp"."""
    ca_file: str | None = None
    """Certificates that an encrypted source's must be signed by; None: any is taken."""
    hwaccel: str = "off"
    """Hardware that decodes: "off", "auto", or one of FFmpeg's names ("cuda", "qsv", ...)."""
    ignore: Regions = ()
    """Regions of the picture that are not judged. As a change of anything here, a change of them
    opens the source anew: no clip has frames of before and after it."""

    @classmethod
    def of(
        cls, plan: CameraPlan, open_seconds: float = 10.0, read_seconds: float = 10.0
    ) -> Reading:
        """Return how a configured camera is read."""
        return cls(
            open_seconds,
            read_seconds,
            rtsp_transport=plan.rtsp_transport,
            ca_file=None if plan.ca_file is None else str(plan.ca_file),
            hwaccel=plan.hwaccel,
            ignore=plan.ignore,
        )
