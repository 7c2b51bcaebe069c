"""The engine's self-test: synthetic clips judged twice over, and the time that takes."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edgewatch.config.sections import Clips
from edgewatch.config.settings import CameraPlan
from edgewatch.pipeline.clips import ClipAssembler
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.frames import target_size
from edgewatch.pipeline.types import Answer, CameraName, Clip, Frame, Pixels
from edgewatch.tools.findings import Finding, fail, ok, warn

R = TypeVar("R")

WINDOWS = 4
"""Clips judged to learn their cost; the first, which shares no picture with another, counts not."""
START_SECONDS = 600.0
JUDGE_SECONDS = 60.0
"""What the daemon grants an engine, too."""

_CAMERA = CameraName("self-test")
_SCENE_PICTURES = 8
_STEP_PIXELS = 6
_SOURCE_SIZE = (1920, 1080)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What an engine showed of itself."""

    engine: str
    start_seconds: float
    scores: Mapping[str, tuple[float, float]]
    """Score of a clip by its scene, judged twice, each time with nothing known of its camera."""
    clip_seconds: Mapping[Clips, float]
    """Time a clip takes while a camera is being watched, by how its video is cut."""


async def self_test(
    engine: Engine, kinds: Sequence[Clips], clock: Clock, *, prompt: str
) -> SelfTest:
    """Start an engine, judge synthetic clips, close it. Raises EngineFailed.

    `kinds`: at least one; the first is what determinism is tested with. Memory is bounded by
    the number of different pictures, whatever the length of a clip.
    """
    try:
        began_seconds = clock.monotonic_seconds()
        await _limited(engine.start(), START_SECONDS, "start")
        engine.instruct(_CAMERA, prompt)
        start_seconds = clock.monotonic_seconds() - began_seconds
        scores = {}
        for scene, step_pixels in (("still", 0), ("moving", _STEP_PIXELS)):
            clip = next(footage(kinds[0], step_pixels=step_pixels))
            scores[scene] = (await _fresh(engine, clip), await _fresh(engine, clip))
        costs = {kind: await _cost_seconds(engine, kind, clock) for kind in dict.fromkeys(kinds)}
        return SelfTest(engine.name, start_seconds, scores, costs)
    finally:
        await engine.close()


def footage(kind: Clips, *, step_pixels: int) -> Iterator[Clip]:
    """Yield the clips of an endless scene that moves by so many pixels a picture, as cut live."""
    assembler = ClipAssembler(
        _CAMERA,
        fps=kind.fps,
        seconds=kind.seconds,
        stride_seconds=kind.stride_seconds,
        replay=True,
    )
    pictures = _pictures(*target_size(*_SOURCE_SIZE, kind.pixels), step_pixels)
    index = 0
    while True:
        media_seconds = index / kind.fps
        frame = Frame(
            camera=_CAMERA,
            index=index,
            slot=index,
            pixels=pictures[index % len(pictures)],
            media_seconds=media_seconds,
            time_seconds=media_seconds,
            captured_seconds=media_seconds,
        )
        if clip := assembler.add(frame):
            yield clip
        index += 1


def engine_findings(test: SelfTest, plans: Sequence[CameraPlan], threshold: float) -> list[Finding]:
    """Say what a self-test means for the cameras that are to be watched."""
    return [_soundness(test, threshold), *_capacities(test, plans)]


def _soundness(test: SelfTest, threshold: float) -> Finding:
    shown = ", ".join(f"{scene} scene {first:.3f}" for scene, (first, _) in test.scores.items())
    detail = f"started in {test.start_seconds:.1f} s; {shown}, the same when judged again"
    for scene, (first, second) in test.scores.items():
        if not all(math.isfinite(score) and 0.0 <= score <= 1.0 for score in (first, second)):
            wrong = f"scores a {scene} scene {first:g}: no probability"
            return fail("engine", test.engine, wrong, "Install edgewatch anew, and report this.")
        if first != second:
            return fail(
                "engine",
                test.engine,
                f"scores the same clip ({scene} scene) {first:g}, then {second:g}",
                "Restart the box and check again. If it stays so, test its memory; report this.",
            )
    if test.scores["still"][0] >= threshold:
        wrong = f"takes a scene in which nothing moves for an Anomaly: {shown}"
        return warn("engine", test.engine, wrong, "Raise engine.threshold above that score.")
    return ok("engine", test.engine, detail)


def _capacities(test: SelfTest, plans: Sequence[CameraPlan]) -> Iterator[Finding]:
    load = sum(test.clip_seconds[plan.clips] / plan.clips.stride_seconds for plan in plans)
    for kind, clip_seconds in test.clip_seconds.items():
        serves = math.floor(kind.stride_seconds / clip_seconds) if clip_seconds > 0 else math.inf
        width, height = target_size(*_SOURCE_SIZE, kind.pixels)
        subject = f"{kind.seconds:g} s at {kind.fps:g} fps, {width}x{height}"
        detail = (
            f"{clip_seconds * 1000:.0f} ms a clip; one every {kind.stride_seconds:g} s: serves "
            f"{serves} such cameras; all {len(plans)} enabled ones load it by {load:.0%}"
        )
        if load > 1.0:
            yield warn(
                "capacity",
                subject,
                detail,
                "More than it can judge, clips will be dropped: raise stride_seconds, lower fps "
                "or pixels, or watch fewer cameras.",
            )
        else:
            yield ok("capacity", subject, detail)


async def _fresh(engine: Engine, clip: Clip) -> float:
    """Judge a clip as the first one of its camera."""
    await engine.forget(_CAMERA)
    return (await _judge(engine, clip)).score


async def _cost_seconds(engine: Engine, kind: Clips, clock: Clock) -> float:
    await engine.forget(_CAMERA)
    took = []
    for _, clip in zip(range(WINDOWS), footage(kind, step_pixels=_STEP_PIXELS), strict=False):
        began_seconds = clock.monotonic_seconds()
        await _judge(engine, clip)
        took.append(clock.monotonic_seconds() - began_seconds)
    return statistics.median(took[1:])


async def _judge(engine: Engine, clip: Clip) -> Answer:
    return (await _limited(engine.judge([clip]), JUDGE_SECONDS, "judge a clip"))[0]


async def _limited(call: Awaitable[R], limit_seconds: float, task: str) -> R:
    try:
        async with asyncio.timeout(limit_seconds):
            return await call
    except TimeoutError:
        raise EngineFailed(f"did not {task} within {limit_seconds:g} s") from None
    except EngineBusy as error:
        raise EngineFailed(f"was busy with nothing else to do: {error}") from error


def _pictures(width: int, height: int, step_pixels: int) -> list[Pixels]:
    """Draw a street of grey blocks; in front of it a bright one that goes to and fro."""
    random = np.random.default_rng(7)
    blocks = random.integers(60, 190, (height // 14, width // 14, 1), np.uint8)
    street = np.repeat(blocks.repeat(14, 0).repeat(14, 1), 3, axis=2)
    pictures = []
    for number in range(_SCENE_PICTURES):
        picture = street.copy()
        turned = min(number, _SCENE_PICTURES - number)
        left = width // 4 + turned * step_pixels
        picture[height // 3 : height // 2, left : left + width // 8] = 230
        picture.flags.writeable = False
        pictures.append(picture)
    return pictures
