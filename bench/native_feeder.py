"""Live cameras without streams: frames as decoding hands them over, at the sampling rate.

Each camera's frames are pictures of noise of the model's size, at the times of a fixed grid, and go
through a `ClipAssembler` and the camera's mailbox as a camera thread's do. One thread feeds all.
"""

from __future__ import annotations

import heapq
import threading
import time

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import Clip, Frame, Health, SourceInfo
from edgewatch.pipeline.watch import CameraThread, Feed, Reports

PICTURES = 64
GOLDEN = 0.618034
"""Spreads any number of cameras over an interval."""


class FedCamera:
    """A camera whose frames the feeder hands over; keeps a camera thread's contract."""

    def __init__(
        self,
        feed: Feed,
        first_index: int,
        outlet: Mailbox[Clip],
        reports: Reports,
        pictures: npt.NDArray[np.uint8],
    ) -> None:
        self.latest_frame: Frame | None = None
        clips = feed.plan.clips
        self.frame_seconds = 1.0 / clips.fps
        self.stride_seconds = clips.stride_seconds
        self._camera = feed.camera
        self._index = self._first_index = first_index
        self._outlet = outlet
        self._reports = reports
        self._pictures = pictures
        self._began_seconds = 0.0
        self._lock = threading.Lock()
        self._ended = False
        self._assembler = ClipAssembler(
            feed.camera,
            fps=clips.fps,
            seconds=clips.seconds,
            stride_seconds=clips.stride_seconds,
            replay=False,
        )

    def start(self) -> None:
        """Be online."""
        self._reports.on_info(SourceInfo("h264", 640, 360, 25.0))
        self._reports.on_health(Health(self._camera, "online", time.time()))

    def stop(self) -> None:
        """End at once."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._reports.on_end(None)
                self._outlet.close()

    def join(self, timeout_seconds: float) -> bool:
        """It has no thread."""
        return self._ended

    def hand_over(self) -> bool:
        """Hand over a frame that was decoded just now; False if the camera has ended."""
        with self._lock:
            if self._ended:
                return False
            slot = self._index - self._first_index
            self._began_seconds = self._began_seconds or time.time()
            frame = Frame(
                camera=self._camera,
                index=self._index,
                slot=slot,
                pixels=self._pictures[self._index % len(self._pictures)],
                media_seconds=slot * self.frame_seconds,
                time_seconds=self._began_seconds + slot * self.frame_seconds,
                captured_seconds=time.monotonic(),
            )
            self._index += 1
            self.latest_frame = frame
            clip = self._assembler.add(frame)
            if clip is not None:
                self._outlet.offer(clip)
            elif (pair := self._assembler.pair) is not None and self._reports.on_pair is not None:
                self._reports.on_pair(pair)
            return True


class Feeder:
    """One thread that hands over frames for all cameras, each on a grid of its own."""

    def __init__(self, height: int, width: int) -> None:
        random = np.random.default_rng(5)
        self._pictures = random.integers(0, 256, (PICTURES, height, width, 3), np.uint8)
        self._pictures.flags.writeable = False
        self._due: list[tuple[float, int, FedCamera]] = []
        self._changed = threading.Condition()
        self._count = 0
        self._stopping = False
        self.late_seconds = 0.0
        """The most that a frame was late: the feeder itself did not keep up."""
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def open_camera(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> CameraThread:
        """Make a camera; its frames begin within a stride, so that clips come evenly."""
        camera = FedCamera(feed, first_index, outlet, reports, self._pictures)
        with self._changed:
            self._count += 1
            wait_seconds = self._count * GOLDEN % 1.0 * camera.stride_seconds
            heapq.heappush(self._due, (time.monotonic() + wait_seconds, self._count, camera))
            self._changed.notify()
        return camera

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (due := self._next()) is not None:
            due_seconds, number, camera = due
            self.late_seconds = max(self.late_seconds, time.monotonic() - due_seconds)
            if camera.hand_over():
                with self._changed:
                    following = due_seconds + camera.frame_seconds, number, camera
                    heapq.heappush(self._due, following)

    def _next(self) -> tuple[float, int, FedCamera] | None:
        """Wait for the next frame's time; None: it is over."""
        with self._changed:
            while not self._stopping:
                left_seconds = self._due[0][0] - time.monotonic() if self._due else None
                if left_seconds is not None and left_seconds <= 0.0:
                    return heapq.heappop(self._due)
                self._changed.wait(left_seconds)
            return None
