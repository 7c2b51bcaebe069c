"""A camera's compressed packets, sent into its ring at the pace of a manual clock."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import av

from edgewatch.pipeline.preroll import Coding, PreRoll
from tests.fakes.clock import ManualClock
from tests.fakes.videos import write_video

FPS = 10
_QUIET = {"libx265": {"x265-params": "log-level=none"}}
_PIXELS = {"mjpeg": "yuvj420p"}


@cache
def encoded(
    codec: str, *, gop: int = 10, b_frames: int = 0, width: int = 64, suffix: str = ".ts"
) -> tuple[Coding, tuple[tuple[bytes, bool, int, int], ...]]:
    """Return the coding and (data, key, stamp, duration) of the packets of 20 s of video."""
    with TemporaryDirectory() as folder:
        path = write_video(
            Path(folder) / f"video{suffix}",
            codec=codec,
            width=width,
            height=width * 3 // 4,
            fps=FPS,
            frames=20 * FPS,
            gop=gop,
            b_frames=b_frames,
            pixel_format=_PIXELS.get(codec, "yuv420p"),
            codec_options=_QUIET.get(codec),
        )
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            coding = Coding(
                context.name,
                context.width,
                context.height,
                context.extradata or b"",
                stream.time_base or Fraction(1, 90_000),
            )
            packets = tuple(
                (bytes(one), one.is_keyframe, one.pts or 0, one.duration or 0)
                for one in container.demux(stream)
                if one.size
            )
    return coding, packets


class Sender:
    """Sends a video's packets, over and over with growing stamps, as a camera does."""

    def __init__(
        self,
        ring: PreRoll,
        clock: ManualClock,
        codec: str = "libx264",
        *,
        b_frames: int = 0,
        gop: int = 10,
        width: int = 64,
        suffix: str = ".ts",
    ) -> None:
        self._ring = ring
        self._clock = clock
        self.coding, self._packets = encoded(
            codec, gop=gop, b_frames=b_frames, width=width, suffix=suffix
        )
        self._sent = 0
        self._anew = False
        ring.begin(self.coding)

    def send(self, seconds: float) -> None:
        """Let time pass, and send what a camera sends meanwhile."""
        for _ in range(round(seconds * FPS)):
            self._clock.advance(1 / FPS)
            turn, at = divmod(self._sent, len(self._packets))
            data, key, stamp, duration = self._packets[at]
            stamp += round(turn * 20 / self.coding.time_base)
            self._sent += 1
            self._ring.add(
                data,
                key=key,
                stamp=stamp,
                duration=duration,
                now_seconds=self._clock.monotonic_seconds(),
            )
            at_seconds = float(stamp * self.coding.time_base)
            if key:
                self._ring.tie(at_seconds, self._clock.wall_seconds(), anew=self._anew)
                self._anew = False

    def clock_was_set(self) -> None:
        """From the next key frame on, the camera's time is that of the clock as it is now."""
        self._anew = True
