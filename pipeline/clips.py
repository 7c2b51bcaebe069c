"""Windows over one camera's frames: what is judged at once."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime

from edgewatch.pipeline.frames import gap_seconds
from edgewatch.pipeline.types import CameraName, Clip, Frame, FramePair

LEAST_FRAMES = 4
"""Fewer frames than this show no motion worth judging."""


def window_frames(fps: float, seconds: float) -> int:
    """Return the frames of a window: the even number nearest to what was asked for."""
    return 2 * max(1, round(seconds * fps / 2))


def hop_frames(fps: float, seconds: float, stride_seconds: float) -> int:
    """Return the frames from one window to the next: even, or 1 where less than 1.5 is asked for.

    At most a window's.
    """
    hop = 2 * round(stride_seconds * fps / 2) if stride_seconds * fps >= 1.5 else 1
    return min(hop, window_frames(fps, seconds))


class ClipAssembler:
    """Turns the frames of one camera into overlapping windows.

    A window ends with the frame just added and spans `seconds`; one is due every
    `stride_seconds`. Frames more than `gap_seconds(fps)` apart, of different size or going back
    in time never share a window. What a gap or the end leaves unjudged gets a last window of its
    own, so each frame of a stretch of at least four is in some clip; only the first frame of a
    stretch may be left out, where the number of frames would be odd.
    """

    def __init__(
        self,
        camera: CameraName,
        *,
        fps: float,
        seconds: float,
        stride_seconds: float,
        replay: bool,
    ) -> None:
        self._camera = camera
        self._fps = fps
        self._replay = replay
        self._gap_seconds = gap_seconds(fps)
        # Two frames make one temporal token of the models: windows, and hops where they can be,
        # are even, so that overlapping windows pair the same frames.
        self._slots = window_frames(fps, seconds)
        self._stride = hop_frames(fps, seconds, stride_seconds)
        self._frames: deque[Frame] = deque(maxlen=self._slots)
        self._unjudged = 0
        self._due_slot = 0
        self._last_start_slot = -1
        self._first_slot = 0
        """Of the stretch."""

    @property
    def pair(self) -> FramePair | None:
        """The newest two frames, where windows to come will hold them as a pair.

        Windows and hops being even, that is known as soon as they are there, as long as no slot
        stays empty; after one that did, windows end where the frames do, and may pair otherwise.
        """
        if len(self._frames) < 2:
            return None
        before, newest = self._frames[-2], self._frames[-1]
        paired = (newest.slot - self._first_slot) % 2 == 1 or self._stride % 2 == 1
        return (before, newest) if paired and newest.slot == before.slot + 1 else None

    def add(self, frame: Frame) -> Clip | None:
        """Take the next frame; return the window it completes, or the one that it ends by a gap."""
        left = self.gap() if self._frames and self._is_apart(frame) else None
        if not self._frames:
            self._first_slot = frame.slot
            self._due_slot = frame.slot + self._slots - 1
            self._last_start_slot = frame.slot - 1
        self._frames.append(frame)
        self._unjudged += 1
        if frame.slot < self._due_slot:
            return left
        clip = self._window()
        if clip is not None:
            # A slow source may skip several due slots at once: the grid of windows stays
            self._due_slot += self._stride * ((frame.slot - self._due_slot) // self._stride + 1)
        return clip

    def gap(self) -> Clip | None:
        """Close the stretch of footage: return its last window if some of it was not judged."""
        clip = self._window() if self._unjudged else None
        self._frames.clear()
        self._unjudged = 0
        return clip

    def move(self, seconds: float) -> bool:
        """Correct the times of a stretch by `seconds`; False once a window of it was judged."""
        if len(self._frames) != self._unjudged:
            return False
        moved = (replace(one, time_seconds=one.time_seconds + seconds) for one in self._frames)
        self._frames = deque(moved, maxlen=self._slots)
        return True

    def end(self) -> Clip | None:
        """Close the stream; the next frame, if one ever comes, begins a new stretch."""
        return self.gap()

    def _is_apart(self, frame: Frame) -> bool:
        last = self._frames[-1]
        step_seconds = frame.time_seconds - last.time_seconds
        return (
            frame.slot <= last.slot
            or not 0 < step_seconds <= self._gap_seconds
            or frame.pixels.shape != last.pixels.shape
        )

    def _window(self) -> Clip | None:
        """Make a clip of the newest frames, all unjudged ones among them; None if too few."""
        frames = list(self._frames)
        judged = len(frames) - self._unjudged
        first_slot = frames[-1].slot - self._slots + 1
        # Starts grow from clip to clip, as a clip is named by its start
        begin = next(
            index
            for index, frame in enumerate(frames)
            if index >= judged or (frame.slot >= first_slot and self._is_later(frame))
        )
        if (len(frames) - begin) % 2:
            begin += -1 if 0 < begin == judged else 1
        least = min(LEAST_FRAMES, self._slots)
        while len(frames) - begin < least and begin >= 2 and self._is_later(frames[begin - 2]):
            begin -= 2  # slots are empty: reach back a little further rather than judge nothing
        window = tuple(frames[begin:])
        if len(window) < least:
            return None
        self._unjudged = 0
        self._last_start_slot = window[0].slot
        return self._clip(window)

    def _is_later(self, frame: Frame) -> bool:
        return frame.slot > self._last_start_slot

    def _clip(self, frames: tuple[Frame, ...]) -> Clip:
        start_seconds = frames[0].time_seconds
        return Clip(
            clip_id=f"{self._camera}-{_compact(start_seconds)}",
            camera=self._camera,
            frames=frames,
            fps=self._fps,
            start_seconds=start_seconds,
            end_seconds=frames[-1].time_seconds + 1.0 / self._fps,
            replay=self._replay,
        )


def _compact(unix_seconds: float) -> str:
    """Write a time as YYYYMMDDTHHMMSS.mmmZ."""
    milliseconds = round(unix_seconds * 1000)
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y%m%dT%H%M%S}.{milliseconds % 1000:03d}Z"
