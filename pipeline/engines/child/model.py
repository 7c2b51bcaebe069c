"""The parent's side: a model that lives in a child process."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

import structlog

from edgewatch.pipeline.engines.child.host import Task
from edgewatch.pipeline.engines.child.launch import Launched, environment_of
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.child.messages import (
    Cancel,
    Describe,
    Described,
    Failed,
    Foresee,
    Foreseen,
    Forget,
    Log,
    Message,
    Ready,
    Refused,
    Score,
    Scored,
)
from edgewatch.pipeline.engines.child.slots import ClipTooLarge, slot_bytes
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip, Model
from edgewatch.pipeline.engines.models import create_model_here
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

PAIRS_ON_THE_WAY = 8
"""So many pairs of frames, to be seen beforehand, find room in shared memory beside clips."""
MOST_IN_FLIGHT = 2
"""So many batches find room in shared memory, and one clip to be described."""

_OUT_OF_MEMORY = (
    "a kill that nobody ordered mostly is the kernel's, out of memory (see dmesg); "
    "lower [engine] max_batch or free memory"
)


@dataclass(slots=True)
class _Asked:
    """A request under way; its slots are free again when it is answered, wanted or not."""

    answer: asyncio.Future[Message]
    slots: tuple[int, ...]


class ChildModel:
    """A model in a process of its own, on the GPUs that the set-up names.

    Whatever happens to the process (killed, stuck, silent, out of memory) becomes an EngineFailed
    that says so, at once and for every request under way; `start` then makes a fresh one.

    `environment` is added to the child's. `create` makes the model there; it and `setup` are
    pickled. The thread that calls `start` must outlive the child: the kernel ends it with it.
    """

    def __init__(
        self,
        setup: EngineSetup,
        *,
        limits: Limits | None = None,
        environment: Mapping[str, str] | None = None,
        create: Callable[[EngineSetup], Model] = create_model_here,
    ) -> None:
        self._setup = setup
        self._limits = limits or Limits()
        self._environment = {**environment_of(setup), **(environment or {})}
        self._task = Task(
            # A child asks no server, so it needs no token.
            setup=replace(setup, token=None),
            create=create,
            limits=self._limits,
            slots=MOST_IN_FLIGHT * setup.max_batch + 1 + PAIRS_ON_THE_WAY,
            slot_bytes=slot_bytes(setup.largest_clip),
        )
        self._name = f"{setup.kind}:{setup.model.name if setup.model else 'model'}"
        self._max_batch = setup.max_batch
        self._batches_in_flight = 1
        self._child: Launched | None = None
        self._ready: asyncio.Future[Ready] | None = None
        self._failure: EngineFailed | None = None
        self._asked: dict[int, _Asked] = {}
        self._foreseeing: dict[int, tuple[int, ...]] = {}
        """By request: the slots of pairs that the child has not taken yet."""
        self._forgone = 0
        self._figures = EngineFigures()
        self._foresees = False
        self._numbers = count(1)
        self._heard_seconds = 0.0
        self._doing = ""
        self._watch: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """What the child says; kind and directory until it has said so."""
        return self._name

    @property
    def max_batch(self) -> int:
        """What the child says; what is set until it has said so."""
        return self._max_batch

    @property
    def batches_in_flight(self) -> int:
        """What the child says, as far as shared memory goes; 1 until it has said so."""
        return self._batches_in_flight

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return self._child.process.pid if self._child and not self._child.process.ended else None

    @property
    def figures(self) -> EngineFigures:
        """What the child counted, as of its latest answer; from 0 again for a fresh child."""
        return replace(self._figures, sight_forgone=self._figures.sight_forgone + self._forgone)

    @property
    def foresees(self) -> bool:
        """What the child says; False until it has said so."""
        return self._foresees

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        """Pass pairs of frames on; without room for them, or without a child, they are let go."""
        child = self._child
        if child is None or self._failure or not self._foresees:
            return
        fitting = [pair for pair in pairs if self._fits(child, pair)][: self._room_for_pairs]
        self._forgone += len(pairs) - len(fitting)
        if not fitting:
            return
        slots = tuple(child.free.pop() for _ in fitting)
        places = tuple(map(child.slots.write, slots, fitting))
        message = Foresee(next(self._numbers), places)
        if child.process.send(message):
            self._foreseeing[message.request] = slots
        else:
            child.free.extend(slots)

    def forget(self, camera: str) -> None:
        """Have the child let go of a camera."""
        if self._child is not None and not self._failure and self._foresees:
            self._child.process.send(Forget(camera))

    async def start(self) -> None:
        """Start a fresh child and wait until its model is loaded. Raises EngineFailed."""
        await self.close()
        self._failure, self._doing = None, "loading"
        self._ready = asyncio.get_running_loop().create_future()
        try:
            self._child = Launched(self._task, self._environment, self._take, self._ended)
        except OSError as error:
            raise EngineFailed(f"the engine's process could not be started ({error})") from error
        try:
            async with asyncio.timeout(self._limits.load_seconds):
                ready = await self._ready
        except TimeoutError:
            failure = EngineFailed(
                f"the engine was not loaded within {self._limits.load_seconds:g} s" + self._last(),
                "a disk or network that is slow only once is over at the next try; see "
                "docs/engines.md",
            )
            await self.close()
            raise failure from None
        except BaseException:
            await self.close()
            raise
        self._name = ready.name
        self._max_batch = min(self._setup.max_batch, ready.max_batch)
        self._foresees = ready.foresees
        self._batches_in_flight = min(MOST_IN_FLIGHT, ready.batches_in_flight)
        self._doing = "idle"
        self._keep_watch()

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips in the child. Raises EngineBusy or EngineFailed."""
        child = self._running()
        fitting = [number for number, clip in enumerate(clips) if self._fits(child, clip)]
        answers = [Answer(math.nan)] * len(clips)
        if not fitting:
            return answers
        slots = self._slots(child, len(fitting))
        places = tuple(
            child.slots.write(slot, clips[number])
            for slot, number in zip(slots, fitting, strict=True)
        )
        self._doing = f"judging {len(places)} clips"
        reply = await self._ask(child, Score(next(self._numbers), places), slots)
        if not isinstance(reply, Scored) or len(reply.answers) != len(places):
            raise self._fail(EngineFailed("the engine's process answered what was not asked"))
        self._figures = reply.figures
        for number, (score, uncertain, prompt_hash) in zip(fitting, reply.answers, strict=True):
            answers[number] = Answer(score, uncertain=uncertain, prompt_hash=prompt_hash)
        return answers

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip in the child. Raises EngineBusy or EngineFailed."""
        child = self._running()
        if not self._fits(child, clip):
            return ""
        slots = self._slots(child, 1)
        place = child.slots.write(slots[0], clip)
        reply = await self._ask(child, Describe(next(self._numbers), place), slots)
        if not isinstance(reply, Described):
            raise self._fail(EngineFailed("the engine's process answered what was not asked"))
        return reply.words

    async def close(self) -> None:
        """End the child: asked, then told, then killed, within 4 s. Idempotent."""
        if self._watch:
            self._watch.cancel()
            self._watch = None
        child, self._child = self._child, None
        self._foreseeing.clear()
        self._figures, self._forgone, self._foresees = EngineFigures(), 0, False
        ready, failed = self._ready, self._failure is not None
        loaded = bool(ready and ready.done() and not ready.cancelled() and not ready.exception())
        self._failure = self._failure or EngineFailed("the engine was closed")
        self._release(self._failure)
        if child:
            await child.stop(self._limits, politely=loaded and not failed)
            self._asked.clear()

    def _running(self) -> Launched:
        if self._failure:
            raise EngineFailed(self._failure.what, self._failure.cure)
        if self._child is None:
            raise EngineFailed("the engine is not started")
        return self._child

    def _fits(self, child: Launched, clip: AskedClip) -> bool:
        """Say whether a clip fits into a slot, and log it if not."""
        try:
            child.slots.check(clip)
        except ClipTooLarge as error:
            log.error(
                "clip too large for the engine",
                reason=str(error),
                cure="restart edgewatch: it was started for smaller clips",
            )
            return False
        return True

    @property
    def _room_for_pairs(self) -> int:
        """Slots that are free for pairs, and kept free for them."""
        return PAIRS_ON_THE_WAY - sum(map(len, self._foreseeing.values()))

    def _slots(self, child: Launched, wanted: int) -> tuple[int, ...]:
        if len(child.free) - self._room_for_pairs < wanted:
            raise EngineBusy(f"{wanted} clips wait for room in the engine's shared memory")
        return tuple(child.free.pop() for _ in range(wanted))

    async def _ask(
        self, child: Launched, message: Score | Describe, slots: tuple[int, ...]
    ) -> Message:
        asked = _Asked(asyncio.get_running_loop().create_future(), slots)
        self._asked[message.request] = asked
        if not child.process.send(message):
            # It is stuck, and `_keep_watch` is about to say so
            self._answer(message.request, EngineBusy("the engine's process takes no message"))
        # What was asked before has its time first
        limit_seconds = self._limits.request_seconds * len(self._asked)
        try:
            async with asyncio.timeout(limit_seconds):
                return await asked.answer
        except TimeoutError:
            raise self._fail(
                EngineFailed(
                    f"the engine's process did not answer within {limit_seconds:g} s" + self._last()
                )
            ) from None
        except asyncio.CancelledError:
            child.process.send(Cancel(message.request))
            raise

    def _take(self, message: Message) -> None:
        """Take a message of the child's."""
        self._heard_seconds = asyncio.get_running_loop().time()
        match message:
            case Ready():
                if self._ready and not self._ready.done():
                    self._ready.set_result(message)
            case Scored() | Described():
                self._answer(message.request, message)
            case Foreseen(request):
                if self._child:
                    self._child.free.extend(self._foreseeing.pop(request, ()))
            case Refused():
                self._answer(message.request, _error_of(message))
                if message.why == "failed":
                    self._fail(EngineFailed(message.what, message.cure))
            case Failed():
                self._fail(EngineFailed(message.what, message.cure))
            case Log():
                keys = {key: value for key, value in message.keys.items() if key != "event"}
                getattr(log, message.level)(message.event, **keys)

    def _answer(self, request: int, reply: Message | Exception) -> None:
        asked = self._asked.pop(request, None)
        if asked is None:
            return
        if self._child:
            self._child.free.extend(asked.slots)
        if asked.answer.done():
            return
        if isinstance(reply, Exception):
            asked.answer.set_exception(reply)
        else:
            asked.answer.set_result(reply)

    def _ended(self) -> None:
        """Say why the child is gone, unless that is known already."""
        if self._child is None or self._failure:
            return
        process = self._child.process
        what = f"the engine's process {process.end} while {self._doing}" + self._last()
        cure = _OUT_OF_MEMORY if "signal 9" in process.end else ""
        self._fail(EngineFailed(what, cure))

    def _keep_watch(self) -> None:
        """See that the child is heard of; again every second or so."""
        loop = asyncio.get_running_loop()
        if self._child is None or self._failure:
            return
        self._child.process.receive()  # this loop may be what was late
        silent_seconds = loop.time() - self._heard_seconds
        if silent_seconds > self._limits.silence_seconds and not self._failure:
            self._fail(
                EngineFailed(
                    f"the engine's process was stuck: nothing heard of it for "
                    f"{silent_seconds:.1f} s while {self._doing}" + self._last()
                )
            )
            return
        self._watch = loop.call_later(self._limits.silence_seconds / 10, self._keep_watch)

    def _fail(self, failure: EngineFailed) -> EngineFailed:
        """Give the child up: everything under way fails, and the process is killed."""
        if self._failure is None:
            self._failure = failure
            log.warning("engine process given up", reason=str(failure))
        self._release(self._failure)
        if self._child:
            self._child.process.kill()
        return self._failure

    def _release(self, failure: EngineFailed) -> None:
        if self._ready and not self._ready.done():
            self._ready.set_exception(failure)
        for asked in self._asked.values():
            if not asked.answer.done():
                asked.answer.set_exception(EngineFailed(failure.what, failure.cure))

    def _last(self) -> str:
        line = self._child.process.last_line if self._child else ""
        return f'; its last line: "{line}"' if line else ""


def _error_of(refused: Refused) -> Exception:
    if refused.why == "busy":
        return EngineBusy(refused.what)
    if refused.why == "failed":
        return EngineFailed(refused.what, refused.cure)
    return EngineFailed("the request was withdrawn")  # by whoever asked: nobody waits for it
