"""The packets of one connection on their way into a camera's ring, with their time."""

from __future__ import annotations

from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.frames import Sample
from edgewatch.pipeline.lanes import VideoPacket
from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.video import VideoInput


class PacketKeeping:
    """Copies packets into a ring and says when they were seen. Used by the camera's thread."""

    def __init__(self, ring: PreRoll, video: VideoInput, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._coding = video.coding
        self._picture_seconds = video.picture_seconds
        self._is_finite = video.is_finite
        self._by_arrival = not (video.has_stamps or video.is_finite)
        self._count = 0
        ring.begin(self._coding)

    def take(self, packet: VideoPacket) -> None:
        """Keep a packet that arrived just now."""
        now_seconds = self._clock.monotonic_seconds()
        stamp = self._stamp(packet, now_seconds)
        self._count += 1
        if stamp is None:
            return
        self._ring.add(
            bytes(packet),
            key=packet.is_keyframe,
            stamp=stamp,
            duration=packet.duration or 0,
            now_seconds=now_seconds,
        )

    def seen(self, sample: Sample, time_seconds: float, *, anew: bool) -> None:
        """Say at which Unix time a sampled picture was seen; `anew`: the stream's time jumped."""
        stamp_seconds = sample.stamp_seconds
        if stamp_seconds is None:
            stamp_seconds = sample.media_seconds  # both count pictures: see `_stamp`
        self._ring.tie(stamp_seconds, time_seconds, anew=anew)

    def _stamp(self, packet: VideoPacket, now_seconds: float) -> int | None:
        if self._by_arrival:
            return self._ticks(now_seconds)
        if packet.pts is not None:
            return packet.pts
        if packet.dts is not None:
            return packet.dts
        # A bare elementary stream as a recording; a live camera's first packets may have none yet
        return self._ticks(self._count * self._picture_seconds) if self._is_finite else None

    def _ticks(self, seconds: float) -> int:
        return round(seconds / self._coding.time_base)
