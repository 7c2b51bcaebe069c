"""What the flow adds to an engine of fixed service time; see README.md for what a figure means.

python -m bench.flow [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.decode import busy_share
from edgewatch.config.settings import Settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.types import Answer, CameraName, Clip, Frame, Health, SourceInfo, Verdict
from edgewatch.pipeline.watch import CameraThread, Feed, Observer, Reports, live_feed
from edgewatch.pipeline.wiring import assembled

CAMERAS = 64
BATCH = 8
SETTLE_SECONDS = 1.0

GOALS = {
    "calm_added_mean_ms": "<= 2",
    "saturated_added_ms_per_clip": "<= 2",
    "saturated_engine_busy_share": ">= 0.97",
    "saturated_staleness_worst_over_mean": "<= 1.5",
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """How often each camera has a clip, and how long a batch of any size takes."""

    every_seconds: float
    batch_seconds: float


CALM = Scenario(every_seconds=2.5, batch_seconds=0.02)
"""The default stride, on an engine as fast as the best that was measured: half busy."""
SATURATED = Scenario(every_seconds=0.4, batch_seconds=0.08)
"""1.6 times what can be judged, at 10 ms a clip."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch in the engine, on the monotonic clock."""

    clip_ids: tuple[str, ...]
    began_seconds: float
    ended_seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """One verdict reaching an observer, on the monotonic clock."""

    camera: CameraName
    clip_id: str
    captured_seconds: float
    told_seconds: float


@dataclass(slots=True)
class Observed:
    """What a run showed."""

    batches: list[Batch] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    drops: int = 0
    began_seconds: float = 0.0
    ended_seconds: float = 0.0
    cpu_seconds: float = 0.0


class SlowEngine:
    """An engine whose every batch takes the same time, in a thread of its own."""

    name = "slow-1"
    max_batch = BATCH

    def __init__(self, observed: Observed, batch_seconds: float) -> None:
        self._observed = observed
        self._batch_seconds = batch_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def start(self) -> None:
        """Nothing to load."""

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Take the time of a batch; every clip is normal."""
        batch = tuple(clip.clip_id for clip in clips)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._work, batch)
        return [Answer(0.1) for _ in clips]

    async def describe(self, clip: Clip) -> str:
        """Nothing is ever asked."""
        return ""

    def instruct(self, camera: CameraName, prompt: str) -> None:
        """It reads nothing."""

    async def forget(self, camera: CameraName) -> None:
        """It keeps nothing."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """It knows nothing."""
        return None

    async def recall(self, camera: CameraName, memory: bytes) -> None:
        """It needs to know nothing."""

    async def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _work(self, clip_ids: tuple[str, ...]) -> None:
        began_seconds = time.monotonic()
        time.sleep(self._batch_seconds)
        self._observed.batches.append(Batch(clip_ids, began_seconds, time.monotonic()))


class FedCamera:
    """A camera whose clips the feeder hands over; keeps a camera thread's contract."""

    def __init__(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> None:
        self.latest_frame: Frame | None = None
        self._camera = feed.camera
        self._index = first_index
        self._outlet = outlet
        self._reports = reports
        self._lock = threading.Lock()
        self._ended = False
        pixels = np.full((28, 28, 3), 127, np.uint8)
        pixels.flags.writeable = False
        self._pixels = pixels

    def start(self) -> None:
        """Be online."""
        self._reports.on_info(SourceInfo("h264", 640, 360, 25.0))
        self._reports.on_health(Health(self._camera, "online", time.time()))

    def stop(self) -> None:
        """End at once."""
        with self._lock:
            if not self._ended:
                self._ended = True
                self._reports.on_end(None)
                self._outlet.close()

    def join(self, timeout_seconds: float) -> bool:
        """It has no thread."""
        return self._ended

    def hand_over(self) -> None:
        """Hand over a clip whose last picture was decoded just now; on the feeder's thread."""
        with self._lock:
            if not self._ended:
                self._outlet.offer(self._clip())
                self._index += 20

    def _clip(self) -> Clip:
        now_seconds, wall_seconds = time.monotonic(), time.time()
        frames = tuple(
            Frame(
                camera=self._camera,
                index=self._index + number,
                slot=self._index + number,
                pixels=self._pixels,
                media_seconds=number / 4.0,
                time_seconds=wall_seconds - 5.0 + number / 4.0,
                captured_seconds=now_seconds,
            )
            for number in range(20)
        )
        clip_id = f"{self._camera}-{self._index}"
        return Clip(clip_id, self._camera, frames, 4.0, wall_seconds - 5.0, wall_seconds)


class Feeder:
    """One thread that hands over clips for all cameras, evenly, each after its own delay."""

    def __init__(self, every_seconds: float) -> None:
        self._every_seconds = every_seconds
        self._cameras: list[FedCamera] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)

    def open_camera(
        self, feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: Reports
    ) -> CameraThread:
        """Make a camera; all of them before `start`."""
        camera = FedCamera(feed, first_index, outlet, reports)
        self._cameras.append(camera)
        return camera

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        began_seconds = time.monotonic()
        golden = 0.618034  # spreads any number of cameras over the interval
        due = sorted(
            (began_seconds + number * golden % 1.0 * self._every_seconds, number)
            for number in range(len(self._cameras))
        )
        while True:
            for number, (due_seconds, camera) in enumerate(due):
                if self._stop.wait(max(0.0, due_seconds - time.monotonic())):
                    return
                self._cameras[camera].hand_over()
                due[number] = (due_seconds + self._every_seconds, camera)


