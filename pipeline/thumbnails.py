"""Thumbnails: small pictures of a recording's worst clips, kept while the replay runs."""

from __future__ import annotations

import cv2

from edgewatch.pipeline.thumbnail import Thumbnail
from edgewatch.pipeline.types import Clip, Frame, Verdict

WIDTH = 224
"""Pixels, a little more than what the page shows, so that it stays sharp on a phone."""
JPEG_QUALITY = 72
WORST_CLIPS = 4


class WorstClips:
    """Keeps thumbnails of the worst clips of one recording, no two of which overlap in time.

    Windows overlap, so the plain worst few would all show the same moment.
    """

    def __init__(self, limit: int = WORST_CLIPS) -> None:
        self._limit = limit
        self._kept: list[Thumbnail] = []

    def offer(self, clip: Clip, verdict: Verdict) -> None:
        """Take a judged clip; its picture is only encoded if the clip is among the worst."""
        start, end = verdict.media_start_seconds, verdict.media_end_seconds
        rivals = [one for one in self._kept if one.start_seconds < end and start < one.end_seconds]
        if any(one.score >= verdict.score for one in rivals):
            return
        others = [one for one in self._kept if one not in rivals]
        if len(others) >= self._limit and others[-1].score >= verdict.score:
            return
        kept = [*others, thumbnail(clip, verdict)]
        self._kept = sorted(kept, key=lambda one: -one.score)[: self._limit]

    @property
    def thumbnails(self) -> tuple[Thumbnail, ...]:
        """The worst clips, the worst first."""
        return tuple(self._kept)


def thumbnail(clip: Clip, verdict: Verdict, *, width: int = WIDTH) -> Thumbnail:
    """Make the thumbnail of a clip: its middle frame, at most `width` pixels wide."""
    frame = clip.frames[len(clip.frames) // 2]
    jpeg, size = _encode(frame, width)
    return Thumbnail(
        start_seconds=verdict.media_start_seconds,
        end_seconds=verdict.media_end_seconds,
        media_seconds=frame.media_seconds,
        score=verdict.score,
        anomalous=verdict.anomalous,
        jpeg=jpeg,
        width=size[0],
        height=size[1],
        evidence=verdict.evidence,
    )


def jpeg_of(frame: Frame, *, width: int = WIDTH) -> bytes:
    """Return a frame as JPEG, at most `width` pixels wide."""
    return _encode(frame, width)[0]


def _encode(frame: Frame, width: int) -> tuple[bytes, tuple[int, int]]:
    """Return a frame as JPEG and its (width, height) in pixels; never enlarged."""
    height, full_width = frame.pixels.shape[:2]
    scale = min(1.0, width / full_width)
    size = max(1, round(full_width * scale)), max(1, round(height * scale))
    small = cv2.resize(frame.pixels, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode a JPEG of {size[0]} x {size[1]} pixels")
    return data.tobytes(), size
