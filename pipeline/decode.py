"""The thread that reads one camera: opens it, paces it, samples it, opens it again."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import structlog

from edgewatch.pipeline.camera import CameraLife
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.errors import CameraError, CameraRejected, CameraUnreachable
from edgewatch.pipeline.footage import Footage
from edgewatch.pipeline.footage_clock import Now
from edgewatch.pipeline.frames import Sample
from edgewatch.pipeline.keeping import PacketKeeping
from edgewatch.pipeline.picture_health import Condition
from edgewatch.pipeline.pictures import Sampled
from edgewatch.pipeline.preroll import PreRoll
from edgewatch.pipeline.reading import Reading
from edgewatch.pipeline.recordings import recordings
from edgewatch.pipeline.refusals import no_picture, stalled
from edgewatch.pipeline.source import Source, redact
from edgewatch.pipeline.types import (
    CameraName,
    Clip,
    Coverage,
    Frame,
    FramePair,
    Health,
    SourceInfo,
)
from edgewatch.pipeline.video import VideoInput, open_video

log = structlog.get_logger()


REPLAY_LANES = min(4, os.cpu_count() or 1)
"""Threads that decode one recording that is replayed; a live camera has its own thread alone."""


class ClipOutlet(Protocol):
    """Where a camera's clips go: a mailbox."""

    def offer(self, clip: Clip, /) -> bool:
        """Hand over a clip, waiting if nothing may be lost; False once it is closed."""

    def close(self) -> None:
        """Say that no more will come; idempotent."""


class StopSignal(Protocol):
    """A `threading.Event`, as far as the camera needs it."""

    def set(self) -> None:
        """End every wait, now and later."""

    def is_set(self) -> bool:
        """Whether it was set."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds; True if it was set."""


@dataclass(frozen=True, slots=True)
class CameraStats:
    """What a camera's thread has done since it started."""

    pictures_decoded: int = 0
    frames_sampled: int = 0
    clips: int = 0
    reconnects: int = 0
    corrupt_packets: int = 0


