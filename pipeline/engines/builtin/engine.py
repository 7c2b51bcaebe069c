"""The built-in engine itself: its threads, what it keeps for each camera, and the protocol."""

from __future__ import annotations

import asyncio
import ctypes
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import structlog

from edgewatch.pipeline.engines.builtin import appearance, fusion, motion, words
from edgewatch.pipeline.engines.builtin.appearance import Backbone, Look
from edgewatch.pipeline.engines.builtin.fusion import ALARM, Assessment
from edgewatch.pipeline.engines.builtin.memory import CameraMemory, load_memory, memory_from
from edgewatch.pipeline.engines.builtin.motion import FlowMeter, Peak, Step
from edgewatch.pipeline.engines.builtin.places import Course
from edgewatch.pipeline.engines.builtin.sight import Booleans, Sight
from edgewatch.pipeline.errors import EngineFailed
from edgewatch.pipeline.types import Answer, CameraName, Clip, Frame

T = TypeVar("T")

log = structlog.get_logger(__name__)

SAVE_SECONDS = 300.0
"""Footage judged between two saves of a camera's baseline."""

NEW_NORMAL_SECONDS = 600.0
"""Alarmed without a break for so long, a camera is shown a new normal: it is learnt."""

_LOOK_EVERY = 2
_ALARMS_A_LESSON = 4
_EARLY_ALARMS_A_LESSON = 2
_ANSWERS_KEPT = 32


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """One clip as the engine measured and judged it, before it learns from it."""

    clip: Clip
    steps: Sequence[Step]
    looks: Sequence[Look]
    """Of every second frame."""
    peaks: Mapping[str, Peak]
    past: Mapping[str, npt.NDArray[np.floating]]
    """The camera's remembered figures (`fusion.REMEMBERED`); views, not copies."""
    assessment: Assessment


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Everything measured in a clip."""

    steps: list[Step]
    courses: list[Course]
    looks: list[Look]
    peaks: dict[str, Peak]
    unfamiliar: appearance.Floats


@dataclass(slots=True, eq=False)
class _Camera:
    """What the engine keeps for a camera."""

    memory: CameraMemory
    path: Path | None = None
    """Where its baseline is kept; None for recordings, which leave nothing behind."""
    ignored: Booleans | None = None
    """What of the frames is ignored, as the clip judged last says."""
    sight: Sight | None = None
    """What that leaves to judge; None: all."""
    flow_meter: FlowMeter = field(default_factory=FlowMeter)
    looks: dict[int, Look] = field(default_factory=dict)
    """By frame index; only frames of the clip judged last, which the next one shares."""
    steps: dict[tuple[int, int], tuple[Step, Course]] = field(default_factory=dict)
    """By the indices of the two frames; likewise."""
    answers: OrderedDict[str, Answer] = field(default_factory=OrderedDict)
    """The latest, by clip id."""
    before: deque[tuple[str, CameraMemory]] = field(default_factory=lambda: deque(maxlen=2))
    """The latest clips, each with the memory as it was before it was judged."""
    alarmed_since_seconds: float | None = None
    alarms: int = 0
    saved_seconds: float | None = None


class BuiltinEngine:
    """Judges clips by motion and appearance against each camera's normal; see docs/engines.md.

    Two threads: one measures motion and decides, the other runs the network meanwhile. Answers
    depend on the clips of the camera so far and nothing else: neither on other cameras nor on
    how clips are batched.
    """

    def __init__(
        self,
        *,
        baseline_dir: Path | None,
        max_batch: int = 4,
        on_measured: Callable[[Measured], None] | None = None,
    ) -> None:
        """`baseline_dir`: where baselines are kept as `<camera>.npz`; None keeps nothing.

        `max_batch`: clips are judged one after the other; a few at a time save hand-overs, and
        more than four at a time would only make verdicts wait for each other.

        `on_measured`: shown each clip that is judged, in the engine's thread; for training.
        """
        self._on_measured = on_measured
        self._max_batch = min(4, max_batch)
        self._baseline_dir = baseline_dir
        self._cameras: dict[CameraName, _Camera] = {}
        self._backbone: Backbone | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._look_thread: ThreadPoolExecutor | None = None

    @property
    def name(self) -> str:
        """Short name with version."""
        return "builtin-1"

    @property
    def max_batch(self) -> int:
        """Most clips of one call of `judge`."""
        return self._max_batch

    async def start(self) -> None:
        """Load the network and run it once. Raises EngineFailed."""
        if self._thread is not None:
            raise EngineFailed("the built-in engine was started twice")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="builtin-engine")
        self._look_thread = ThreadPoolExecutor(1, thread_name_prefix="builtin-looks")
        await self._in_thread(self._load)

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score each clip, in order. Raises EngineFailed."""
        return await self._in_thread(lambda: [self._judge(clip) for clip in clips])

    async def describe(self, clip: Clip) -> str:
        """Say which evidence fired in a clip, where and by how much. Raises EngineFailed."""
        return await self._in_thread(lambda: words.describe(self._recall(clip)))

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """Let it pass: this engine learns what is normal, it does not read."""

    async def forget(self, camera: CameraName) -> None:
        """Save a camera's baseline and let go of everything kept for it."""
        await self._in_thread(lambda: self._forget(camera))

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """Return a camera's memory as it was before a clip; None but for its latest two."""
        return await self._in_thread(lambda: self._memory_of(camera, clip_id))

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """Take on a camera's memory. Raises ValueError, EngineFailed."""
        recalled = memory_from(memory)
        await self._in_thread(lambda: self._cameras.update({camera: _Camera(recalled)}))

    async def close(self) -> None:
        """Save all baselines and end the threads; idempotent."""
        if self._thread is None or self._look_thread is None:
            return
        try:
            await self._in_thread(self._forget_all)
        finally:
            self._look_thread.shutdown()
            self._thread.shutdown()
            self._thread = self._look_thread = self._backbone = None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise EngineFailed("the built-in engine is not running: start it first")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except EngineFailed:
            raise
        except Exception as error:
            # onnxruntime's errors have no base of their own; whatever it was, a new start is due.
            raise EngineFailed(f"the built-in engine broke: {error}") from error

    def _load(self) -> None:
        # OpenCV's own threads would take the cores that decoding needs, for pictures this small.
        cv2.setNumThreads(1)
        self._backbone = Backbone()
        blank = np.zeros((196, 336, 3), np.uint8)
        self._backbone.look(blank)
        small = motion.shrink(blank)
        FlowMeter().step(small, small, 0.25)
        _return_freed_memory()

    def _judge(self, clip: Clip) -> Answer:
        camera = self._camera(clip)
        seen, assessment, answer = self._assess(camera, clip)
        if self._on_measured is not None:
            past = camera.memory.past()
            self._on_measured(Measured(clip, seen.steps, seen.looks, seen.peaks, past, assessment))
        camera.before.append((clip.clip_id, camera.memory.copy()))
        self._learn(camera, clip, seen, assessment)
        camera.answers[clip.clip_id] = answer
        while len(camera.answers) > _ANSWERS_KEPT:
            camera.answers.popitem(last=False)
        self._save_if_due(camera, clip)
        return answer

    def _recall(self, clip: Clip) -> Answer:
        """Return the answer given for a clip; a new one, learning nothing, if it is gone."""
        camera = self._camera(clip)
        if clip.clip_id in camera.answers:
            return camera.answers[clip.clip_id]
        return self._assess(camera, clip)[2]

    def _camera(self, clip: Clip) -> _Camera:
        """Return what is kept for the clip's camera; a new picture size begins anew."""
        height, width = clip.frames[0].pixels.shape[:2]
        camera = self._cameras.get(clip.camera)
        if camera is None:
            # A recording is judged by itself, or a second replay would give other scores.
            path = None if clip.replay else self._path(clip.camera)
            memory = (
                load_memory(clip.camera, path, width, height)
                if path
                else CameraMemory(width, height)
            )
            camera = self._cameras[clip.camera] = _Camera(memory, path)
        elif camera.memory.size != (width, height):
            log.info("picture size changed, learning anew", camera=clip.camera)
            camera = self._cameras[clip.camera] = _Camera(
                CameraMemory(width, height), camera.path, answers=camera.answers
            )
        _follow_regions(camera, clip.frames[0].ignored)
        return camera

    def _assess(self, camera: _Camera, clip: Clip) -> tuple[_Seen, Assessment, Answer]:
        seen = self._see(camera, clip)
        assessment = fusion.assess(seen.peaks, camera.memory.past())
        known = camera.memory.has_baseline
        first = clip.frames[0].media_seconds
        seconds = [frame.media_seconds - first for frame in clip.frames]
        answer = Answer(
            score=round(assessment.score, 6),
            evidence=tuple(words.evidence(assessment.findings, seconds, own=known)),
            warming_up=not known,
        )
        return seen, assessment, answer

    def _see(self, camera: _Camera, clip: Clip) -> _Seen:
        """Measure a clip; what its frames share with the clip before is not computed again."""
        positions = list(range(0, len(clip.frames), _LOOK_EVERY))
        pending = self._start_looking(camera, [clip.frames[position] for position in positions])
        measured = self._steps(camera, clip.frames)
        steps = [step for step, _ in measured]
        courses = [course for _, course in measured]
        camera.looks = {index: look.result() for index, look in pending.items()}
        looks = [camera.looks[clip.frames[position].index] for position in positions]
        cells = camera.sight.cells if camera.sight else None
        peaks = motion.measure(steps) | appearance.measure(looks, positions, cells)
        unfamiliar, peak = camera.memory.looks.measure(looks, cells)
        peaks["unfamiliar"] = peak
        if against := camera.memory.directions.measure(courses):
            peaks["against_flow"] = against
        return _Seen(steps, courses, looks, peaks, unfamiliar)

    def _start_looking(self, camera: _Camera, frames: Sequence[Frame]) -> dict[int, Future[Look]]:
        if self._look_thread is None or self._backbone is None:
            raise EngineFailed("the built-in engine is not running: start it first")
        pending = {}
        cells = camera.sight.cells if camera.sight else None
        for frame in frames:
            if frame.index in camera.looks:
                ready: Future[Look] = Future()
                ready.set_result(camera.looks[frame.index])
                pending[frame.index] = ready
            else:
                pending[frame.index] = self._look_thread.submit(
                    self._backbone.look, frame.pixels, cells
                )
        return pending

    def _steps(self, camera: _Camera, frames: Sequence[Frame]) -> list[tuple[Step, Course]]:
        """Measure each pair of neighbouring frames."""
        steps = {}
        small = None
        seen = camera.sight.pixels if camera.sight else None
        for before, after in pairwise(frames):
            pair = before.index, after.index
            if pair in camera.steps:
                steps[pair] = camera.steps[pair]
                small = None
                continue
            earlier = motion.shrink(before.pixels) if small is None else small
            small = motion.shrink(after.pixels)
            seconds = after.media_seconds - before.media_seconds
            step = camera.flow_meter.step(earlier, small, seconds, seen)
            steps[pair] = step, camera.memory.directions.course(step)
        camera.steps = steps
        return list(steps.values())

    def _learn(self, camera: _Camera, clip: Clip, seen: _Seen, assessment: Assessment) -> None:
        """Learn from a normal clip; from alarms little, and only figures cut to normal.

        One alarm in four counts, one in two before a baseline exists: so an incident leaves
        hardly a mark, and a habit that alarms is got used to in time.
        """
        figures = fusion.remembered(seen.peaks, assessment)
        camera.memory.directions.learn(seen.courses[: len(seen.courses) // 2 + 1])
        if assessment.score >= ALARM:
            if camera.alarmed_since_seconds is None:
                camera.alarmed_since_seconds = clip.start_seconds
            if clip.end_seconds - camera.alarmed_since_seconds < NEW_NORMAL_SECONDS:
                camera.alarms += 1
                lesson = _ALARMS_A_LESSON if camera.memory.has_baseline else _EARLY_ALARMS_A_LESSON
                if camera.alarms % lesson == 0:
                    camera.memory.remember(figures)
                return
            log.info("long alarm is taken for the new normal", camera=clip.camera)
        else:
            camera.alarmed_since_seconds = None
        camera.memory.remember(figures)
        cells = camera.sight.cells if camera.sight else None
        for look in (seen.looks[0], seen.looks[len(seen.looks) // 2]):
            camera.memory.looks.learn(look, seen.unfamiliar, cells)

    def _memory_of(self, name: CameraName, clip_id: str) -> bytes | None:
        camera = self._cameras.get(name)
        known = dict(camera.before) if camera else {}
        return known[clip_id].to_bytes() if clip_id in known else None

    def _save_if_due(self, camera: _Camera, clip: Clip) -> None:
        if camera.saved_seconds is None:
            camera.saved_seconds = clip.end_seconds
        if abs(clip.end_seconds - camera.saved_seconds) >= SAVE_SECONDS:
            camera.saved_seconds = clip.end_seconds
            self._save(clip.camera, camera)

    def _save(self, name: CameraName, camera: _Camera) -> None:
        if camera.path is None or camera.memory.learnt_clips == 0:
            return
        try:
            camera.memory.save(camera.path)
        except OSError as error:
            # Learning goes on in memory; the next save tries again.
            log.warning("baseline not saved", camera=name, path=str(camera.path), error=str(error))

    def _forget(self, name: CameraName) -> None:
        camera = self._cameras.pop(name, None)
        if camera is not None:
            self._save(name, camera)

    def _forget_all(self) -> None:
        for name in list(self._cameras):
            self._forget(name)

    def _path(self, camera: CameraName) -> Path | None:
        return self._baseline_dir / f"{camera}.npz" if self._baseline_dir else None


def _follow_regions(camera: _Camera, ignored: Booleans | None) -> None:
    """Judge what a camera's regions leave, from the first clip with them on."""
    if ignored is not camera.ignored or camera.ignored is None:
        camera.ignored, camera.sight = ignored, None
        if ignored is not None:
            small_size = motion.small_size(*camera.memory.size)
            camera.sight = Sight.of(ignored, small_size, camera.memory.grid)
        camera.memory.look_with(camera.sight.cells if camera.sight else None)


def _return_freed_memory() -> None:
    """Give what loading the network freed back to the system: 30 MB that glibc would keep."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none, and keeps less
        trim(0)
