"""Sampling recordings against other readers, memory of a long one, and cameras on one core.

python -m bench.decode [--quick] [--json] [--part sampling|memory|live] [--peer NAME] [--rounds N]

See README.md for what each figure means.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import encoded
from bench.readers import PIXELS
from bench.search import largest
from edgewatch.pipeline.frames import target_size

MEGABYTE = 1e6
SAMPLED_FPS = 4.0
LATE_SECONDS = 0.25
"""A frame that comes later than the next one is due is as good as dropped."""
PEERS = (
    "ffmpeg",
    "qwen_vl_utils",
    "qwen_vl_utils_decord",
    "decord",
    "opencv",
    "torchcodec",
)
WHOLE_READER = "qwen_vl_utils_torchvision"
"""Holds every picture of the file, three times over: it gets a short one."""
PARTS = ("sampling", "memory", "live")

GOALS = {
    "b_frames_wall_ratio_ffmpeg": "<= 0.55",
    "b_frames_cpu_ratio_ffmpeg": "<= 0.65",
    "p_only_wall_ratio_ffmpeg": "<= 0.65",
    "p_only_cpu_ratio_ffmpeg": "<= 0.90",
    "b_frames_speedup_qwen_vl_utils": ">= 6",
    "b_frames_speedup_decord": ">= 1.8",
    "b_frames_speedup_opencv": ">= 2",
    "b_frames_speedup_torchcodec": ">= 2.2",
    "one_fps_cpu_speedup_ffmpeg": ">= 4",
    "memory_long_ratio": "<= 1.1",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    seconds: float
    """Length of the sampled recordings."""
    rounds: int
    p_only_peers: tuple[str, ...]
    whole_seconds: float
    """Length of what the reader gets that holds every picture; 0 leaves it out."""
    long_minutes: tuple[int, int]
    live_seconds: float
    search: bool
    """Whether the largest number of cameras is searched, or told from CPU time alone."""


FULL = Plan(60.0, 3, PEERS, 10.0, (10, 60), 8.0, search=True)
QUICK = Plan(8.0, 1, ("ffmpeg",), 0.0, (1, 4), 3.0, search=False)

Lap = dict[str, Any]


@dataclass(slots=True)
class Findings:
    """Figures, and which readers could not be measured and why."""

    figures: dict[str, float]
    missing: dict[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.decode", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures, about a minute")
    parser.add_argument("--json", action="store_true", help="print one flat object")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; repeatable")
    parser.add_argument("--peer", choices=(*PEERS, WHOLE_READER), action="append", help="only it")
    parser.add_argument("--rounds", type=int, help="of the sampling; the median counts")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else FULL
    findings = Findings({"machine_busy_share": busy_share()}, {})
    parts = options.part or PARTS
    if "sampling" in parts:
        _sampling(plan, options.rounds or plan.rounds, options.peer or PEERS, findings)
    if "memory" in parts:
        findings.figures |= _memory(plan)
    if "live" in parts:
        findings.figures |= _live(plan)
    figures = {name: round(figure, 4) for name, figure in findings.figures.items()}
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        _print(figures, findings.missing)
    return 0


def busy_share(seconds: float = 1.0) -> float:
    """Return which share of the machine's CPU time others use; above 0.1 mistrust wall-clocks."""

    def times() -> list[int]:
        line = Path("/proc/stat").read_text().splitlines()[0]
        return [int(number) for number in line.split()[1:9]]

    before = times()
    time.sleep(seconds)
    spent = [now - then for now, then in zip(times(), before, strict=True)]
    idle = spent[3] + spent[4]
    return 1.0 - idle / max(1, sum(spent))


def _sampling(plan: Plan, rounds: int, wanted: Sequence[str], findings: Findings) -> None:
    """Sample each recording with every reader that is wanted, in turn."""
    for shape, known in (
        (encoded.B_FRAMES, PEERS),
        (encoded.P_ONLY, plan.p_only_peers),
        (encoded.SUB_STREAM, plan.p_only_peers),
    ):
        peers = [peer for peer in known if peer in wanted]
        video = _recording(shape, plan.seconds)
        findings.figures[f"non_reference_share_{shape.name}"] = encoded.non_reference_share(video)
        laps = _rounds(video, shape, ("ours", *peers), SAMPLED_FPS, rounds, findings.missing)
        findings.figures |= compared(shape.name, laps)
    video = _recording(encoded.B_FRAMES, plan.seconds)
    laps = _rounds(video, encoded.B_FRAMES, ("ours", "ffmpeg"), 1.0, rounds, findings.missing)
    findings.figures |= compared("one_fps", laps)
    if plan.whole_seconds and (wanted is PEERS or WHOLE_READER in wanted):
        video = encoded.excerpt(encoded.B_FRAMES, plan.seconds, plan.whole_seconds)
        readers = ("ours", WHOLE_READER)
        laps = _rounds(video, encoded.B_FRAMES, readers, SAMPLED_FPS, rounds, findings.missing)
        findings.figures |= compared("short_b_frames", laps)


def _rounds(
    video: Path,
    shape: encoded.Shape,
    readers: Sequence[str],
    fps: float,
    rounds: int,
    missing: dict[str, str],
) -> dict[str, list[Lap]]:
    """Let the readers take turns, so that a machine that slows down slows all of them down."""
    size = target_size(shape.width, shape.height, PIXELS)
    laps: dict[str, list[Lap]] = {reader: [] for reader in readers}
    for number in range(rounds):
        for reader in readers:
            if reader in missing:
                continue
            _progress(f"{shape.name} at {fps:g} fps, {reader}, round {number + 1} of {rounds}")
            command = ["bench.readers", reader, str(video), "--fps", str(fps)]
            lap = _child([*command, "--width", str(size[0]), "--height", str(size[1])])
            if "missing" in lap:
                missing[reader] = lap["missing"]
            else:
                _progress(f"    {lap['wall_seconds']:.2f} s, CPU {lap['cpu_seconds']:.2f} s")
                laps[reader].append(lap)
    return {reader: done for reader, done in laps.items() if done}


