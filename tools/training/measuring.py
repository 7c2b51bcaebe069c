"""Measuring: staged cameras before the built-in engine, clip after clip, as in service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgewatch.pipeline.engines.builtin.engine import BuiltinEngine, Measured
from edgewatch.pipeline.engines.builtin.fusion import TOTAL, half_total, is_moving
from edgewatch.pipeline.types import CameraName, Clip
from edgewatch.tools.training.examples import ClipRole, Example, Floats
from edgewatch.tools.training.features import features
from edgewatch.tools.training.recipe import TrainingRecipe
from edgewatch.tools.training.staging import (
    LEAST_SEEN,
    Episode,
    Projector,
    Staged,
    StagedCamera,
)

STEEPNESS = 1.6
"""Of the score over the fused deviation, as in `fusion`."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """What was measured of one clip."""

    features: Floats
    hand_set: float
    """The logarithm of the odds that the fusion set by hand gives."""
    moving: bool
    """Whether the engine takes the camera for one that moves."""


class Measurer:
    """A built-in engine that leaves nothing behind and shows what it measures."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._engine = BuiltinEngine(baseline_dir=None, on_measured=self._take)

    async def start(self) -> None:
        """Load the network. Raises EngineFailed."""
        await self._engine.start()

    async def close(self) -> None:
        """End the engine; idempotent."""
        await self._engine.close()

    async def judged(self, clips: Sequence[Clip], memory: bytes | None = None) -> list[Row]:
        """Judge a camera's clips in order; return each one's features and hand-set odds.

        The engine knows the camera by `memory`, or not at all, and forgets it afterwards.
        """
        camera = clips[0].camera
        if memory is not None:
            await self._engine.recall(camera, memory)
        self._rows = []
        for clip in clips:
            await self._engine.judge([clip])
        await self._engine.forget(camera)
        return self._rows

    async def learnt(self, clips: Sequence[Clip]) -> tuple[list[Row], bytes]:
        """Judge footage that a baseline is learnt from; return the memory too."""
        self._rows = []
        for clip in clips:
            await self._engine.judge([clip])
        memory = await self._engine.memory_of(CameraName(clips[-1].camera), clips[-1].clip_id)
        await self._engine.forget(clips[-1].camera)
        return self._rows, memory or b""

    def _take(self, measured: Measured) -> None:
        past = measured.past
        odds = STEEPNESS * (measured.assessment.total - half_total(past[TOTAL]))
        moving = is_moving(measured.peaks, past)
        self._rows.append(Row(features(measured), float(np.clip(odds, -30.0, 30.0)), moving))


async def measure(
    cameras: Sequence[StagedCamera],
    recipe: TrainingRecipe,
    on_camera: Callable[[StagedCamera], None] = lambda _: None,
    on_done: Callable[[], None] = lambda: None,
) -> list[Example]:
    """Return the examples of all cameras, in order. Raises EngineFailed, SceneError."""
    measurer = Measurer()
    await measurer.start()
    examples: list[Example] = []
    try:
        for camera in cameras:
            on_camera(camera)
            examples += await _of_camera(measurer, camera, recipe)
            on_done()
    finally:
        await measurer.close()
    return examples


async def _of_camera(
    measurer: Measurer, camera: StagedCamera, recipe: TrainingRecipe
) -> list[Example]:
    projector = await asyncio.to_thread(Projector, camera, recipe)
    memory = b""
    examples: list[Example] = []
    if camera.needs_baseline:
        staged = await asyncio.to_thread(projector.normal)
        rows, memory = await measurer.learnt(staged.clips)
        examples += [_example(camera, None, row, "quiet") for row in rows]
    for episode in camera.episodes:
        staged = await asyncio.to_thread(projector.episode, episode)
        rows = await measurer.judged(staged.clips, memory if episode.warm else None)
        roles = _roles(episode, staged, camera.treatment.speed)
        examples += [
            _example(camera, episode, row, role) for row, role in zip(rows, roles, strict=True)
        ]
    return examples


def _roles(episode: Episode, staged: Staged, speed: float) -> list[ClipRole]:
    """Name each clip; a twin's clips that lie where the incident's would are the twin's."""
    begins = (episode.placement.begins_seconds - episode.begins_seconds) / speed
    roles: list[ClipRole] = []
    for clip, seen in zip(staged.clips, staged.seen, strict=True):
        before = clip.media_end_seconds <= begins
        if episode.twin:
            roles.append("quiet" if before else "twin")
        elif seen >= LEAST_SEEN:
            roles.append("incident")
        else:
            roles.append("before" if before else "unmarked")
    return roles


def _example(camera: StagedCamera, episode: Episode | None, row: Row, role: ClipRole) -> Example:
    return Example(
        camera_kind=camera.place.camera,
        camera=camera.name,
        place=camera.place.name,
        held_out=camera.held_out,
        episode=episode.number if episode else -1,
        kind=episode.kind if episode else "",
        role=role,
        warm=episode.warm if episode else False,
        features=row.features,
        hand_set=row.hand_set,
    )
