"""`edgewatch replay --settings`: the same recordings judged under two settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import Engine, create_engine
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.playlist import recording_feed
from edgewatch.pipeline.recorder import Recorded
from edgewatch.pipeline.types import Answer, CameraName
from edgewatch.pipeline.watch import rules_of
from edgewatch.tools.both_engines import BothEngines, twin
from edgewatch.tools.comparison import Comparison, How, differing
from edgewatch.tools.playback import Judged, Labelled, play, replay_of
from edgewatch.tools.progress import ReplayProgress
from edgewatch.tools.recordings import Found, Recording
from edgewatch.tools.reported import reported

_IN_PLANS = {"threshold": 0.5, "scene": "fixed", "prompt": None}
"""Keys of [engine] that each camera's plan holds, and no engine is made of."""
_WEIGHTY = ("transformers", "tensorrt", "native")
"""Engines that fill a device's memory: two of them are never loaded at the same time."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two settings."""

    name: str
    settings: Settings
    plan: CameraPlan


@dataclass(frozen=True, slots=True)
class Work:
    """What is judged under both."""

    found: Found
    labels: Labelled
    speed: float | None
    shown: bool
    """Whether progress is shown."""

    @property
    def recordings(self) -> Sequence[Recording]:
        """The recordings that were found."""
        return self.found.recordings

    def progress(self, times: int = 1) -> ReplayProgress | None:
        """Return a bar for all recordings, each `times` times."""
        return ReplayProgress(times * len(self.recordings)) if self.shown else None


def way_to_compare(first: Side, second: Side) -> How:
    """Return the least work that tells two settings apart."""
    same_engine = _engine_keys(first.settings) == _engine_keys(second.settings)
    reads = first.settings.engine.kind != "builtin"
    same_question = not reads or first.plan.prompt == second.plan.prompt
    if (first.plan.clips, first.plan.ignore) != (second.plan.clips, second.plan.ignore):
        return "loaded_once" if same_engine else "twice"
    if same_engine and same_question:
        return "once"
    if not same_engine and all(one.settings.engine.kind in _WEIGHTY for one in (first, second)):
        return "twice"
    return "decoded_once"


def compare(first: Side, second: Side, work: Work) -> tuple[Comparison, Judged, Judged]:
    """Judge the recordings under both settings. Raises EngineFailed, StoreError."""
    how = way_to_compare(first, second)
    began_seconds = time.monotonic()
    if not work.recordings:
        nothing = [Judged({}, one.settings.engine.kind, 0) for one in (first, second)]
        judged = nothing[0], nothing[1]
    else:
        judged = asyncio.run(_WAYS[how](first, second, work))
    wall_seconds = time.monotonic() - began_seconds
    replays = [
        replay_of(side.settings, side.plan, work.found, work.labels, one, wall_seconds)
        for side, one in zip((first, second), judged, strict=True)
    ]
    return (
        Comparison(
            first=replays[0],
            second=replays[1],
            first_name=first.name,
            second_name=second.name,
            how=how,
            differing=differing((first.settings, first.plan), (second.settings, second.plan)),
            wall_seconds=wall_seconds,
        ),
        *judged,
    )


def under(recorded: Recorded, plan: CameraPlan) -> Recorded:
    """Return what a recording comes to under another threshold and other event rules.

    The scores stay; words about events are not taken over.
    """
    verdicts = tuple(
        replace(
            one,
            threshold=plan.threshold,
            label="Anomaly" if one.score >= plan.threshold else "Normal",
        )
        for one in recorded.verdicts
    )
    events = reported(recorded.camera, verdicts, rules_of(plan))
    return replace(recorded, verdicts=verdicts, events=events)


