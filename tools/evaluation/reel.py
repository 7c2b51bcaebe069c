"""A reel: one recording being decoded, once, and its clips handed over as they are asked for."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator

import cv2
import numpy as np
import numpy.typing as npt

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.decode import CameraThread
from edgewatch.pipeline.errors import CameraError
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.playlist import recording_feed
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.thumbnails import jpeg_of
from edgewatch.pipeline.types import Clip, Frame, Pixels, SourceInfo
from edgewatch.tools.evaluation.dataset import LabelledRecording
from edgewatch.tools.evaluation.duplicates import (
    MOST_PICTURES,
    SIDE,
    SIGNATURE_FPS,
)
from edgewatch.tools.evaluation.judgement import Seen, Signature

CLIPS_AHEAD = 4
"""Decoded and not yet asked for."""
_JOIN_SECONDS = 5.0
_JITTER_SECONDS = 0.01
"""Time stamps are rounded: a picture may come so much before its place."""


class Reel:
    """Decodes in a thread of its own from `start` on; all else belongs to the event loop."""

    def __init__(self, recording: LabelledRecording, plan: CameraPlan) -> None:
        """Take a recording, to be cut as `plan` says. To be made on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._mailbox: Mailbox[Clip] = Mailbox(
            capacity=CLIPS_AHEAD, when_full="wait", on_change=self._tell, on_drop=lambda _: None
        )
        self._outlet = _Outlet(self._mailbox)
        feed = recording_feed(plan, recording.recording.path, recording.recording.camera, None)
        self._thread = CameraThread(
            feed.camera,
            feed.source,
            fps=plan.clips.fps,
            seconds=plan.clips.seconds,
            stride_seconds=plan.clips.stride_seconds,
            pixels=plan.clips.pixels,
            speed=None,
            loop=False,
            replay=True,
            reading=Reading.of(plan),
            outlet=self._outlet,
            on_health=lambda _: None,
            on_info=self._outlet.note_info,
            on_end=self._outlet.note_end,
            clock=SystemClock(),
            random=random.random,
        )

    def start(self) -> None:
        """Begin to decode, a few clips ahead."""
        self._outlet.begin()
        self._thread.start()

    async def clips(self) -> AsyncIterator[Clip]:
        """Yield the clips in order of time, until the recording ends."""
        while True:
            self._arrived.clear()
            while (clip := self._mailbox.take()) is not None:
                yield clip
            if self._mailbox.finished:
                return
            await self._arrived.wait()

    def seen(self) -> Seen:
        """Return what reading it gave, with a thumbnail of each clip; after the last clip."""
        return self._outlet.seen(self._thread.stats().pictures_decoded)

    async def close(self) -> None:
        """End the thread, also in the middle; idempotent."""
        self._thread.stop()
        self._mailbox.close()
        if self._outlet.began:
            await asyncio.to_thread(self._thread.join, _JOIN_SECONDS)

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.set)
        except RuntimeError:  # the loop has ended, and nobody waits for clips any more
            return


class _Outlet:
    """Where the decoding thread puts clips; looks at them in passing, and takes the time."""

    def __init__(self, mailbox: Mailbox[Clip]) -> None:
        self.began = False
        self._mailbox = mailbox
        self._info: SourceInfo | None = None
        self._error = ""
        self._began_seconds = self._ended_seconds = 0.0
        self._elsewhere_seconds = 0.0
        """Not spent on decoding: waiting for room, thumbnails and signature."""
        self._thumbnails: list[bytes] = []
        self._pictures: list[npt.NDArray[np.uint8]] = []
        self._next_seconds = 0.0

    def begin(self) -> None:
        """Start the clock."""
        self.began = True
        self._began_seconds = self._ended_seconds = time.monotonic()

    def offer(self, clip: Clip, /) -> bool:
        """Hand over a clip, when there is room."""
        came_seconds = time.monotonic()
        self._thumbnails.append(jpeg_of(clip.frames[len(clip.frames) // 2]))
        for frame in clip.frames:
            self._sign(frame)
        taken = self._mailbox.offer(clip)
        self._elsewhere_seconds += time.monotonic() - came_seconds
        return taken

    def close(self) -> None:
        """Say that there are no more clips."""
        self._mailbox.close()

    def note_info(self, info: SourceInfo) -> None:
        """Keep what the recording is."""
        self._info = info

    def note_end(self, error: CameraError | None) -> None:
        """Keep how it ended."""
        self._ended_seconds = time.monotonic()
        self._error = str(error) if error else ""

    def seen(self, pictures_decoded: int) -> Seen:
        """Return what is known of the recording."""
        pictures = np.stack(self._pictures) if self._pictures else _no_pictures()
        return Seen(
            clips=len(self._thumbnails),
            duration_seconds=self._info.duration_seconds if self._info else None,
            decode_seconds=max(
                0.0, self._ended_seconds - self._began_seconds - self._elsewhere_seconds
            ),
            pictures_decoded=pictures_decoded,
            signature=Signature(pictures),
            thumbnails=dict(enumerate(self._thumbnails)),
            error=self._error,
        )

    def _sign(self, frame: Frame) -> None:
        """Take a frame into the signature if one is due; clips overlap, so most are known."""
        due = frame.media_seconds >= self._next_seconds - _JITTER_SECONDS
        if due and len(self._pictures) < MOST_PICTURES:
            self._pictures.append(small_picture(frame.pixels))
            step_seconds = 1.0 / SIGNATURE_FPS
            # On the grid: a source with gaps keeps its place in time as far as it can
            passed = (frame.media_seconds + _JITTER_SECONDS) // step_seconds
            self._next_seconds = (passed + 1) * step_seconds


def small_picture(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Shrink an RGB picture to grey, shape (SIDE, SIDE)."""
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _no_pictures() -> npt.NDArray[np.uint8]:
    return np.empty((0, SIDE, SIDE), np.uint8)
