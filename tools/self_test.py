"""The engine's self-test: clips judged twice over, and the time that batches of them take."""

from __future__ import annotations

import asyncio
import itertools
import statistics
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

from edgewatch.config.sections import Clips
from edgewatch.pipeline.clock import Clock
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.errors import EngineBusy, EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip
from edgewatch.tools.trial_footage import Scene, footage

R = TypeVar("R")

START_SECONDS = 600.0
JUDGE_SECONDS = 60.0
"""What the daemon grants an engine, too."""
WINDOWS = 3
"""Batches judged at most to learn their cost, after a first one that shares no picture with
another."""
ENOUGH_SECONDS = 0.5
"""No more are judged once they took so long together."""
MEASURE_SECONDS = 60.0
"""No larger batch is tried if it would likely take longer than this in all."""

CLOSE_SECONDS = 10.0
STILL = "a still scene"
_SCENES: Mapping[str, Scene] = {
    "a black picture": "black",
    STILL: "still",
    "a moving scene": "moving",
}


@dataclass(frozen=True, slots=True)
class Scored:
    """What became of a clip that was judged twice, each time as the first one of its camera."""

    first: float
    second: float
    uncertain: bool = False
    """The model's answer hardly was one."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What a batch costs while cameras are being watched."""

    kind: Clips
    """How the cameras' video is cut."""
    clips: int
    """In a batch."""
    batch_seconds: float

    @property
    def clip_seconds(self) -> float:
        """Time a clip."""
        return self.batch_seconds / self.clips


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What an engine showed of itself."""

    engine: str
    start_seconds: float
    scores: Mapping[str, Scored]
    """By what was shown: drawn scenes, and "camera NAME" for a real one."""
    speeds: Sequence[Speed]
    """Of the first kind at each size of batch, of the others at the largest."""
    left_out: Sequence[int] = ()
    """Sizes of batches that would have taken too long to measure."""


async def self_test(
    engine: Engine,
    kinds: Sequence[Clips],
    clock: Clock,
    *,
    prompt: str,
    max_batch: int,
    real: Clip | None = None,
) -> SelfTest:
    """Start an engine, judge clips, close it. Raises EngineFailed, whatever the engine throws.

    `kinds`: at least one; the first is what soundness is tested with. `max_batch`: the largest
    batch that the flow makes. `real`: a clip of a camera, if one could be had.
    """
    trial = _Trial(engine, clock, prompt)
    try:
        began_seconds = clock.monotonic_seconds()
        await _limited(engine.start(), START_SECONDS, "start")
        start_seconds = clock.monotonic_seconds() - began_seconds
        shown = {
            name: next(footage(kinds[0], scene, _camera(0))) for name, scene in _SCENES.items()
        }
        if real is not None:
            shown[f"camera {real.camera}"] = _as_of(real, _camera(0))
        scores = {name: await trial.score_twice(clip) for name, clip in shown.items()}
        speeds, left_out = await trial.speeds(
            list(dict.fromkeys(kinds)), _sizes(min(max_batch, engine.max_batch))
        )
        return SelfTest(engine.name, start_seconds, scores, speeds, left_out)
    finally:
        with suppress(EngineFailed):  # it has shown what it can; how it goes counts no more
            await _limited(engine.close(), CLOSE_SECONDS, "close")


class _Trial:
    """Clips given to a started engine, on a clock."""

    def __init__(self, engine: Engine, clock: Clock, prompt: str) -> None:
        self._engine = engine
        self._clock = clock
        self._prompt = prompt

    async def score_twice(self, clip: Clip) -> Scored:
        """Judge a clip twice, each time with nothing known of its camera."""
        answers = []
        for _ in range(2):
            await self._renew([clip.camera])
            answers += await self._judge([clip])
        first, second = answers
        return Scored(first.score, second.score, first.uncertain or second.uncertain)

    async def speeds(
        self, kinds: Sequence[Clips], sizes: Sequence[int]
    ) -> tuple[list[Speed], list[int]]:
        """Measure the first kind at each size, the others at the largest; and what was left out."""
        speeds: list[Speed] = []
        began_seconds = self._clock.monotonic_seconds()
        for number, size in enumerate(sizes):
            spent_seconds = self._clock.monotonic_seconds() - began_seconds
            # Two batches of twice the size
            if speeds and spent_seconds + 4 * speeds[-1].batch_seconds > MEASURE_SECONDS:
                return speeds, list(sizes[number:])
            speeds.append(await self._speed(kinds[0], size))
        speeds += [await self._speed(kind, sizes[-1]) for kind in kinds[1:]]
        return speeds, []

    async def _speed(self, kind: Clips, size: int) -> Speed:
        cameras = [_camera(number) for number in range(size)]
        await self._renew(cameras)
        streams = [footage(kind, "moving", camera) for camera in cameras]
        await self._timed(streams)
        took: list[float] = []
        while len(took) < WINDOWS and sum(took) < ENOUGH_SECONDS:
            took.append(await self._timed(streams))
        return Speed(kind, size, statistics.median(took))

    async def _timed(self, streams: Sequence[Iterator[Clip]]) -> float:
        clips = [next(stream) for stream in streams]
        began_seconds = self._clock.monotonic_seconds()
        await self._judge(clips)
        return self._clock.monotonic_seconds() - began_seconds

    async def _judge(self, clips: Sequence[Clip]) -> list[Answer]:
        task = "judge a clip" if len(clips) == 1 else f"judge {len(clips)} clips at once"
        answers = await _limited(self._engine.judge(clips), JUDGE_SECONDS, task)
        if len(answers) != len(clips):
            raise EngineFailed(f"{len(clips)} clips were answered {len(answers)} times")
        return answers

    async def _renew(self, cameras: Sequence[CameraName]) -> None:
        for camera in cameras:
            await self._engine.forget(camera)
            self._engine.instruct(camera, self._prompt)


def _sizes(most: int) -> list[int]:
    """Return 1, 2, 4, ... and `most` itself."""
    powers = itertools.takewhile(lambda size: size < most, (2**n for n in itertools.count()))
    return [*powers, most]


def _camera(number: int) -> CameraName:
    return CameraName(f"self-test-{number}")


def _as_of(clip: Clip, camera: CameraName) -> Clip:
    """Return a clip as one of another camera, so that nothing mixes with what is known of its."""
    frames = tuple(replace(frame, camera=camera) for frame in clip.frames)
    return replace(clip, camera=camera, frames=frames)


async def _limited(call: Awaitable[R], limit_seconds: float, task: str) -> R:
    try:
        async with asyncio.timeout(limit_seconds):
            return await call
    except TimeoutError:
        raise EngineFailed(
            f"did not {task} within {limit_seconds:g} s",
            "set a smaller [engine] max_batch, fewer [clips] pixels, or another engine or device",
        ) from None
    except EngineBusy as error:
        raise EngineFailed(f"was busy with nothing else to do: {error}") from error
    except EngineFailed:
        raise
    except Exception as error:
        raise EngineFailed(f"could not {task}: {type(error).__name__}: {error}") from error
