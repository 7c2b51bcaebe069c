"""The panel: engines that judge the same decoded clips at the same time.

One reel at a time deals its clips to the seats that have not yet judged its recording, while the
next is decoded ahead. Each seat has a queue of its own: a quick engine waits for the slowest one
only when a queue is full, so the whole takes as long as the slowest engine alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.types import CameraName, Clip
from edgewatch.tools.evaluation.dataset import LabelledRecording
from edgewatch.tools.evaluation.judgement import Judgement, Seen
from edgewatch.tools.evaluation.reel import Reel
from edgewatch.tools.evaluation.seat import NotJudged, Seat

BATCHES_AHEAD = 2
"""That may wait for an engine."""
REELS_AHEAD = 1
"""Recordings that are being decoded while another one is dealt."""


@dataclass(frozen=True, slots=True)
class Case:
    """One recording, and who is to judge it."""

    recording: LabelledRecording
    seats: tuple[int, ...]
    """Numbers of the panel's seats; at least one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of a case."""

    case: Case
    seen: Seen
    judgements: dict[int, Judgement]
    """By seat; those that did not judge it are missing."""
    trouble: tuple[str, ...] = ()
    """Why a seat did not judge it."""


OnHeard = Callable[[Heard], None]
OnClip = Callable[[LabelledRecording, Clip], None]


@dataclass(slots=True, eq=False)
class _Hearing:
    """One case while it is under way."""

    case: Case
    reel: Reel
    judgements: dict[int, asyncio.Future[Judgement | NotJudged]] = field(default_factory=dict)


class Panel:
    """Judges cases in order; engines are started and closed by the caller."""

    def __init__(self, seats: Sequence[Seat], plan: CameraPlan, *, on_clip: OnClip) -> None:
        self._seats = seats
        self._plan = plan
        self._on_clip = on_clip

    async def judge(self, cases: Sequence[Case], on_heard: OnHeard) -> None:
        """Judge all; `on_heard` is called for each case, in order. Raises EngineFailed."""
        queues = [_Queue(BATCHES_AHEAD * seat.max_batch) for seat in self._seats]
        under_way: asyncio.Queue[_Hearing | None] = asyncio.Queue(maxsize=4)
        reels: list[Reel] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._deal(cases, queues, under_way, reels), name="deal")
                for number, queue in enumerate(queues):
                    tasks.create_task(self._serve(number, queue), name=f"seat {number}")
                await _collect(under_way, on_heard)
        except BaseExceptionGroup as group:
            raise _first(group) from group
        finally:
            for reel in reels:
                await reel.close()

    async def _deal(
        self,
        cases: Sequence[Case],
        queues: Sequence[_Queue],
        under_way: asyncio.Queue[_Hearing | None],
        reels: list[Reel],
    ) -> None:
        """Deal the clips of each case to its seats, in order."""
        loop = asyncio.get_running_loop()
        for place, case in enumerate(cases):
            for ahead in cases[place + len(reels) : place + 1 + REELS_AHEAD]:
                reels.append(Reel(ahead.recording, self._plan))
                reels[-1].start()
            hearing = _Hearing(case, reels[0])
            hearing.judgements = {seat: loop.create_future() for seat in case.seats}
            await under_way.put(hearing)
            for seat in case.seats:
                await queues[seat].put(hearing)
            async for clip in hearing.reel.clips():
                for seat in case.seats:
                    await queues[seat].put(clip)
                self._on_clip(case.recording, clip)
            for seat in case.seats:
                await queues[seat].put(_END)
            await reels[0].close()
            del reels[0]
        for queue in queues:
            await queue.put(None)
        await under_way.put(None)

    async def _serve(self, number: int, queue: _Queue) -> None:
        """Judge what is dealt to a seat, recording by recording."""
        while (hearing := await queue.hearing()) is not None:
            camera = CameraName(hearing.case.recording.recording.camera)
            try:
                outcome: Judgement | NotJudged = await self._seats[number].judge(
                    camera, queue.clips()
                )
            except NotJudged as error:
                outcome = error
            hearing.judgements[number].set_result(outcome)


class _End:
    """Ends the clips of one recording."""


_END = _End()


class _Queue:
    """What waits for one seat: a recording, its clips, their end, the next; None at last."""

    def __init__(self, capacity: int) -> None:
        self._items: asyncio.Queue[_Hearing | Clip | _End | None] = asyncio.Queue(capacity)

    async def put(self, item: _Hearing | Clip | _End | None) -> None:
        """Add an item, when there is room."""
        await self._items.put(item)

    async def hearing(self) -> _Hearing | None:
        """Return the next recording, None after the last."""
        item = await self._items.get()
        assert item is None or isinstance(item, _Hearing)
        return item

    async def clips(self) -> AsyncIterator[Clip]:
        """Yield the clips of the recording that was returned last."""
        while isinstance(item := await self._items.get(), Clip):
            yield item


async def _collect(under_way: asyncio.Queue[_Hearing | None], on_heard: OnHeard) -> None:
    """Hand over what was heard of each case, in order."""
    while (hearing := await under_way.get()) is not None:
        outcomes = {seat: await future for seat, future in hearing.judgements.items()}
        on_heard(
            Heard(
                hearing.case,
                hearing.reel.seen(),
                {n: one for n, one in outcomes.items() if isinstance(one, Judgement)},
                tuple(str(one) for one in outcomes.values() if isinstance(one, NotJudged)),
            )
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group that says what went wrong."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
