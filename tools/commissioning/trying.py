"""Trying: normal footage and trials judged by the engine, faults of the camera by its health."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.errors import EngineError
from edgewatch.pipeline.picture_frozen import FROZEN_SECONDS
from edgewatch.pipeline.picture_health import PictureWatch
from edgewatch.pipeline.picture_view import MOVED_SECONDS, SETTLED_SECONDS
from edgewatch.pipeline.scenes.incidents.catalogue import make_incident, make_twin
from edgewatch.pipeline.tuning import Scores
from edgewatch.pipeline.types import Answer, CameraName, Clip, Frame
from edgewatch.tools.commissioning.normal import Normal, Stretch
from edgewatch.tools.commissioning.staging import Staged, picture_of, stage, taken
from edgewatch.tools.commissioning.trial import Trial

FAULT_LEAD_SECONDS = 5.0
FAULT_SECONDS = MOVED_SECONDS + 15.0
"""A fault goes on for so long; the slowest sign (a view that moved) needs half a minute."""
HARMLESS_FAULT_SECONDS = 3.0
SETTLING_SECONDS = SETTLED_SECONDS + 60.0
"""Watched before a fault, so that the camera's usual view is known; its footage over and over."""
APART_SECONDS = 60.0
"""Between two stretches as an engine is shown them."""


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """What came of one trial."""

    trial: Trial
    scores: Scores
    """Of its clips; empty for a fault of the camera."""
    begins_seconds: float
    ends_seconds: float
    changed_share: float
    jpeg: bytes
    told_seconds: float | None = None
    """Of a fault: how long after it began the camera's health told; None if it did not."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Everything judged."""

    normal: tuple[Scores, ...]
    """Of each stretch of normal footage."""
    tried: tuple[Tried, ...]
    engine: str
    unjudged_clips: int
    """Clips of which the engine's answer was no score."""