class CameraThread:
    """Reads one camera in a thread of its own until it is stopped or its recording ends.

    `on_health`, `on_info`, `on_pair`, `on_end` and the outlet are called on that thread. When it
    ends, for whatever reason, it calls `on_end` once and then closes the outlet: with the error
    that ended a recording, with None when it was played to its end or stopped.

    `speed`: how fast recordings are played (1.0 is real time); None as fast as they can be read.
    `loop`: a recording that ends is played again. `replay`: a recording is footage with a time of
    its own, played once; otherwise it stands for a live camera, and its time is now.
    `first_index`: index of the first frame; an earlier thread of this camera used those before.
    `preroll`: where the compressed packets are kept for evidence.
    `stop_signal`: what pacing and back-off wait on, for tests.
    """

    def __init__(
        self,
        camera: CameraName,
        source: Source,
        *,
        fps: float,
        seconds: float,
        stride_seconds: float,
        pixels: int,
        speed: float | None,
        loop: bool,
        replay: bool,
        outlet: ClipOutlet,
        on_health: Callable[[Health], None],
        on_info: Callable[[SourceInfo], None],
        on_end: Callable[[CameraError | None], None],
        on_unjudged: Callable[[float, float, Coverage], None] | None = None,
        on_pair: Callable[[FramePair], None] | None = None,
        clock: Clock,
        random: Callable[[], float],
        first_index: int = 0,
        reading: Reading | None = None,
        preroll: PreRoll | None = None,
        stop_signal: StopSignal | None = None,
    ) -> None:
        self._camera = camera
        self._source = source
        self._fps = fps
        self._pixels = pixels
        self._speed = speed
        self._loop = loop
        self._replay = replay
        self._outlet = outlet
        self._on_health = on_health
        self._on_info = on_info
        self._on_end = on_end
        self._clock = clock
        self._reading = reading or Reading()
        self._preroll = preroll
        self._stopping: StopSignal = stop_signal or threading.Event()
        self._life = CameraLife(camera, random=random)
        self._footage = Footage(
            camera,
            fps=fps,
            seconds=seconds,
            stride_seconds=stride_seconds,
            replay=replay,
            first_index=first_index,
            ignore=self._reading.ignore,
            on_clip=self._deliver,
            on_condition=self._tell_condition,
            on_unjudged=on_unjudged,
            on_pair=on_pair,
        )
        self._pictures = self._clips = self._reconnects = self._corrupt = 0
        # A daemon: a call of FFmpeg that hangs must not keep the process from exiting
        self._thread = threading.Thread(target=self._run, name=f"camera-{camera}", daemon=True)

    def start(self) -> None:
        """Start reading. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; returns at once. Footage not yet judged still makes a clip.

        A thread that waits in a lossless outlet ends when that takes the clip or is closed.
        """
        self._stopping.set()

    def join(self, timeout_seconds: float) -> bool:
        """Wait for the thread's end; False if it still runs (FFmpeg has not yet timed out)."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    @property
    def latest_frame(self) -> Frame | None:
        """The newest sampled picture; from any thread."""
        return self._footage.latest_frame

    def stats(self) -> CameraStats:
        """Return a snapshot of the counters; from any thread."""
        return CameraStats(
            self._pictures, self._footage.frames, self._clips, self._reconnects, self._corrupt
        )

    def _run(self) -> None:
        error: CameraError | None = None
        try:
            error = self._replay_once() if self._replay else self._live()
        finally:
            try:
                self._on_end(error)
            finally:
                self._outlet.close()

    def _replay_once(self) -> CameraError | None:
        """Play the recordings once; the error, if any, says which could not be read."""
        self._tell(self._life.connecting(self._clock.wall_seconds()))
        error = self._guarded(self._play_all)
        now_seconds = self._clock.wall_seconds()
        if error is not None:
            self._tell(self._life.failed(error, now_seconds))
        elif not self._stopping.is_set():
            self._tell(self._life.ended(now_seconds))
        return error

    def _live(self) -> CameraError | None:
        """Read until stopped, or until a recording that is not to be repeated ended."""
        while not self._stopping.is_set():
            self._tell(self._life.connecting(self._clock.wall_seconds()))
            error = self._guarded(self._play_all)
            if self._stopping.is_set():
                break
            if error is not None:
                self._tell(self._life.failed(error, self._clock.wall_seconds()))
                if not self._stopping.wait(self._life.retry_delay_seconds):
                    self._reconnects += 1
            elif not self._loop:
                self._tell(self._life.ended(self._clock.wall_seconds()))
                break
        return None

    def _guarded(self, play: Callable[[], None]) -> CameraError | None:
        """Run `play` to its end, close the window, and return what went wrong."""
        error: CameraError | None = None
        try:
            play()
        except CameraError as known:
            error = known
        except Exception as unknown:  # noqa: BLE001 - one camera's fault must not end silently
            log.error(
                "camera thread failed",
                camera=self._camera,
                traceback=redact("".join(traceback.format_exception(unknown)), self._source),
            )
            error = CameraUnreachable(
                "internal", f"A fault in edgewatch itself ({type(unknown).__name__}): see the log."
            )
        if error is not None:
            error.let_go()
        self._footage.end(None if error is None else error.reason, self._clock.wall_seconds())
        return error

    def _play_all(self) -> None:
        if self._source.kind != "file":
            self._play(self._source)
            return
        parts = recordings(self._source)
        failed: list[CameraError] = []
        for part in parts:
            if self._stopping.is_set():
                return
            try:
                self._play(part)
            except CameraError as error:
                if len(parts) == 1:
                    raise
                log.warning(
                    "recording skipped",
                    camera=self._camera,
                    reason=error.reason,
                    detail=str(error),
                )
                error.let_go()
                failed.append(error)
                self._footage.break_off()
        if len(failed) == len(parts) or (failed and self._replay):
            listed = " ".join(map(str, failed))
            raise CameraRejected(
                failed[0].reason,
                f"{len(failed)} of {len(parts)} recordings could not be read in full: {listed}",
            )

    def _play(self, source: Source) -> None:
        """Read one connection or one recording to its end. Raises CameraError."""
        with open_video(source, self._reading, stopped=self._stopping.is_set) as video:
            try:
                self._read(video, source)
            finally:
                self._corrupt += video.corrupt_packets
            if self._stopping.is_set():
                return
            if not video.pictures_decoded:
                raise no_picture(source)
            if not video.is_finite:
                raise CameraUnreachable("ended", f"{source.display} ended the stream.")
            if video.missing_seconds:
                self._note_truncated(video.missing_seconds, source)

    def _note_truncated(self, missing_seconds: float, source: Source) -> None:
        message = (
            f"{source.display} breaks off {missing_seconds:.1f} s before its end: "
            "judged as far as it goes; copy it anew."
        )
        self._footage.break_off()
        if self._replay:
            raise CameraRejected("truncated", message)
        log.warning("recording truncated", camera=self._camera, detail=message)

    def _read(self, video: VideoInput, source: Source) -> None:
        """Make frames of a source's pictures until it ends or the camera is stopped."""
        size: tuple[int, int] | None = None
        keeping = (
            None if self._preroll is None else PacketKeeping(self._preroll, video, self._clock)
        )
        for sampled in self._watched(video, source, keeping):
            if sampled.source_size != size:
                info = video.describe(sampled.source_size)
                self._on_info(info)
            anew = self._place(video, sampled.ticket, source, info, is_first=size is None)
            size = sampled.source_size
            if not self._pace(video, sampled.ticket.media_seconds):
                frame = self._footage.take(sampled, video.corrupt_packets, self._now())
                if keeping is not None:
                    keeping.seen(sampled.ticket, frame.time_seconds, anew=anew)

    def _place(
        self, video: VideoInput, sample: Sample, source: Source, info: SourceInfo, *, is_first: bool
    ) -> bool:
        """Tie a sample's media time to the camera's time, where that is to be done anew.

        True if the stream's time jumped.
        """
        now = self._now()
        jumped = False
        if is_first:
            self._footage.begin(sample, source, info, now, is_finite=video.is_finite)
        elif jumped := self._footage.follow(sample, now):
            log.info("stream time jumped", camera=self._camera)
        if video.has_stamps:
            self._footage.correct(sample, now)
        return jumped

    def _watched(
        self, video: VideoInput, source: Source, keeping: PacketKeeping | None
    ) -> Iterator[Sampled[Sample]]:
        """Yield samples until the camera is stopped; raises CameraError when none come."""
        sampling = self._footage.sampling(source, video.picture_seconds)
        arrival_counts = not (video.has_stamps or video.is_finite)

        def choose(stamp_seconds: float | None) -> Sample | None:
            return sampling.choose(
                self._clock.monotonic_seconds() if arrival_counts else stamp_seconds
            )

        longest_seconds = self._reading.read_seconds + 2.0 / self._fps
        seen_seconds = self._clock.monotonic_seconds()
        lanes = REPLAY_LANES if self._replay and video.is_finite else 1
        keep = None if keeping is None else keeping.take
        results = video.sampled(choose, area_pixels=self._pixels, lanes=lanes, on_packet=keep)
        before = self._pictures
        with closing(results):
            for found in results:
                self._pictures = before + video.pictures_decoded
                for sampled in found:
                    if self._stopping.is_set():
                        return
                    self._tell(self._life.picture(self._clock.wall_seconds()))
                    yield sampled
                    seen_seconds = self._clock.monotonic_seconds()
                if self._stopping.is_set():
                    return
                quiet_seconds = self._clock.monotonic_seconds() - seen_seconds
                if not video.is_finite and quiet_seconds > longest_seconds:
                    raise stalled(source)

    def _pace(self, video: VideoInput, media_seconds: float) -> bool:
        """Wait until a recording's picture is due; True if the camera was stopped meanwhile."""
        speed = self._speed
        if speed is None and video.is_finite and self._source.kind == "http" and not self._replay:
            speed = 1.0  # a recording behind http:// that stands for a live camera
        if speed is None:
            return False
        due_seconds = self._footage.due_seconds(media_seconds, speed)
        delay_seconds = due_seconds - self._clock.monotonic_seconds()
        return delay_seconds > 0 and self._stopping.wait(delay_seconds)

    def _now(self) -> Now:
        return Now(self._clock.wall_seconds(), self._clock.monotonic_seconds())

    def _deliver(self, clip: Clip) -> None:
        if self._outlet.offer(clip):
            self._clips += 1
        else:
            self.stop()

    def _tell_condition(self, condition: Condition) -> None:
        now_seconds = self._clock.wall_seconds()
        texts = condition.reason, condition.detail
        self._tell(self._life.condition(condition.state, now_seconds, *texts))

    def _tell(self, health: Health | None) -> None:
        if health is not None:
            self._on_health(health)
