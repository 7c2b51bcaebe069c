"""The whole flow with the engine `native` and many live cameras: does it keep up?

    python -m bench.native_live [--cameras 64] [--seconds 20] [--search] [--json]
    python -m bench.native_live --quick          # on a CPU: two cameras, the tiny model

Included: the engine in its child process with a checkpoint of 7B's shape (random weights, loaded
from disk; written there first unless `--model` names one), clips through shared memory, scheduler,
flow, policy, store on disk, and the cameras' clips cut from frames at 4 fps that overlap as live
ones do, at the default stride. Not included: network streams and decoding (frames are handed over
ready, as after decoding; `bench.decode` and `bench.sustain` say what those cost), MQTT and
evidence. Weights are random, so the threshold is set where nothing becomes an event: no words.

`busy_share` is the time in which the engine had at least one batch; what it sees of frames before
their clip is complete comes on top. Latency is from the decoding
of a clip's last frame to its verdict.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.native_checkpoint import prompt_of, write_checkpoint
from bench.native_feeder import Feeder
from bench.search import largest
from bench.stopwatch import Stopwatch, Timed
from edgewatch.config.settings import CameraPlan, Settings, load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.engines.figures import EngineFigures
from edgewatch.pipeline.stats import StatsSnapshot
from edgewatch.pipeline.types import CameraName, Clip, Verdict
from edgewatch.pipeline.watch import Observer, live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled
from tests.fakes.tiny_qwen import make_tiny_qwen

SIDE = 252
MOST_CAMERAS = 400
"""So many are in the settings; how many are watched changes from trial to trial."""
THRESHOLD = 0.99


@dataclass(frozen=True, slots=True)
class Told:
    """One verdict, on the monotonic clock."""

    captured_seconds: float
    told_seconds: float


class Listener(Observer):
    """Notes when each verdict is told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Note it."""
        self.told.append(Told(clip.captured_seconds, time.monotonic()))


@dataclass(slots=True)
class Run:
    """The flow under way."""

    pipeline: Pipeline
    plans: Sequence[CameraPlan]
    stopwatch: Stopwatch
    listener: Listener
    feeder: Feeder
    settle_seconds: float
    seconds: float
    cameras: int = 0

    async def trial(self, cameras: int) -> dict[str, float]:
        """Watch so many cameras for a while; return what was seen once all had clips."""
        flow = self.pipeline.flow
        for plan in self.plans[self.cameras : cameras]:
            flow.add(live_feed(plan), [self.listener])
        for plan in self.plans[cameras : self.cameras]:
            flow.dismiss(CameraName(plan.name))
        self.cameras = cameras
        await asyncio.sleep(self.settle_seconds)
        began_seconds, drops = time.monotonic(), self._drops()
        seen, pairs_dropped = self._figures(), self._stats().pairs_dropped
        self.feeder.late_seconds = 0.0
        await asyncio.sleep(self.seconds)
        ended_seconds = time.monotonic()
        told = [one for one in self.listener.told if one.told_seconds >= began_seconds]
        latencies_ms = [1e3 * (one.told_seconds - one.captured_seconds) for one in told]
        return {
            "cameras": cameras,
            "clips": len(told),
            "clips_per_second": len(told) / (ended_seconds - began_seconds),
            "dropped": self._drops() - drops,
            "busy_share": self._busy_seconds(began_seconds, ended_seconds)
            / (ended_seconds - began_seconds),
            "batch_mean": self._batch_mean(began_seconds),
            "latency_p50_ms": float(np.percentile(latencies_ms or [np.nan], 50)),
            "latency_p95_ms": float(np.percentile(latencies_ms or [np.nan], 95)),
            "feeder_late_ms": 1e3 * self.feeder.late_seconds,
            **self._sights(seen, self._figures()),
            "pairs_dropped": self._stats().pairs_dropped - pairs_dropped,
        }

    def _drops(self) -> int:
        return sum(self._stats().drops.values())

    def _stats(self) -> StatsSnapshot:
        return self.pipeline.stats.snapshot(time.monotonic())

    def _figures(self) -> EngineFigures:
        return self.stopwatch.figures or EngineFigures()

    @staticmethod
    def _sights(before: EngineFigures, after: EngineFigures) -> dict[str, float]:
        """Return how much of what clips showed was seen before, and how much before its clip."""
        hits = after.sight_hits - before.sight_hits
        asked = hits + after.sight_misses - before.sight_misses
        return {
            "sight_hit_share": hits / asked if asked else 0.0,
            "sights_foreseen": after.sight_foreseen - before.sight_foreseen,
            "sights_forgone": after.sight_forgone - before.sight_forgone,
        }

    def _busy_seconds(self, began_seconds: float, ended_seconds: float) -> float:
        """Return how long the engine had a batch or more."""
        spans = sorted(
            {(one.given_seconds, one.given_seconds + one.engine_seconds) for one in self._timed()}
        )
        busy, until = 0.0, began_seconds
        for given, through in spans:
            from_seconds, to_seconds = max(given, until), min(through, ended_seconds)
            busy += max(0.0, to_seconds - from_seconds)
            until = max(until, to_seconds)
        return busy

    def _batch_mean(self, began_seconds: float) -> float:
        timed = [one.given_seconds for one in self._timed() if one.given_seconds >= began_seconds]
        return len(timed) / max(1, len(set(timed)))

    def _timed(self) -> list[Timed]:
        return self.stopwatch.timed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured of each trial")
    parser.add_argument("--settle", type=float, default=9.0, help="before each, not measured")
    parser.add_argument("--limit-seconds", type=float, default=400.0, help="no trial after that")
    parser.add_argument("--search", action="store_true", help="find the most without drops")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp8"), default="auto")
    parser.add_argument("--no-incremental", action="store_true", help="see each clip whole")
    parser.add_argument("--max-batch", type=int, default=8)
    parser.add_argument("--vision-cache-bytes", type=int, default=2_000_000_000)
    parser.add_argument("--model", type=Path, help="a checkpoint's directory")
    parser.add_argument("--quick", action="store_true", help="two cameras, tiny model")
    parser.add_argument("--json", action="store_true", help="one flat object, name to number")
    options = parser.parse_args(argv)
    configure_logs(default="warning", stream=sys.stderr)
    if options.quick:
        options.cameras, options.seconds, options.settle = 2, min(options.seconds, 5.0), 6.0
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(options, Path(folder)))
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<32}  {value:>10.5g}")
    return 0


async def _measure(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    began_seconds = time.monotonic()
    model = options.model or await asyncio.to_thread(_checkpoint, options.quick, folder)
    _say(f"checkpoint after {time.monotonic() - began_seconds:.0f} s")
    async with _running(options, folder, model) as run:
        _say(f"engine ready after {time.monotonic() - began_seconds:.0f} s")
        first = await run.trial(options.cameras)
        _say(_line(first))
        figures = dict(first)
        if options.search:
            figures["most_cameras"] = await _search(run, options, began_seconds, first)
    return {name: float(f"{value:.6g}") for name, value in figures.items() if math.isfinite(value)}


async def _search(
    run: Run, options: argparse.Namespace, began_seconds: float, first: dict[str, float]
) -> int:
    """Return the most cameras without a drop, of the trials that there was time for."""
    loop = asyncio.get_running_loop()
    known = {options.cameras: not first["dropped"]}

    def holds(cameras: int) -> bool:
        if cameras in known:
            return known[cameras]
        spent = time.monotonic() - began_seconds
        if cameras > MOST_CAMERAS or spent > options.limit_seconds:
            return False
        found = asyncio.run_coroutine_threadsafe(run.trial(cameras), loop).result()
        _say(_line(found))
        known[cameras] = not found["dropped"]
        return known[cameras]

    await asyncio.to_thread(largest, holds, options.cameras, step=0.2)
    return max((cameras for cameras, held in known.items() if held), default=0)


@asynccontextmanager
async def _running(options: argparse.Namespace, folder: Path, model: Path) -> AsyncIterator[Run]:
    settings = _settings(options, folder, model)
    stopwatch = Stopwatch(create_engine(engine_setup(settings, baseline_dir=None)))
    feeder, listener = Feeder(SIDE, SIDE), Listener()
    async with assembled(
        settings,
        stopwatch,
        clock=SystemClock(),
        store_path=folder / "edgewatch.db",
        publish=None,
        open_camera=feeder.open_camera,
    ) as pipeline:
        run = Run(
            pipeline,
            settings.plans(),
            stopwatch,
            listener,
            feeder,
            options.settle,
            options.seconds,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pipeline.run())
            feeder.start()
            try:
                yield run
            finally:
                await asyncio.to_thread(feeder.stop)
                pipeline.flow.stop()


def _checkpoint(quick: bool, folder: Path) -> Path:
    directory = folder / "checkpoint"
    return make_tiny_qwen(directory) if quick else write_checkpoint(directory)


def _settings(options: argparse.Namespace, folder: Path, model: Path) -> Settings:
    engine: dict[str, object] = {
        "kind": "native",
        "model": str(model),
        "max_batch": options.max_batch,
    }
    engine |= {
        "precision": options.precision,
        "incremental": not options.no_incremental,
        "vision_cache_bytes": options.vision_cache_bytes,
    }
    most = options.cameras if options.quick else MOST_CAMERAS
    prompt = "Look." if options.quick else prompt_of(model)
    return load_settings(
        environ={},
        default_files=(),
        overrides={
            "service": {"data_dir": str(folder), "control_socket": str(folder / "control.sock")},
            "engine": engine,
            "cameras": [
                {
                    "name": f"camera-{number}",
                    "url": "rtsp://10.0.0.9/",
                    "prompt": prompt,
                    "threshold": THRESHOLD,
                }
                for number in range(most)
            ],
        },
    )


def _line(found: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
