"""A model for children to host: it does what its prompts say, misdeeds included."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import structlog

from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.model import AskedClip
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.engines.trial_clips import TRIAL_PROMPT
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer

log = structlog.get_logger(__name__)

HOLD = "hold"
"""A prompt that is answered only after it was cancelled: never."""


class Obedient:
    """Scores a clip by its brightness; a prompt may tell it to misbehave."""

    max_batch = 3
    batches_in_flight = 2

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self.name = f"obedient:{os.environ.get('CUDA_VISIBLE_DEVICES', '-')}"
        self._running = False

    async def start(self) -> None:
        self._running = True

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        assert self._running
        for clip in clips:
            await self._obey(clip.prompt)
        return [
            Answer(
                float(clip.frames.mean(dtype=float)) / 255.0,
                uncertain=clip.prompt == "uncertain",
                prompt_hash=f"{clip.fps:g}",
            )
            for clip in clips
        ]

    async def words(self, clip: AskedClip) -> str:
        await self._obey(clip.prompt)
        return f"{clip.frames.shape} at {clip.fps:g}"

    async def close(self) -> None:
        self._running = False

    async def _obey(self, prompt: str) -> None:  # noqa: C901 - one deed a line
        match prompt:
            case "exit":
                os._exit(137)
            case "last words":
                sys.stderr.write("loading\nout of memory, token=sesame\n")
                sys.stderr.flush()
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "block":
                time.sleep(60)  # noqa: ASYNC251 - this is what a stuck kernel does
            case "hold":
                await asyncio.Event().wait()
            case "busy":
                raise EngineBusy("later")
            case "fail":
                raise EngineFailed("the device is lost", "restart the machine")
            case "bug":
                raise RuntimeError("division by cucumber")
            case "log":
                log.warning("something odd", degrees=3)
            case "environment":
                raise EngineFailed(" ".join(f"{key}={value}" for key, value in os.environ.items()))
            case "child":
                _spawn_sleeper()


def _spawn_sleeper() -> None:
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


class Keeping(Obedient):
    """Counts what it was to foresee: the pairs, and the grey of all of them together."""

    foresees = True

    def __init__(self, setup: EngineSetup) -> None:
        super().__init__(setup)
        self._greys: list[int] = []
        self._cameras: set[str] = set()

    @property
    def figures(self) -> EngineFigures:
        return EngineFigures(
            sight_foreseen=len(self._greys),
            sight_bytes=sum(self._greys),
            sight_hits=len(self._cameras),
        )

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        for pair in pairs:
            assert pair.frames.shape[0] == len(pair.times) == 2
            self._greys.append(int(pair.frames.max()))
            self._cameras.add(pair.camera)

    def forget(self, camera: str) -> None:
        self._cameras.discard(camera)


class Zombie(Obedient):
    """Answers those who ask, and no trial: as an executor whose thread has died."""

    async def _obey(self, prompt: str) -> None:
        if prompt == TRIAL_PROMPT:
            await asyncio.Event().wait()
        await super()._obey(prompt)


class SlowLoader(Obedient):
    """Takes its time to load, without giving way to the loop."""

    async def start(self) -> None:
        time.sleep(60)  # noqa: ASYNC251 - loading a model does


class Clingy(Obedient):
    """Does not let itself be closed."""

    async def close(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)  # noqa: ASYNC251 - a shutdown that hangs does


class Unloadable(Obedient):
    """Cannot be loaded."""

    async def start(self) -> None:
        raise EngineFailed("model.safetensors is missing", "download it again")


class Broken(Obedient):
    """Dies while loading."""

    async def start(self) -> None:
        raise MemoryError("CUDA out of memory")
