"""A vision-language model as engines see it, and the engine that asks one about clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from edgewatch.pipeline.engines import batches_in_flight
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.wording import cleaned
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip, FramePair

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
    camera: str = ""
    """Whose frames they are; with `times` it names them, for a model that keeps what it saw."""
    times: tuple[float, ...] = ()
    """Unix time of each frame, in seconds; empty: nothing is to be kept of the clip."""


class Model(Protocol):
    """A model that scores clips: in this process, in a child, or on a server.

    All methods belong to one event loop and do not block it. `words` may be called while `score`
    is under way, and gives way to it. A model may state `batches_in_flight`: so many calls of
    `score` may be under way at once; 1 if it does not.
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


class KeepingModel(Model, Protocol):
    """A model that keeps what it saw of a camera's frames, for the clips that share them."""

    @property
    def figures(self) -> EngineFigures:
        """What it counted since it was started."""

    @property
    def foresees(self) -> bool:
        """Whether pairs of frames are to be handed over before their clips."""

    def foresee(self, pairs: Sequence[AskedClip]) -> None:
        """Take pairs of frames, each a clip of two with its camera and times.

        Returns at once; they are seen when no clip waits, or never. The pixels are not written to
        again.
        """

    def forget(self, camera: str) -> None:
        """Free what is kept of a camera; returns at once."""


def keeping(model: Model) -> KeepingModel | None:
    """Return a model as one that keeps what it saw; None if it does not."""
    return cast(KeepingModel, model) if hasattr(model, "foresees") else None


class ModelEngine:
    """The engine that asks a model about every clip, with each camera's own prompt."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._keeping = keeping(model)
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
    def batches_in_flight(self) -> int:
        """The model's."""
        return batches_in_flight(self._model)

    @property
    def simulated(self) -> str:
        """What of a quantised model's arithmetic is imitated here; empty where nothing is."""
        said: str = getattr(self._model, "simulated", "")
        if not said and self.name.endswith(SIMULATED):
            return "imitated in the engine's own process; the log says how"
        return said

    @property
    def figures(self) -> EngineFigures | None:
        """The model's; None of one that counts nothing."""
        return self._keeping.figures if self._keeping else None

    @property
    def foresees(self) -> bool:
        """Whether the model wants pairs of frames before their clips."""
        return self._keeping is not None and self._keeping.foresees

    def foresee(self, pair: FramePair) -> None:
        """Hand over two frames of a clip that is not complete yet; returns at once."""
        if self._keeping is not None:
            first, second = pair
            frames = np.stack([first.pixels, second.pixels])
            times = first.time_seconds, second.time_seconds
            self._keeping.foresee([AskedClip(frames, 1.0, "", camera=first.camera, times=times)])

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
        """Let go of a camera's prompt, and of what the model keeps of it."""
        self._prompts.pop(camera, None)
        if self._keeping is not None:
            self._keeping.forget(camera)

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
        return AskedClip(
            clip.stacked(),
            clip.fps,
            prompt,
            camera=clip.camera,
            times=tuple(frame.time_seconds for frame in clip.frames),
        )