class Trying:
    """Judges with an engine that is started already. Nothing that it learns here is saved."""

    def __init__(
        self, engine: Engine, plan: CameraPlan, normal: Normal, *, baseline: bytes | None
    ) -> None:
        """`baseline`: what the engine has saved of the camera, if it was watched before."""
        self._engine = engine
        self._plan = plan
        self._normal = normal
        self._baseline = baseline
        self._camera = CameraName(plan.name)
        self._unjudged = 0
        self._order = _Order()

    async def run(self, trials: Sequence[Trial], on_done: Callable[[str], None]) -> Judged:
        """Judge the normal footage, then each trial with what the engine knows by then.

        `on_done` is told of each stretch and trial. Raises EngineError.
        """
        self._engine.instruct(self._camera, self._plan.prompt)
        if self._baseline is not None:
            await self._engine.recall(self._camera, self._baseline)
        normal, memory = await self._judge_normal(on_done)
        tried = await self._try_incidents(
            [one for one in trials if not one.is_fault], memory, on_done
        )
        tried += await self._try_faults([one for one in trials if one.is_fault], on_done)
        tried.sort(key=lambda one: one.trial.number)
        return Judged(tuple(normal), tuple(tried), self._engine.name, self._unjudged)

    async def _judge_normal(
        self, on_done: Callable[[str], None]
    ) -> tuple[list[Scores], bytes | None]:
        scores, memory = [], None
        for stretch in self._normal.stretches:
            clips = self._clips_of(stretch)
            scores.append(await self._scores(clips))
            memory = await self._engine.memory_of(self._camera, clips[-1].clip_id) or memory
            on_done("normal footage")
        return scores, memory

    async def _try_incidents(
        self, trials: Sequence[Trial], memory: bytes | None, on_done: Callable[[str], None]
    ) -> list[Tried]:
        tried: list[Tried] = []
        staging = [self._stage_soon(trial) for trial in trials[:1]]
        for following in [*trials[1:], None]:
            if not staging:
                break
            staged = await staging.pop()
            if following is not None:
                staging.append(self._stage_soon(following))  # while the engine judges
            tried.append(await self._try(staged, memory))
            on_done(staged.trial.kind)
        return tried

    async def _try_faults(
        self, trials: Sequence[Trial], on_done: Callable[[str], None]
    ) -> list[Tried]:
        if not trials:
            return []
        watching = await asyncio.to_thread(self._settled)
        tried = []
        for trial in trials:
            tried.append(await asyncio.to_thread(self._try_fault, trial, watching))
            on_done(trial.kind)
        return tried

    def _clips_of(self, stretch: Stretch) -> list[Clip]:
        """Cut a stretch into clips that follow on whatever was judged before."""
        cut = self._plan.clips
        assembler = ClipAssembler(
            self._camera,
            fps=cut.fps,
            seconds=cut.seconds,
            stride_seconds=cut.stride_seconds,
            replay=True,
        )
        found = [assembler.add(frame) for frame in self._order.placed(stretch)]
        return [clip for clip in (*found, assembler.end()) if clip is not None]

    async def _try(self, staged: Staged, memory: bytes | None) -> Tried:
        if memory is not None:
            await self._engine.recall(self._camera, memory)
        return Tried(
            staged.trial,
            await self._scores(self._clips_of(staged.frames)),
            staged.begins_seconds,
            staged.ends_seconds,
            staged.changed_share,
            staged.jpeg,
        )

    async def _scores(self, clips: Sequence[Clip]) -> Scores:
        answers: list[Answer] = []
        most = max(1, self._engine.max_batch)
        for first in range(0, len(clips), most):
            answers += await self._engine.judge(clips[first : first + most])
        if len(answers) != len(clips):
            raise EngineError(f"{self._engine.name} gave {len(answers)} answers to {len(clips)}")
        known = [
            (clip.media_start_seconds, clip.media_end_seconds, answer.score, 0.0)
            for clip, answer in zip(clips, answers, strict=True)
            if math.isfinite(answer.score)
        ]
        self._unjudged += len(clips) - len(known)
        return Scores.of(known)

    def _stage_soon(self, trial: Trial) -> asyncio.Task[Staged]:
        normal, cut = self._normal.stretches, self._plan.clips
        staging = asyncio.to_thread(stage, trial, normal, cut, self._camera, self._plan.scene)
        return asyncio.create_task(staging, name=f"trial {trial.number}")

    def _settled(self) -> PictureWatch:
        """Watch the normal footage over and over, a picture a second, until its view is known."""
        watching = PictureWatch()
        step = max(1, round(self._plan.clips.fps))
        pictures = [frame.pixels for one in self._normal.stretches for frame in one[::step]]
        for second in range(round(SETTLING_SECONDS)):
            watching.see(pictures[second % len(pictures)], second - SETTLING_SECONDS)
        return watching

    def _try_fault(self, trial: Trial, settled: PictureWatch) -> Tried:
        watching = deepcopy(settled)
        fps = self._plan.clips.fps
        lasts = HARMLESS_FAULT_SECONDS if trial.harmless else FAULT_SECONDS
        placement = trial.placement(FAULT_LEAD_SECONDS, lasts, self._plan.scene)
        incident = (make_twin if trial.harmless else make_incident)(
            trial.kind, trial.seed, placement
        )
        length = round((FAULT_LEAD_SECONDS + FAULT_SECONDS) * fps)
        random = np.random.default_rng([trial.seed, 5])
        told_seconds, changed_share, peak = None, 0.0, None
        for frame in taken(self._normal.stretches, length, random, self._camera, fps):
            pixels, truth = incident.compose(frame.pixels, frame.media_seconds)
            share = 0.0 if truth.mask is None else float(truth.mask.mean())
            if peak is None or share > changed_share:
                changed_share, peak = share, pixels
            condition = watching.see(pixels, frame.media_seconds)
            is_told = condition is not None and condition.kind not in ("fine", "flicker")
            if is_told and told_seconds is None and frame.media_seconds >= FAULT_LEAD_SECONDS:
                told_seconds = frame.media_seconds - FAULT_LEAD_SECONDS
        assert peak is not None
        ends = FAULT_LEAD_SECONDS + lasts
        return Tried(
            trial,
            Scores.of(()),
            FAULT_LEAD_SECONDS,
            ends,
            changed_share,
            picture_of(peak),
            told_seconds,
        )


assert FAULT_SECONDS > FROZEN_SECONDS


class _Order:
    """Numbers and times under which an engine is shown footage: they only ever grow.

    Engines name frames by their number, and expect a camera's clips in order of time.
    """

    def __init__(self) -> None:
        self._index = 0
        self._seconds = 0.0

    def placed(self, stretch: Stretch) -> list[Frame]:
        """Return a stretch behind all that was placed before; its media time stays."""
        offset_seconds = self._seconds - stretch[0].media_seconds
        first, index = stretch[0].index, self._index
        placed = [
            replace(
                frame,
                index=index + frame.index - first,
                time_seconds=offset_seconds + frame.media_seconds,
                captured_seconds=0.0,
            )
            for frame in stretch
        ]
        self._index = placed[-1].index + 1
        self._seconds = placed[-1].time_seconds + APART_SECONDS
        return placed
