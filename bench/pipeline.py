"""The pipeline's speed and memory, live and in replay; see README.md for what each figure means.

python -m bench.pipeline [--quick] [--json] [--seconds N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from rich.console import Console
from rich.table import Table

from bench import footage
from bench.ready import seconds_to_ready

SETTLE_SECONDS = 5.5
"""The first window is full after 5 s and costs twice as much as the others; it is not measured."""
REPLAYED_SECONDS = footage.length_seconds(48.0)
MEGABYTE = 1e6

GOALS = {
    "live_4_beyond_engine_p95_ms": "<= 300",
    "memory_1_camera_mb": "<= 250",
    "memory_per_camera_mb": "<= 25",
    "memory_slope_mb_per_hour": "about 0",
    "replay_1_times_real_time": ">= 25",
    "ready_seconds": "<= 2",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    cameras: tuple[int, ...]
    seconds: float
    """Of each live run."""
    files: tuple[int, ...]
    runs: int
    """Of everything that is not live; the median counts."""


FULL = Plan(cameras=(1, 4, 16), seconds=60.0, files=(1, 4, 16), runs=3)
QUICK = Plan(cameras=(1, 4), seconds=5.0, files=(1,), runs=1)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.pipeline", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures, within 40 s")
    parser.add_argument("--json", action="store_true", help="print one flat object")
    parser.add_argument("--seconds", type=float, help="length of each live run")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    seconds = options.seconds or plan.seconds
    _progress("footage")
    video = footage.footage(REPLAYED_SECONDS)
    # Longer than a live run: its loop would make a short window that waits for its end
    endless = footage.footage(SETTLE_SECONDS + seconds + 10.0)
    figures: dict[str, float] = {}
    _progress("start")
    figures["ready_seconds"] = statistics.median(seconds_to_ready(video) for _ in range(plan.runs))
    figures |= _replays(video, plan)
    figures |= _lives(endless, plan.cameras, seconds)
    figures = {name: round(figure, 3) for name, figure in figures.items()}
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        _print(figures)
    return 0


def _replays(video: Path, plan: Plan) -> dict[str, float]:
    """Replay one and more recordings, and do its parts alone in turn with it."""
    figures: dict[str, float] = {}
    for files in plan.files:
        laps: dict[str, list[dict[str, float]]] = {"replay": [], "decode": [], "engine": []}
        for _ in range(plan.runs):
            for what, done in laps.items():
                if what == "replay" or files == 1:
                    _progress(f"{what} {files}")
                    done.append(_replaying(what, files, video))
        name, footage_seconds = f"replay_{files}", files * REPLAYED_SECONDS
        wall = _median(laps["replay"], "wall_seconds")
        figures |= {
            f"{name}_times_real_time": footage_seconds / wall,
            f"{name}_clips_per_second": _median(laps["replay"], "clips") / wall,
            f"{name}_cpu_ms_per_footage_second": 1000
            * _median(laps["replay"], "cpu_seconds")
            / footage_seconds,
        }
        if files == 1:
            figures |= _parts(laps, wall, footage_seconds)
    return figures


def _parts(
    laps: Mapping[str, list[dict[str, float]]], wall_seconds: float, footage_seconds: float
) -> dict[str, float]:
    """Say what the pipeline adds to what must be done in any case."""
    decode, engine = laps["decode"], laps["engine"]
    decode_wall, engine_wall = (_median(part, "wall_seconds") for part in (decode, engine))
    decode_cpu, engine_cpu = (_median(part, "cpu_seconds") for part in (decode, engine))
    return {
        "decode_alone_times_real_time": footage_seconds / decode_wall,
        "decode_alone_cpu_ms_per_footage_second": 1000 * decode_cpu / footage_seconds,
        "engine_alone_times_real_time": footage_seconds / engine_wall,
        "engine_alone_cpu_ms_per_footage_second": 1000 * engine_cpu / footage_seconds,
        "replay_overhead_ratio": wall_seconds / max(decode_wall, engine_wall),
        "replay_cpu_overhead_ratio": _median(laps["replay"], "cpu_seconds")
        / (decode_cpu + engine_cpu),
    }


def _lives(video: Path, cameras: Sequence[int], seconds: float) -> dict[str, float]:
    """Watch one and more cameras."""
    figures: dict[str, float] = {}
    resident: dict[int, float] = {}
    for count in cameras:
        _progress(f"live {count}")
        run, arrivals = asyncio.run(_live(video, count, seconds))
        samples = np.array(run["resident"])
        resident[count] = float(np.median(samples[:, 1])) / MEGABYTE
        figures |= _live_figures(run, arrivals, count)
        figures[f"memory_{count}_camera{'s' * (count > 1)}_mb"] = resident[count]
        if count == 4 and seconds >= FULL.seconds:
            figures["memory_slope_mb_per_hour"] = _slope(samples) / MEGABYTE * 3600
    fewest, most = min(cameras), max(cameras)
    figures["memory_per_camera_mb"] = (resident[most] - resident[fewest]) / (most - fewest)
    return figures


def _live_figures(
    run: Mapping[str, Any], arrivals: Mapping[str, float], cameras: int
) -> dict[str, float]:
    clips = [
        clip
        for clip in run["clips"]
        if clip["clip_id"] in arrivals
        # What is given later is the rest of a window that the stop has cut short
        and run["began_seconds"] <= clip["captured_seconds"]
        and clip["given_seconds"] < run["ended_seconds"]
    ]
    if not clips:
        raise SystemExit(f"bench.pipeline: no verdict of {cameras} live cameras arrived in time")
    latency = [1000 * (arrivals[clip["clip_id"]] - clip["captured_seconds"]) for clip in clips]
    engine = [1000 * clip["engine_seconds"] for clip in clips]
    waiting = [1000 * (clip["given_seconds"] - clip["captured_seconds"]) for clip in clips]
    beyond = [whole - part for whole, part in zip(latency, engine, strict=True)]
    wall_seconds = run["ended_seconds"] - run["began_seconds"]
    name = f"live_{cameras}"
    return {
        **_quantiles(f"{name}_latency", latency),
        **_quantiles(f"{name}_engine", engine),
        **_quantiles(f"{name}_beyond_engine", beyond),
        **_quantiles(f"{name}_waiting", waiting),
        f"{name}_cpu_share_per_camera": run["cpu_seconds"] / wall_seconds / cameras,
        f"{name}_clips": len(clips),
        f"{name}_drops": run["drops"],
    }


async def _live(
    video: Path, cameras: int, seconds: float
) -> tuple[dict[str, Any], dict[str, float]]:
    """Run cameras in a process; return what it measured and when each verdict reached us."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.live"),
        *("--cameras", str(cameras), "--seconds", str(seconds), "--settle", str(SETTLE_SECONDS)),
        str(video),
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    assert process.stdout is not None
    listening_at = await process.stdout.readline()
    arrivals: dict[str, float] = {}
    measured = b""
    if listening_at:
        port = json.loads(listening_at)["port"]
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("edgewatch/+/verdict")
            listening = asyncio.create_task(_listen(client, arrivals))
            measured = await process.stdout.readline()
            listening.cancel()
            await asyncio.wait({listening})
    if await process.wait() or not measured:
        raise SystemExit(f"bench.pipeline: the live run of {cameras} cameras failed, see above")
    run: dict[str, Any] = json.loads(measured)
    return run, arrivals


