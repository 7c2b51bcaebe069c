"""Decoders at work on what was selected of a stream: one in line, or several side by side.

A lane is one decoder with one scaler. A live camera has one, run by the camera's thread. A
recording that is replayed has several: each takes whole groups of pictures, and what they give
is passed on in the order of the stream. FFmpeg releases the GIL while it decodes and scales.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeAlias, TypeVar

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from edgewatch.pipeline.bitstream import Syntax
from edgewatch.pipeline.pictures import Picture, Sampled, Scaler
from edgewatch.pipeline.selection import Batch, Selection, Timed

T = TypeVar("T")
VideoPacket: TypeAlias = "Packet[VideoStream]"
VideoBatch: TypeAlias = Batch[VideoPacket, T]
Choose: TypeAlias = Callable[[int | None], T | None]

_MOST_PACKETS_A_JOB = 256
_JOBS_A_LANE = 2


@dataclass(frozen=True, slots=True)
class Sizing:
    """What size wanted pictures get."""

    area_pixels: int
    sample_aspect_ratio: float


@dataclass(slots=True)
class Yield(Generic[T]):
    """What a decoder gave."""

    sampled: list[Sampled[T]] = field(default_factory=list)
    pictures: int = 0
    """Decoded, wanted or not."""
    corrupt_packets: int = 0
    """Packets that could not be decoded."""
    corrupt_pictures: int = 0
    """Decoded with errors: not passed on, as what is seen in them did not happen."""

    def __iadd__(self, other: Yield[T]) -> Yield[T]:
        self.sampled += other.sampled
        self.pictures += other.pictures
        self.corrupt_packets += other.corrupt_packets
        self.corrupt_pictures += other.corrupt_pictures
        return self


class Lane(Generic[T]):
    """One decoder. Used by one thread at a time."""

    def __init__(self, context: VideoCodecContext, sizing: Sizing) -> None:
        self._context = context
        self._sizing = sizing
        self._scaler = Scaler()
        self._outstanding: dict[int | None, T] = {}
        self._is_fed = False

    @property
    def has_outstanding(self) -> bool:
        """Whether a wanted picture went in and has not come out."""
        return bool(self._outstanding)

    def decode(self, batch: VideoBatch[T], choose: Choose[T] | None = None) -> Yield[T]:
        """Decode a batch; `choose` is asked for the pictures of one that is decoded in full."""
        given: Yield[T] = Yield()
        if batch.begins_group:
            self._drain(given)
        if batch.wanted:
            self._outstanding |= batch.wanted
        for packet in batch.packets:
            self._is_fed = True
            try:
                frames = self._context.decode(packet)
            except av.error.FFmpegError:
                given.corrupt_packets += 1
                continue
            self._take(frames, given, choose if batch.wanted is None else None)
        return given

    def finish(self, choose: Choose[T] | None = None) -> Yield[T]:
        """Bring out what is still inside the decoder, which then begins anew."""
        given: Yield[T] = Yield()
        self._drain(given, choose)
        return given

    def _drain(self, given: Yield[T], choose: Choose[T] | None = None) -> None:
        if not self._is_fed:
            return
        self._is_fed = False
        try:
            if self._outstanding or choose:
                self._take(self._context.decode(None), given, choose)
        except av.error.FFmpegError:
            given.corrupt_packets += 1
        self._context.flush_buffers()
        self._outstanding.clear()

    def _take(
        self,
        frames: Sequence[VideoFrame],
        given: Yield[T],
        choose: Choose[T] | None,
    ) -> None:
        for frame in frames:
            given.pictures += 1
            pts = frame.pts
            ticket = self._outstanding.pop(pts, None)
            if frame.is_corrupt:  # built on pictures, or parts, that were lost on the way
                given.corrupt_pictures += 1
                continue
            if ticket is None and choose is not None:
                ticket = choose(pts if pts is not None else self._unordered_time(frame))
            if ticket is not None:
                given.sampled.append(self._scaled(frame, ticket))

    def _unordered_time(self, frame: VideoFrame) -> int | None:
        # Without a pts, a dts tells the time only where pictures are not reordered
        return None if self._context.has_b_frames else frame.dts

    def _scaled(self, frame: VideoFrame, ticket: T) -> Sampled[T]:
        return self._scaler.sampled(
            Picture(frame),
            ticket,
            area_pixels=self._sizing.area_pixels,
            sample_aspect_ratio=self._sizing.sample_aspect_ratio,
        )


def in_line(
    packets: Iterable[Timed[VideoPacket]],
    selection: Selection[VideoPacket, T],
    syntax: Syntax,
    lane: Lane[T],
) -> Generator[Yield[T], None, None]:
    """Decode with one lane on this thread, each picture as soon as it can be; yields per packet."""
    for timed in packets:
        if _leaves_whole(timed, selection, syntax):
            yield lane.finish(selection.choose_decoded)
        batches = selection.add(timed, obstacle=syntax.obstacle, hurry=lane.has_outstanding)
        for batch in batches:
            yield lane.decode(batch, selection.choose_decoded)
        if not batches:
            yield Yield()
    for batch in selection.end():
        yield lane.decode(batch, selection.choose_decoded)
    yield lane.finish(selection.choose_decoded if selection.is_whole else None)


def side_by_side(
    packets: Iterable[Timed[VideoPacket]],
    selection: Selection[VideoPacket, T],
    syntax: Syntax,
    new_lane: Callable[[], Lane[T]],
    count: int,
) -> Generator[Yield[T], None, None]:
    """Decode groups of pictures on up to `count` threads; yields in the order of the stream.

    Holds at most two groups, or 256 packets each, a thread. Groups that must be decoded in full
    are decoded by one lane, in order.
    """
    crew = _Crew(new_lane, count)
    try:
        for timed in packets:
            if _leaves_whole(timed, selection, syntax):
                yield crew.here().finish(selection.choose_decoded)
            for batch in selection.add(timed, obstacle=syntax.obstacle):
                if batch.begins_group:
                    crew.begin_group(same_lane=selection.parameters_vary)
                if batch.wanted is None:
                    yield from crew.settle()
                    yield crew.here().decode(batch, selection.choose_decoded)
                else:
                    crew.add(batch)
            yield from crew.ready()
        for batch in selection.end():
            crew.add(batch)
        yield from crew.settle()
        yield crew.here().finish(selection.choose_decoded if selection.is_whole else None)
    finally:
        crew.dismiss()


def _leaves_whole(
    timed: Timed[VideoPacket], selection: Selection[VideoPacket, T], syntax: Syntax
) -> bool:
    """Whether decoding in full ends with this packet: what is inside the decoder goes first."""
    return selection.is_whole and timed.facts.clean and not syntax.obstacle


class _Crew(Generic[T]):
    """Lanes with a thread each, and the jobs they were given."""

    def __init__(self, new_lane: Callable[[], Lane[T]], count: int) -> None:
        self._new_lane = new_lane
        self._count = count
        self._lanes: list[tuple[Lane[T], ThreadPoolExecutor]] = []
        self._turn = -1
        self._is_stuck = False
        self._batches: list[VideoBatch[T]] = []
        self._packets = 0
        self._jobs: deque[Future[Yield[T]]] = deque()

    def begin_group(self, *, same_lane: bool) -> None:
        """Finish the group before on its lane, and go on with the next lane."""
        self._submit(finish=True)
        if not self._is_stuck:
            self._turn = (self._turn + 1) % self._count
        self._is_stuck = same_lane

    def add(self, batch: VideoBatch[T]) -> None:
        """Give a batch of the current group to its lane."""
        self._batches.append(batch)
        self._packets += len(batch.packets)
        if self._packets >= _MOST_PACKETS_A_JOB:
            self._submit(finish=False)

    def here(self) -> Lane[T]:
        """Return the lane of the current group, to be used by this thread after `settle`."""
        return self._lane()[0]

    def ready(self) -> Iterator[Yield[T]]:
        """Yield what is done, and wait for the oldest job if too much is under way."""
        while self._jobs and (self._jobs[0].done() or len(self._jobs) > _JOBS_A_LANE * self._count):
            yield self._jobs.popleft().result()

    def settle(self) -> Iterator[Yield[T]]:
        """Yield everything that was given to the lanes, once it is done."""
        self._submit(finish=False)
        while self._jobs:
            yield self._jobs.popleft().result()

    def dismiss(self) -> None:
        """End the threads; what is not begun is dropped."""
        for _, thread in self._lanes:
            thread.shutdown(cancel_futures=True)

    def _submit(self, *, finish: bool) -> None:
        if not self._batches and not finish:
            return
        batches, self._batches, self._packets = self._batches, [], 0
        if not batches and self._turn < 0:
            return
        lane, thread = self._lane()
        self._jobs.append(thread.submit(_run, lane, batches, finish))

    def _lane(self) -> tuple[Lane[T], ThreadPoolExecutor]:
        turn = max(0, self._turn)
        while len(self._lanes) <= turn:
            executor = ThreadPoolExecutor(1, thread_name_prefix="decode")
            self._lanes.append((self._new_lane(), executor))
        return self._lanes[turn]


def _run(lane: Lane[T], batches: Sequence[VideoBatch[T]], finish: bool) -> Yield[T]:
    given: Yield[T] = Yield()
    for batch in batches:
        given += lane.decode(batch)
    if finish:
        given += lane.finish()
    return given
