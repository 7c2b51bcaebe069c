"""The child's side: hosts a model and answers for it until the parent is done with it, or gone."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog

from edgewatch.pipeline.engines import batches_in_flight
from edgewatch.pipeline.engines.child.limits import Limits
from edgewatch.pipeline.engines.child.messages import (
    MOST_BYTES,
    Beat,
    Cancel,
    Close,
    Describe,
    Described,
    Failed,
    Foresee,
    Foreseen,
    Forget,
    Message,
    Place,
    Ready,
    Refused,
    Score,
    Scored,
    cut,
    decode,
    encode,
)
from edgewatch.pipeline.engines.child.slots import Slots
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import Model, keeping
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.trial_clips import black_clip
from edgewatch.pipeline.errors import EngineBusy, EngineFailed

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Task:
    """What a child is told to do, once, when it starts; pickled."""

    setup: EngineSetup
    create: Callable[[EngineSetup], Model]
    """A function at the top of a module, which the child imports."""
    limits: Limits
    slots: int
    slot_bytes: int


class Host:
    """Serves one parent with one model. All of it runs on one event loop in one thread."""

    def __init__(self, channel: socket.socket, slots: Slots, task: Task) -> None:
        channel.setblocking(False)
        self._channel = channel
        self._slots = slots
        self._task = task
        self._limits = task.limits
        self._model = task.create(task.setup)
        self._keeping = keeping(self._model)
        self._asked: dict[int, asyncio.Task[None]] = {}
        self._busy_seconds = time.monotonic()
        self._over = asyncio.Event()
        self._untried = asyncio.Event()
        """Clear while a trial is under way: a model is asked for one thing at a time."""
        self._untried.set()

    async def run(self) -> None:
        """Load the model and serve until told to close, or the parent is gone."""
        try:
            await self._model.start()
        except Exception as error:  # noqa: BLE001 - the border to code that is not ours: name it
            await self._say(Failed(*_reason("could not be started", error)))
            return
        model = self._model
        foresees = self._keeping is not None and self._keeping.foresees
        await self._say(
            Ready(model.name, model.max_batch, batches_in_flight(model), foresees=foresees)
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._beat(), name="beat")
                tasks.create_task(self._try_when_idle(), name="canary")
                await self._receive(tasks)
                self._over.set()
                for asked in self._asked.values():
                    asked.cancel()
        finally:
            await self._model.close()

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while packet := await self._next_packet(loop):
            match decode(packet):
                case Score() | Describe() as message:
                    asked = tasks.create_task(self._serve(message), name=f"{message.request}")
                    self._asked[message.request] = asked
                    # A task that is cancelled before its first step would answer nothing.
                    await asyncio.sleep(0)
                case Foresee(request, places):
                    self._foresee(places)
                    await self._say(Foreseen(request))
                case Forget(camera):
                    if self._keeping is not None:
                        self._keeping.forget(camera)
                case Cancel(request):
                    if request in self._asked:
                        self._asked[request].cancel()
                case Close():
                    return

    async def _next_packet(self, loop: asyncio.AbstractEventLoop) -> bytes:
        try:
            return await loop.sock_recv(self._channel, MOST_BYTES + 1)
        except OSError:
            return b""  # the parent is gone

    async def _serve(self, message: Score | Describe) -> None:
        """Answer one request, whatever happens."""
        request = message.request
        reply: Message
        try:
            reply = await self._reply(message)
        except asyncio.CancelledError:
            await self._say(Refused(request, "cancelled"))
            raise
        except EngineBusy as error:
            reply = Refused(request, "busy", cut(str(error)))
        except EngineFailed as error:
            reply = Refused(request, "failed", cut(error.what), cut(error.cure))
        except Exception as error:  # the border to code that is not ours: name it, be replaced
            log.exception("engine error")
            reply = Refused(request, "failed", *_reason("could not answer", error))
        finally:
            self._asked.pop(request, None)
            self._busy_seconds = time.monotonic()
        await self._say(reply)

    async def _reply(self, message: Score | Describe) -> Message:
        match message:
            case Score(request, places):
                await self._untried.wait()
                answers = await self._model.score([self._slots.read(one) for one in places])
                told = [(one.score, one.uncertain, one.prompt_hash) for one in answers]
                figures = self._keeping.figures if self._keeping else EngineFigures()
                return Scored(request, tuple(told), figures)
            case Describe(request, place):
                return Described(request, cut(await self._model.words(self._slots.read(place))))

    def _foresee(self, places: Sequence[Place]) -> None:
        """Hand pairs of frames on, as copies: their places are free at once."""
        if self._keeping is None:
            return
        read = map(self._slots.read, places)
        self._keeping.foresee([replace(one, frames=one.frames.copy()) for one in read])

    async def _beat(self) -> None:
        while not await self._over_within(self._limits.beat_seconds):
            await self._say(Beat())

    async def _try_when_idle(self) -> None:
        """Ask the model about a black clip when nobody asks: it may accept and never answer."""
        clip = black_clip(self._task.setup.largest_clip)
        limits = self._limits
        while not await self._over_within(min(1.0, limits.idle_seconds / 4)):
            if self._asked or time.monotonic() - self._busy_seconds < limits.idle_seconds:
                continue
            self._untried.clear()
            try:
                async with asyncio.timeout(limits.canary_seconds):
                    await self._model.score([clip])
            except EngineBusy:
                pass
            except TimeoutError:
                what = f"the engine answered no trial within {limits.canary_seconds:g} s while idle"
                await self._say(Failed(what))
            except Exception as error:  # noqa: BLE001 - as above
                await self._say(Failed(*_reason("failed at a trial while idle", error)))
            finally:
                self._untried.set()
            self._busy_seconds = time.monotonic()

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._over.wait()
        except TimeoutError:
            return False
        return True

    async def _say(self, message: Message) -> None:
        with suppress(OSError):  # the parent is gone; `_receive` sees it
            await asyncio.get_running_loop().sock_sendall(self._channel, encode(message))


def _reason(what: str, error: Exception) -> tuple[str, str]:
    """Return (what, cure) of an error."""
    if isinstance(error, EngineFailed):
        return cut(error.what), cut(error.cure)
    return cut(f"the engine {what}: {type(error).__name__}: {error}"), ""