async def _listen(client: aiomqtt.Client, arrivals: dict[str, float]) -> None:
    async for message in client.messages:
        arrived_seconds = time.monotonic()
        assert isinstance(message.payload, bytes)
        arrivals[json.loads(message.payload)["clip_id"]] = arrived_seconds


def _replaying(what: str, files: int, video: Path) -> dict[str, float]:
    process = subprocess.run(
        [sys.executable, "-m", "bench.replaying", what, "--files", str(files), str(video)],
        stdout=subprocess.PIPE,
        check=True,
    )
    lap: dict[str, float] = json.loads(process.stdout)
    return lap


def _median(laps: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(lap[name] for lap in laps)


def _quantiles(name: str, values: Sequence[float]) -> dict[str, float]:
    middle, high = np.percentile(values, [50, 95])
    return {f"{name}_p50_ms": float(middle), f"{name}_p95_ms": float(high)}


def _slope(samples: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Fit a line to the second half, bytes a second: by then all buffers have their size."""
    late = samples[len(samples) // 2 :]
    return float(np.polyfit(late[:, 0] - late[0, 0], late[:, 1], 1)[0])


def _progress(step: str) -> None:
    print(f"bench.pipeline: {step}", file=sys.stderr, flush=True)


def _print(figures: Mapping[str, float]) -> None:
    table = Table("figure", "value", "goal")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:g}", GOALS.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
