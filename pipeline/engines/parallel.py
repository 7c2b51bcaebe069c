"""Several models as one: a batch is shared out, and one that fails only lowers capacity."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from edgewatch.pipeline.engines import batches_in_flight
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip, Model, keeping
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

BUSY_SECONDS = 0.05
FIRST_RESTART_SECONDS = 0.5
MOST_RESTART_SECONDS = 30.0
TRIES = 2
"""A clip over which so many models failed is given up, so that it cannot take all of them down."""


@dataclass(slots=True, eq=False)
class _Member:
    """One model and what it has to do."""

    number: int
    model: Model
    alive: bool = False
    clips: int = 0
    """Under way."""
    words: int = 0
    failures: int = 0
    """In a row."""
    reason: str = "not started"
    restart: asyncio.Task[None] | None = field(default=None, repr=False)

    @property
    def free(self) -> int:
        """Clips that it can be given now, at most `model.max_batch` of them in one call."""
        most = self.model.max_batch * batches_in_flight(self.model)
        return max(0, most - self.clips) if self.alive else 0


class ParallelModels:
    """Equal models side by side, mostly one on each GPU (data parallel).

    All methods belong to one event loop. A model that fails is closed and started again in the
    background, after a delay that doubles with each failure, while the others go on.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        if not models:
            raise ValueError("one model at least")
        self._members = [_Member(number, model) for number, model in enumerate(models)]
        self._homes: dict[str, _Member] = {}
        """By camera: which one scored its latest clip, and may know half of the next."""

    @property
    def name(self) -> str:
        """That of the first living model: they are equal."""
        return (self._living() or self._members)[0].model.name

    @property
    def max_batch(self) -> int:
        """What the living take together; before the start, what all will."""
        return sum(member.model.max_batch for member in self._living() or self._members)

    @property
    def batches_in_flight(self) -> int:
        """As each of the living; before the start, as each will."""
        return min(batches_in_flight(one.model) for one in self._living() or self._members)

    @property
    def figures(self) -> EngineFigures:
        """Of all together."""
        known = (keeping(one.model) for one in self._members)
        return sum((one.figures for one in known if one is not None), EngineFigures())

    @property
    def foresees(self) -> bool:
        """Whether any of the living does."""
        known = (keeping(one.model) for one in self._living())
        return any(one is not None and one.foresees for one in known)

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        """Hand each pair to the one that scored its camera's latest clip, if there is one."""
        for pair in pairs:
            home = self._homes.get(pair.camera)
            model = keeping(home.model) if home is not None and home.alive else None
            if model is not None:
                model.foresee([pair])

    def forget(self, camera: str) -> None:
        """Have all let go of a camera."""
        self._homes.pop(camera, None)
        for member in self._living():
            if (model := keeping(member.model)) is not None:
                model.forget(camera)

    async def start(self) -> None:
        """Start all at once. Raises EngineFailed if none can be; else the rest is tried again."""
        async with asyncio.TaskGroup() as tasks:
            for member in self._members:
                tasks.create_task(self._start(member), name=f"start engine {member.number}")
        if not self._living():
            reason = self._reason()
            await self.close()
            raise reason
        for member in self._members:
            if not member.alive:
                self._restart_later(member)

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, shared out by free capacity. Raises EngineFailed if no model is left.

        A share whose model fails is given to another once.
        """
        answers: dict[int, Answer] = {}
        tries: Counter[int] = Counter()
        waiting = list(range(len(clips)))
        while waiting:
            shares = self._share_out(waiting, clips)
            if not shares:
                if not self._living():
                    raise self._reason()
                await asyncio.sleep(BUSY_SECONDS)
                continue
            async with asyncio.TaskGroup() as tasks:
                asked = [
                    (share, tasks.create_task(self._score(member, [clips[one] for one in share])))
                    for member, share in shares
                ]
            for share, task in asked:
                if (outcome := task.result()) is None:
                    tries.update(share)
                    given_up = [one for one in share if tries[one] >= TRIES]
                    answers.update((one, Answer(math.nan)) for one in given_up)
                else:
                    answers.update(zip(share, outcome, strict=False))
            waiting = [one for one in waiting if one not in answers]
        return [answers[number] for number in range(len(clips))]

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip with the model that has least to do. Raises EngineBusy, EngineFailed."""
        living = self._living()
        if not living:
            raise self._reason()
        member = min(living, key=lambda one: (one.words, one.clips, one.number))
        member.words += 1
        try:
            return await member.model.words(clip)
        except EngineFailed as error:
            self._lost(member, error)
            raise EngineBusy(f"the engine that was to describe a clip failed: {error}") from error
        finally:
            member.words -= 1

    async def close(self) -> None:
        """Close all at once; idempotent."""
        restarts = [member.restart for member in self._members if member.restart]
        for restart in restarts:
            restart.cancel()
        await asyncio.gather(*restarts, return_exceptions=True)
        for member in self._members:
            member.restart, member.alive = None, False
        await asyncio.gather(*(self._close(member) for member in self._members))

    def _living(self) -> list[_Member]:
        return [member for member in self._members if member.alive]

    def _reason(self) -> EngineFailed:
        last = self._members[0].reason
        count = len(self._members)
        return EngineFailed(last if count == 1 else f"none of {count} engines is left: {last}")

    def _share_out(
        self, waiting: Sequence[int], clips: Sequence[AskedClip]
    ) -> list[tuple[_Member, list[int]]]:
        """Give as many clips to each member as it has room for; those without room wait on.

        A camera's clips go to the same one where that does not unbalance them.
        """
        room = {member: member.free for member in self._living()}
        counts = dict.fromkeys(room, 0)
        for _ in waiting:
            taking = [one for one in room if counts[one] < one.model.max_batch]
            member = max(taking, key=room.__getitem__, default=None)
            if member is None or room[member] < 1:
                break
            room[member] -= 1
            counts[member] += 1
        shares: dict[_Member, list[int]] = {member: [] for member in counts}
        homeless = []
        for one in waiting[: sum(counts.values())]:
            home = self._homes.get(clips[one].camera)
            if home is not None and len(shares.get(home, ())) < counts.get(home, 0):
                shares[home].append(one)
            else:
                homeless.append(one)
        for member, share in shares.items():
            while len(share) < counts[member]:
                share.append(homeless.pop(0))
            self._homes.update((clips[one].camera, member) for one in share if clips[one].camera)
        return [(member, share) for member, share in shares.items() if share]

    async def _score(self, member: _Member, clips: Sequence[AskedClip]) -> list[Answer] | None:
        """Return a share's answers; none where the model is busy, None if it failed."""
        member.clips += len(clips)
        try:
            answers = await member.model.score(clips)
            if len(answers) != len(clips):
                raise EngineFailed(f"{len(clips)} clips were answered {len(answers)} times")
        except EngineBusy:
            await asyncio.sleep(BUSY_SECONDS)
            return []
        except Exception as error:  # noqa: BLE001 - whatever it was, the others go on
            self._lost(member, error)
            return None
        finally:
            member.clips -= len(clips)
        member.failures = 0
        return answers

    def _lost(self, member: _Member, error: Exception) -> None:
        member.reason = str(error)
        if member.alive:
            member.alive = False
            self._restart_later(member)

    def _restart_later(self, member: _Member) -> None:
        member.restart = asyncio.create_task(
            self._restart(member), name=f"restart engine {member.number}"
        )

    async def _restart(self, member: _Member) -> None:
        """Start a member anew, as often as it takes."""
        while not member.alive:
            delay_seconds = min(MOST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2**member.failures)
            member.failures += 1
            log.error(
                "one engine failed, the others go on",
                engine=member.number,
                living=len(self._living()),
                reason=member.reason,
                restart_in_seconds=delay_seconds,
            )
            await self._close(member)
            await asyncio.sleep(delay_seconds)
            await self._start(member)
        log.info("engine is back", engine=member.number, living=len(self._living()))

    async def _start(self, member: _Member) -> None:
        try:
            await member.model.start()
        except Exception as error:  # noqa: BLE001 - as above
            member.reason = str(error)
        else:
            member.alive = True

    @staticmethod
    async def _close(member: _Member) -> None:
        try:
            await member.model.close()
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("engine did not close", engine=member.number, reason=str(error))
