"""The engine whose scores are made probabilities by a calibration, whatever engine it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import structlog

from edgewatch.pipeline.engines import Engine, batches_in_flight, figures_of, foresees
from edgewatch.pipeline.engines.calibration import Calibration, misfit, question_hash
from edgewatch.pipeline.engines.calibration_file import read_calibration
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip, FramePair

log = structlog.get_logger(__name__)


class CalibratedEngine:
    """Wraps an engine; see `Engine`. The file is read at each start.

    A file that does not fit the engine or its question refuses the start if it was named in the
    settings. One that merely lies at its usual place is then left aside, with a warning.
    """

    def __init__(self, engine: Engine, setup: EngineSetup) -> None:
        """`setup.calibration` must name a file."""
        assert setup.calibration is not None
        self._engine = engine
        self._file = setup.calibration
        self._named = setup.calibration_named
        self._asked = setup.asked
        self._form = setup.form
        self._calibration: Calibration | None = None
        self._trouble: EngineFailed | None = None
        self._told: set[tuple[CameraName, str]] = set()

    @property
    def calibration(self) -> Calibration | None:
        """What is in force; None before the start, and where the file was left aside."""
        return self._calibration

    @property
    def calibration_trouble(self) -> EngineFailed | None:
        """Why the file was left aside; None: it was not."""
        return self._trouble

    @property
    def name(self) -> str:
        """The engine's, with "+cal@" and 8 digits where its scores are changed."""
        if self._calibration is None or self._calibration.method == "none":
            return self._engine.name
        return f"{self._engine.name}+cal@{self._calibration.hash}"

    @property
    def max_batch(self) -> int:
        """The engine's."""
        return self._engine.max_batch

    @property
    def batches_in_flight(self) -> int:
        """The engine's."""
        return batches_in_flight(self._engine)

    @property
    def figures(self) -> EngineFigures | None:
        """The engine's."""
        return figures_of(self._engine)

    @property
    def foresees(self) -> bool:
        """As the engine does."""
        return foresees(self._engine)

    def foresee(self, pair: FramePair) -> None:
        """Hand two frames on."""
        if foresees(self._engine):
            self._engine.foresee(pair)

    @property
    def simulated(self) -> str:
        """What of the engine's arithmetic is imitated; empty: nothing."""
        return str(getattr(self._engine, "simulated", ""))

    async def start(self) -> None:
        """Start the engine under its calibration. Raises EngineFailed."""
        self._calibration, self._trouble = None, None
        calibration = self._read()
        await self._engine.start()
        if calibration is None:
            return
        trouble = misfit(calibration, self._engine.name, self._asked)
        if trouble is None:
            self._calibration = calibration
            log.info("scores are calibrated", engine=self.name, method=calibration.method)
            return
        trouble = EngineFailed(f"{self._file}: {trouble.what}", trouble.cure)
        if self._named:
            await self._engine.close()
            raise trouble
        self._leave(trouble)

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score clips and calibrate. Raises EngineBusy, EngineFailed."""
        answers = await self._engine.judge(clips)
        if self._calibration is None:
            return answers
        return [
            one if math.isnan(one.score) else replace(one, score=self._calibration.apply(one.score))
            for one in answers
        ]

    async def describe(self, clip: Clip) -> str:
        """Say in words what the engine sees. Raises EngineBusy, EngineFailed."""
        return await self._engine.describe(clip)

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Pass a camera's prompt on; one that the calibration was not fitted for is logged.

        Its scores are calibrated all the same until the next start: all scores of one engine name
        must be of one scale.
        """
        self._engine.instruct(camera, prompt)
        if self._calibration is None or not self._calibration.questions:
            return
        question = question_hash(prompt, self._form)
        if question not in self._calibration.questions and (camera, question) not in self._told:
            self._told.add((camera, question))
            log.warning(
                "calibration was fitted for another question",
                camera=camera,
                file=str(self._file),
                cure="fit it again for this prompt (edgewatch calibrate)",
            )

    async def forget(self, camera: CameraName) -> None:
        """Let go of a camera."""
        await self._engine.forget(camera)

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return what the engine knew of a camera before a clip."""
        return await self._engine.memory_of(camera, clip_id)

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Have the engine know that of a camera. Raises ValueError, EngineFailed."""
        await self._engine.recall(camera, memory)

    async def close(self) -> None:
        """Close the engine; idempotent."""
        await self._engine.close()

    def _read(self) -> Calibration | None:
        """Read the file before a model is loaded for minutes. Raises EngineFailed if named."""
        try:
            return read_calibration(self._file)
        except EngineFailed as trouble:
            if self._named:
                raise
            self._leave(trouble)
            return None

    def _leave(self, trouble: EngineFailed) -> None:
        self._trouble = trouble
        log.warning("calibration is left aside", reason=trouble.what, cure=trouble.cure)