def answered(
    recorded: Recorded, answers: Mapping[str, Answer], engine: str, plan: CameraPlan
) -> Recorded:
    """Return what a recording comes to by another engine's answers to the same clips."""
    verdicts = tuple(
        replace(
            one,
            score=answer.score,
            engine=engine,
            evidence=answer.evidence,
            warming_up=answer.warming_up,
            uncertain=answer.uncertain,
            prompt_hash=answer.prompt_hash,
        )
        for one in recorded.verdicts
        if (answer := answers.get(one.clip_id)) and 0.0 <= answer.score <= 1.0
    )
    missing = len(recorded.verdicts) - len(verdicts)
    if missing and not recorded.error:
        error = f"{missing} of its clips were not judged: {engine} gave no probability"
        recorded = replace(recorded, error=error, engine_failed=True)
    return under(replace(recorded, verdicts=verdicts, worst=()), plan)


async def _once(first: Side, second: Side, work: Work) -> tuple[Judged, Judged]:
    judged = await _alone(first, work)
    other = {name: under(one, second.plan) for name, one in judged.recorded.items()}
    return judged, replace(judged, recorded=other)


async def _decoded_once(first: Side, second: Side, work: Work) -> tuple[Judged, Judged]:
    one = _engine(first)
    same = _engine_keys(first.settings) == _engine_keys(second.settings)
    both = BothEngines(one, one if same else _engine(second), second_prompt=second.plan.prompt)
    judged = await _alone(first, work, both)
    other = {
        name: answered(one, both.answers, both.second_name, second.plan)
        for name, one in judged.recorded.items()
    }
    return judged, replace(judged, recorded=other, engine=both.second_name)


async def _loaded_once(first: Side, second: Side, work: Work) -> tuple[Judged, Judged]:
    engine = create_engine(_larger(_setup(first), _setup(second)))
    feeds = [
        recording_feed(side.plan, one.path, name, work.speed)
        for one in work.recordings
        for side, name in ((first, one.camera), (second, twin(one.camera)))
    ]
    judged = await play(first.settings, engine, feeds, progress=work.progress(2))
    twins = {twin(one.camera): one.camera for one in work.recordings}
    parts: tuple[dict[str, Recorded], dict[str, Recorded]] = ({}, {})
    for name, recorded in judged.recorded.items():
        camera = twins.get(CameraName(name))
        if camera is None:
            parts[0][name] = recorded
        else:
            parts[1][camera] = _renamed(recorded, camera)
    return replace(judged, recorded=parts[0]), replace(judged, recorded=parts[1])


def _renamed(recorded: Recorded, camera: CameraName) -> Recorded:
    return replace(
        recorded,
        camera=camera,
        verdicts=tuple(replace(one, camera=camera) for one in recorded.verdicts),
        events=tuple(replace(one, camera=camera) for one in recorded.events),
    )


async def _twice(first: Side, second: Side, work: Work) -> tuple[Judged, Judged]:
    judged = await _alone(first, work)
    if judged.interrupted:
        return judged, Judged({}, second.settings.engine.kind, 0, interrupted=True)
    return judged, await _alone(second, work)


_WAYS = {
    "once": _once,
    "decoded_once": _decoded_once,
    "loaded_once": _loaded_once,
    "twice": _twice,
}


async def _alone(side: Side, work: Work, engine: Engine | None = None) -> Judged:
    feeds = [recording_feed(side.plan, r.path, r.camera, work.speed) for r in work.recordings]
    return await play(side.settings, engine or _engine(side), feeds, progress=work.progress())


def _engine(side: Side) -> Engine:
    return create_engine(_setup(side))


def _setup(side: Side) -> EngineSetup:
    return engine_setup(side.settings, baseline_dir=None)


def _larger(one: EngineSetup, other: EngineSetup) -> EngineSetup:
    """Make room for the clips of both."""
    clips = one.largest_clip, other.largest_clip
    largest = replace(
        clips[0],
        frames=max(clip.frames for clip in clips),
        pixels=max(clip.pixels for clip in clips),
        fps=max(clip.fps for clip in clips),
    )
    return replace(one, largest_clip=largest)


def _engine_keys(settings: Settings) -> tuple[Any, ...]:
    """Return what an engine is made of, as far as the settings say it."""
    return settings.engine.model_copy(update=_IN_PLANS), settings.engine_token