def compared(name: str, laps: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """Say what each reader took, and how ours stands to it: medians of the rounds' ratios."""
    figures: dict[str, float] = {}
    for reader, done in laps.items():
        figures[f"{name}_{reader}_wall_seconds"] = _median(lap["wall_seconds"] for lap in done)
        figures[f"{name}_{reader}_cpu_seconds"] = _median(lap["cpu_seconds"] for lap in done)
        figures[f"{name}_{reader}_frames"] = _median(lap["frames"] for lap in done)
        if reader != "ffmpeg":  # its memory is not its own process's
            figures[f"{name}_{reader}_peak_mb"] = _median(
                lap["peak_bytes"] / MEGABYTE for lap in done
            )
        if reader == "ours":
            continue
        pairs = list(zip(laps["ours"], done, strict=True))
        wall = [ours["wall_seconds"] / peer["wall_seconds"] for ours, peer in pairs]
        cpu = [ours["cpu_seconds"] / peer["cpu_seconds"] for ours, peer in pairs]
        figures[f"{name}_wall_ratio_{reader}"] = statistics.median(wall)
        figures[f"{name}_cpu_ratio_{reader}"] = statistics.median(cpu)
        figures[f"{name}_speedup_{reader}"] = 1 / statistics.median(wall)
        figures[f"{name}_cpu_speedup_{reader}"] = 1 / statistics.median(cpu)
    return figures


def _median(values: Any) -> float:
    return float(statistics.median(values))


def _memory(plan: Plan) -> dict[str, float]:
    """Replay a short and a long recording."""
    size = target_size(encoded.SUB_STREAM.width, encoded.SUB_STREAM.height, PIXELS)
    peaks: list[float] = []
    for minutes in plan.long_minutes:
        _progress(f"memory, {minutes} minutes")
        whole = _recording(encoded.SUB_STREAM, plan.seconds)
        times = round(60 * minutes / plan.seconds)
        video = encoded.repeated(encoded.SUB_STREAM, plan.seconds, times) if times > 1 else whole
        command = ["bench.readers", "ours", str(video), "--width", str(size[0])]
        lap = _child([*command, "--height", str(size[1])])
        peaks.append(lap["peak_bytes"] / MEGABYTE)
    return {
        "memory_short_minutes": plan.long_minutes[0],
        "memory_long_minutes": plan.long_minutes[1],
        "memory_short_peak_mb": peaks[0],
        "memory_long_peak_mb": peaks[1],
        "memory_long_ratio": peaks[1] / peaks[0],
    }


def _live(plan: Plan) -> dict[str, float]:
    """Find how many cameras one core sustains."""
    figures: dict[str, float] = {}
    for shape, name, few in (
        (encoded.P_ONLY, "live_1080p30", 4),
        (encoded.SUB_STREAM, "live_360p15", 16),
    ):
        video = _recording(shape, plan.seconds)
        trial = _trial(video, few, plan.live_seconds)
        share = trial["cpu_share_per_camera"]
        figures |= {
            f"{name}_cpu_share_per_camera": share,
            f"{name}_late_p99_ms": 1000 * trial["late_p99_seconds"],
            f"{name}_cameras_by_cpu": int(1 / share),
        }
        if plan.search:
            figures[f"{name}_cameras"] = largest(
                _sustains(video, plan.live_seconds), int(0.9 / share)
            )
    return figures


def _trial(video: Path, cameras: int, seconds: float) -> Lap:
    trial = _child(
        ["bench.sustain", str(video), "--cameras", str(cameras), "--seconds", str(seconds)]
    )
    _progress(
        f"live, {cameras} cameras: {trial['cpu_share_per_camera']:.4f} of a core each, "
        f"p99 {1000 * trial['late_p99_seconds']:.0f} ms late"
    )
    return trial


def _sustains(video: Path, seconds: float) -> Callable[[int], bool]:
    """Make the question whether one core sustains a number of cameras."""

    def sustains(cameras: int) -> bool:
        trial = _trial(video, cameras, seconds)
        in_time: bool = trial["late_p99_seconds"] <= LATE_SECONDS
        return in_time and trial["frames_share"] >= 0.98

    return sustains


def _recording(shape: encoded.Shape, seconds: float) -> Path:
    _progress(f"footage {shape.name}")
    return encoded.recording(shape, seconds)


def _child(arguments: Sequence[str]) -> Lap:
    """Run a module of the bench in a process of its own; its last line is its result."""
    process = subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, env=dict(os.environ)
    )
    if process.returncode:
        raise SystemExit(f"bench.decode: {' '.join(arguments)} failed:\n{process.stderr}")
    lap: Lap = json.loads(process.stdout.splitlines()[-1])
    return lap


def _progress(step: str) -> None:
    print(f"bench.decode: {step}", file=sys.stderr, flush=True)


def _print(figures: Mapping[str, float], missing: Mapping[str, str]) -> None:
    table = Table("figure", "value", "goal")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:g}", GOALS.get(name, ""))
    for reader, what in missing.items():
        table.add_row(reader, "not installed", what)
    Console().print(table)
    print(f"What is seen in the recordings is {encoded.content()}.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
