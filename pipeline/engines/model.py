"""A vision-language model as engines see it, and the engine that asks one about clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip

SIMULATED = "~simulated"
"""What the name of a model ends in whose quantised arithmetic is imitated."""


@dataclass(frozen=True, slots=True, eq=False)
class AskedClip:
    """A clip's pixels and what is asked about them: all that a model needs to know."""

    frames: npt.NDArray[np.uint8]
    """RGB, shape (frames, height, width, 3), C-contiguous; an even number of frames, both sides
    multiples of 28."""
    fps: float
    """Rate of the frames: the model's sense of time rests on it."""
    prompt: str
    """What counts as an anomaly."""
    question: str = ""
    """Asked by `words` instead of what is wrong; the model's reply is then what it says to it."""
    still: bool = False
    """The frames are one picture, twice: to be shown as an image where a model knows them."""


class Model(Protocol):
    """A model that scores clips: in this process, in a child, or on a server.

    All methods belong to one event loop and do not block it. `words` may be called while `score`
    is under way, and gives way to it.
    """

    @property
    def name(self) -> str:
        """Kind, model and hash of the weights: "transformers:Cosmos-Reason1-7B@1a2b3c4d"."""

    @property
    def max_batch(self) -> int:
        """Most clips of one call of `score`."""

    async def start(self) -> None:
        """Load and warm up. Raises EngineFailed with a cure; may be called again after `close`."""

    async def score(self, clips: Sequence[AskedClip]) -> list[Answer]:
        """Score clips, in order; an answer that is none has a score of NaN.

        Raises EngineBusy (nothing was scored, try again) or EngineFailed (start anew).
        """

    async def words(self, clip: AskedClip) -> str:
        """Describe a clip in the model's own words. Raises EngineBusy or EngineFailed.

        EngineBusy: given up, as clips wait to be scored.
        """

    async def close(self) -> None:
        """Free everything; idempotent, also after a failed `start`."""


class ModelEngine:
    """The engine that asks a model about every clip, with each camera's own prompt."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._prompts: dict[CameraName, str] = {}

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    @property
    def max_batch(self) -> int:
        """The model's."""
        return self._model.max_batch

    @property
    def simulated(self) -> str:
        """What of a quantised model's arithmetic is imitated here; empty where nothing is."""
        said: str = getattr(self._model, "simulated", "")
        if not said and self.name.endswith(SIMULATED):
            return "imitated in the engine's own process; the log says how"
        return said

    async def start(self) -> None:
        """Load the model. Raises EngineFailed."""
        await self._model.start()

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score clips. Raises EngineBusy or EngineFailed."""
        return await self._model.score([self._asked(clip) for clip in clips])

    async def describe(self, clip: Clip) -> str:
        """Return the model's words, made fit to be shown. Raises EngineBusy or EngineFailed."""
        return cleaned(await self._model.words(self._asked(clip)))

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Take a camera's prompt."""
        self._prompts[camera] = prompt

    async def forget(self, camera: CameraName) -> None:
        """Let go of a camera's prompt."""
        self._prompts.pop(camera, None)

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return None: a model judges each clip by itself."""
        return None

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Refuse: there is nothing that a model could remember. Raises ValueError."""
        raise ValueError(f"{self.name} keeps no memory of cameras: this one is another engine's")

    async def close(self) -> None:
        """Close the model; idempotent."""
        await self._model.close()

    def _asked(self, clip: Clip) -> AskedClip:
        prompt = self._prompts.get(clip.camera)
        if prompt is None:
            raise EngineFailed(f"camera {clip.camera} was never told what to look for")
        return AskedClip(clip.stacked(), clip.fps, prompt)