class Listener(Observer):
    """Notes when each verdict is told."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Note it."""
        self._observed.told.append(
            Told(clip.camera, clip.clip_id, clip.captured_seconds, time.monotonic())
        )


async def watch(scenario: Scenario, seconds: float) -> Observed:
    """Have the cameras' clips judged for a while; what comes before it settles is left out."""
    observed = Observed()
    feeder = Feeder(scenario.every_seconds)
    cameras = [{"name": f"camera-{n}", "url": "rtsp://10.0.0.9/"} for n in range(CAMERAS)]
    settings = Settings.model_validate({"cameras": tuple(cameras)})
    async with assembled(
        settings,
        SlowEngine(observed, scenario.batch_seconds),
        clock=SystemClock(),
        store_path=None,
        publish=None,
        open_camera=feeder.open_camera,
    ) as pipeline:
        for plan in settings.plans():
            pipeline.flow.add(live_feed(plan), [Listener(observed)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run())
            feeder.start()
            await asyncio.sleep(SETTLE_SECONDS)
            observed.began_seconds, cpu_seconds = time.monotonic(), time.process_time()
            dropped = _drops(pipeline.stats.snapshot(0.0).drops)
            await asyncio.sleep(seconds)
            observed.ended_seconds = time.monotonic()
            observed.cpu_seconds = time.process_time() - cpu_seconds
            observed.drops = _drops(pipeline.stats.snapshot(0.0).drops) - dropped
            await asyncio.to_thread(feeder.stop)
            pipeline.flow.stop()
    return observed


def figures_of(observed: Observed) -> dict[str, float]:
    """Return what the flow added, how busy the engine was, and how fair the staleness is."""
    began, ended = observed.began_seconds, observed.ended_seconds
    told = [one for one in observed.told if began <= one.told_seconds < ended]
    busy_seconds = sum(
        max(0.0, min(ended, one.ended_seconds) - max(began, one.began_seconds))
        for one in observed.batches
    )
    added_ms = 1000 * np.array(_added_seconds(observed, told))
    staleness_seconds = list(_staleness_seconds(told).values())
    sizes = [len(one.clip_ids) for one in observed.batches if began <= one.began_seconds < ended]
    wall_seconds = ended - began
    return {
        "clips": len(told),
        "clips_per_second": len(told) / wall_seconds,
        "drops": observed.drops,
        "batch_mean": float(np.mean(sizes)),
        "engine_busy_share": busy_seconds / wall_seconds,
        "added_ms_per_clip": 1000 * (wall_seconds - busy_seconds) / len(told),
        "added_mean_ms": float(added_ms.mean()),
        "added_p50_ms": float(np.percentile(added_ms, 50)),
        "added_p95_ms": float(np.percentile(added_ms, 95)),
        "cpu_ms_per_clip": 1000 * observed.cpu_seconds / len(told),
        "staleness_mean_seconds": float(np.mean(staleness_seconds)),
        "staleness_worst_over_mean": max(staleness_seconds) / float(np.mean(staleness_seconds)),
    }


def _added_seconds(observed: Observed, told: Sequence[Told]) -> list[float]:
    """For each clip: how long it waited while the engine had nothing to do, and for its verdict."""
    free_since = [-math.inf, *(batch.ended_seconds for batch in observed.batches)]
    batch_of = {
        clip_id: (free_seconds, batch)
        for free_seconds, batch in zip(free_since, observed.batches, strict=False)
        for clip_id in batch.clip_ids
    }
    added = []
    for one in told:
        free_seconds, batch = batch_of[one.clip_id]
        waited = batch.began_seconds - max(one.captured_seconds, free_seconds)
        added.append(max(0.0, waited) + one.told_seconds - batch.ended_seconds)
    return added


def _staleness_seconds(told: Sequence[Told]) -> dict[CameraName, float]:
    """For each camera: how old, averaged over time, what its newest verdict knows is."""
    by_camera: dict[CameraName, list[Told]] = {}
    for one in told:
        by_camera.setdefault(one.camera, []).append(one)
    staleness = {}
    for camera, verdicts in by_camera.items():
        area = sum(
            ((after.told_seconds - one.captured_seconds) ** 2
             - (one.told_seconds - one.captured_seconds) ** 2) / 2
            for one, after in pairwise(verdicts)
        )  # fmt: skip
        span_seconds = verdicts[-1].told_seconds - verdicts[0].told_seconds
        if span_seconds > 0:
            staleness[camera] = area / span_seconds
    return staleness


def _drops(drops: Mapping[str, int]) -> int:
    return sum(drops.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.flow", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures, within 20 s")
    parser.add_argument("--json", action="store_true", help="print one flat object")
    options = parser.parse_args(argv)
    figures: dict[str, float] = {"machine_busy_share": busy_share()}
    with open(os.devnull, "w") as nowhere:
        configure_logs(default="info", stream=nowhere)  # as the daemon does, for a journal
        for name, scenario in (("calm", CALM), ("saturated", SATURATED)):
            print(f"bench.flow: {name}", file=sys.stderr, flush=True)
            observed = asyncio.run(watch(scenario, 6 if options.quick else 30))
            figures |= {f"{name}_{key}": value for key, value in figures_of(observed).items()}
    figures = {name: round(value, 4) for name, value in figures.items()}
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        table = Table("figure", "value", "goal")
        for name, value in figures.items():
            table.add_row(name, f"{value:g}", GOALS.get(name, ""))
        Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
