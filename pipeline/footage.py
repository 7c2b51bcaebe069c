"""The footage of one camera: samples given their time, looked at, and cut into windows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgewatch.pipeline.breaks import Break, Breaks
from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.drive import Drive
from edgewatch.pipeline.footage_clock import FootageClock, Now
from edgewatch.pipeline.frames import Sample, Sampling
from edgewatch.pipeline.mask import Mask, Polygons
from edgewatch.pipeline.picture_health import Condition, PictureWatch
from edgewatch.pipeline.pictures import Sampled
from edgewatch.pipeline.source import Source
from edgewatch.pipeline.types import CameraName, Clip, Coverage, Frame, FramePair, SourceInfo


class Footage:
    """Turns what is sampled of a camera into windows, over all its connections and recordings.

    `on_clip` takes each window, `on_condition` what its pictures show of the camera's health,
    `on_unjudged` time of which nothing can be judged, `on_pair` two frames of a window that is not
    complete yet. `first_index`: index of the first frame.
    `ignore`: regions that are hidden in its frames. The camera's health is told from the whole
    picture all the same: what is ignored covers no lens.
    """

    def __init__(
        self,
        camera: CameraName,
        *,
        fps: float,
        seconds: float,
        stride_seconds: float,
        replay: bool,
        first_index: int,
        ignore: Polygons = (),
        on_clip: Callable[[Clip], None],
        on_condition: Callable[[Condition], None],
        on_unjudged: Callable[[float, float, Coverage], None] | None,
        on_pair: Callable[[FramePair], None] | None = None,
    ) -> None:
        self.frames = 0
        """How many were made."""
        self.latest_frame: Frame | None = None
        self._camera = camera
        self._fps = fps
        self._first_index = first_index
        self._on_clip = on_clip
        self._on_condition = on_condition
        self._on_unjudged = on_unjudged
        self._on_pair = on_pair
        self._assembler = ClipAssembler(
            camera, fps=fps, seconds=seconds, stride_seconds=stride_seconds, replay=replay
        )
        self._time = FootageClock(fps, replay=replay)
        self._mask = Mask(ignore)
        self._breaks = Breaks(fps=fps, seconds=seconds)
        self._picture = None if replay else PictureWatch()
        self._drive = Drive()
        self._drive_seconds = 0.0
        """Media time at which the recording that is being read begins in its drive."""
        self._next_slot = 0
        self._next_media_seconds = 0.0

    def sampling(self, source: Source, picture_seconds: float) -> Sampling:
        """Return what chooses the pictures of a connection; a recording's grid goes on."""
        first_slot = self._next_slot if source.kind == "file" else 0
        return Sampling(self._fps, picture_seconds=picture_seconds, first_slot=first_slot)

    def begin(
        self, sample: Sample, source: Source, info: SourceInfo, now: Now, *, is_finite: bool
    ) -> None:
        """Tie the first sample of a connection or recording to the camera's time."""
        # Windows span the seam to a recording that goes on where the one before it ended
        if source.kind == "file" and self._drive.goes_on(Path(source.location).name, info):
            self._drive_seconds = self._next_media_seconds
        else:
            self._deliver(self._assembler.gap())
            self._drive_seconds = 0.0
        self._time.begin(sample.media_seconds, info.started_seconds, now, is_finite=is_finite)

    def follow(self, sample: Sample, now: Now) -> bool:
        """Tie a later sample anew if the stream's time jumped or drifted; True if it did."""
        if not (sample.jumped or self._time.has_drifted(sample.media_seconds, now)):
            return False
        self._deliver(self._assembler.gap())
        self._time.jump(sample.media_seconds, now)
        return True

    def correct(self, sample: Sample, now: Now) -> None:
        """Move a stretch back in time whose pictures would come from the future."""
        excess_seconds = self._time.excess_seconds(sample.media_seconds, now)
        if excess_seconds and self._assembler.move(-excess_seconds):
            self._time.set_back(excess_seconds)

    def take(self, sampled: Sampled[Sample], corrupt_packets: int, now: Now) -> Frame:
        """Look at a sample, pass on the window that it completes, and return its frame.

        `corrupt_packets`: of its connection, so far.
        """
        frame = self.latest_frame = self._frame(sampled, now)
        self._tell_break(self._breaks.frame(frame.time_seconds, corrupt_packets))
        if self._picture is not None:
            condition = self._picture.see(sampled.pixels, frame.time_seconds)
            if condition is not None:
                self._on_condition(condition)
        clip = self._assembler.add(frame)
        self._deliver(clip)
        if clip is None:  # else the pair is judged with it at once
            self._tell_pair(self._assembler.pair)
        return frame

    def due_seconds(self, media_seconds: float, speed: float) -> float:
        """Return when a recording's picture is due, on the monotonic clock."""
        return self._time.due_seconds(media_seconds, speed)

    def break_off(self) -> None:
        """Say that a recording broke off: the next one does not go on there."""
        self._drive = Drive()

    def end(self, reason: str | None, now_seconds: float) -> None:
        """Close the window of a connection that ended: well (None), or by an error (`reason`)."""
        self._deliver(self._assembler.end())
        self._tell_break(self._breaks.end(reason, now_seconds))

    def _frame(self, sampled: Sampled[Sample], now: Now) -> Frame:
        sample = sampled.ticket
        pixels, ignored = self._mask.hide(sampled.pixels)
        frame = Frame(
            camera=self._camera,
            index=self._first_index + self.frames,
            slot=sample.slot,
            pixels=pixels,
            media_seconds=self._drive_seconds + sample.media_seconds,
            time_seconds=self._time.frame(sample.media_seconds),
            captured_seconds=now.monotonic_seconds,
            ignored=ignored,
        )
        self.frames += 1
        self._next_slot = frame.slot + 1
        self._next_media_seconds = frame.media_seconds + 1.0 / self._fps
        return frame

    def _tell_pair(self, pair: FramePair | None) -> None:
        if self._on_pair is not None and pair is not None and not self._useless:
            self._on_pair(pair)

    @property
    def _useless(self) -> bool:
        """Whether nothing can be seen in the pictures."""
        condition = self._picture.condition if self._picture is not None else None
        return condition is not None and condition.state != "online"

    def _deliver(self, clip: Clip | None) -> None:
        if clip is None:
            return
        if self._useless:
            # Nothing can be seen in it: to judge it normal would be a lie
            self._tell_break(Break(clip.start_seconds, clip.end_seconds, "frozen"))
        else:
            self._on_clip(clip)

    def _tell_break(self, found: Break | None) -> None:
        if found is not None and self._on_unjudged is not None:
            self._on_unjudged(*found)
