"""The daemon under trouble for a long time: what grows?

    python -m bench.soak [--minutes N] [--quick] [--json] [--seed N] [--samples FILE]

`edgewatch run` with 16 RTSP cameras of 8 recorders, the built-in engine and default settings.
Recorders are killed or made to hang at random and come back; see README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import json
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.recorders import Recorder
from bench.trend import Series, line_slope, paired_slope, second_half

MEGABYTE = 1e6
CAMERAS = 16
RECORDERS = 8
ONLINE_WITHIN_SECONDS = 120.0
GOALS = {
    "memory_slope_steady_mb_per_hour": "<= 1",
    "threads_drift": "0",
    "descriptors_drift": "0",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How the trouble is paced."""

    seconds: float
    calm_seconds: float
    """Between all cameras' return and the next blow."""
    down_seconds: tuple[float, float]
    hang_seconds: float
    """Longer than the time after which a camera counts as stalled."""
    hang_share: float
    steady_seconds: float
    """All cameras online for this long, and the state is one that can be compared with others."""


QUICK = Plan(
    24.0,
    calm_seconds=5.0,
    down_seconds=(0.5, 1.0),
    hang_seconds=0.0,
    hang_share=0.0,
    steady_seconds=2.0,
)


@dataclass(slots=True)
class Sample:
    """One look at the daemon's process."""

    seconds: float
    resident_bytes: int
    threads: int
    descriptors: int
    steady: bool


@dataclass(slots=True)
class Observed:
    """What the run has shown so far."""

    health: dict[str, str] = field(default_factory=dict)
    stats: dict[str, Any] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    online_since_seconds: float | None = None
    samples: list[Sample] = field(default_factory=list)
    recovery_seconds: list[float] = field(default_factory=list)
    kills: int = 0
    hangs: int = 0
    falls: int = 0
    """Recorders that ended by themselves."""

    def take(self, camera: str, state: str) -> None:
        """Note a camera's health."""
        self.health[camera] = state
        states = list(self.health.values())
        if len(states) == CAMERAS and set(states) == {"online"}:
            self.online_since_seconds = self.online_since_seconds or time.monotonic()
        else:
            self.online_since_seconds = None
        self.changed.set()

    async def until(self, all_online: bool) -> None:
        """Wait until every camera is online, or one is not."""
        limit_seconds = ONLINE_WITHIN_SECONDS
        try:
            async with asyncio.timeout(limit_seconds):
                while (self.online_since_seconds is not None) != all_online:
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise SystemExit(
                f"bench.soak: for {limit_seconds:g} s the cameras were {self.health}"
            ) from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--quick", action="store_true", help="half a minute: does it work at all")
    parser.add_argument("--json", action="store_true", help="print one flat object")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--samples", type=Path, help="also write every sample, as CSV")
    options = parser.parse_args(argv)
    plan = QUICK if options.quick else _plan(60 * options.minutes)
    observed = asyncio.run(_run(plan, random.Random(options.seed)))
    if options.samples:
        _write(observed.samples, options.samples)
    figures = {name: round(figure, 3) for name, figure in figures_of(observed).items()}
    if options.json:
        print(json.dumps(figures, allow_nan=False))
    else:
        _print(figures)
    return 0


def _plan(seconds: float) -> Plan:
    return Plan(
        seconds,
        calm_seconds=12.0,
        down_seconds=(1.0, 8.0),
        hang_seconds=13.0,
        hang_share=0.25,
        steady_seconds=5.0,
    )


async def _run(plan: Plan, dice: random.Random) -> Observed:
    recorders = [Recorder() for _ in range(RECORDERS)]
    observed = Observed()
    try:
        await asyncio.gather(*(recorder.start() for recorder in recorders))
        async with _daemon(recorders) as (process, port), aiomqtt.Client("127.0.0.1", port) as mqtt:
            await mqtt.subscribe([("edgewatch/+/health", 1), ("edgewatch/stats", 0)])
            watching = [
                asyncio.create_task(_listen(mqtt, observed), name="listen"),
                asyncio.create_task(
                    _sample(process.pid, plan.steady_seconds, observed), name="sample"
                ),
                asyncio.create_task(_revive(recorders, observed), name="revive"),
            ]
            await observed.until(all_online=True)
            _progress(f"all online, {plan.seconds:g} s to go")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(plan.seconds):
                    await _trouble(plan, recorders, observed, dice)
            for task in watching:
                task.cancel()
            await asyncio.wait(watching)
    finally:
        await asyncio.gather(*(recorder.kill() for recorder in recorders))
    return observed


@contextlib.asynccontextmanager
async def _daemon(
    recorders: Sequence[Recorder],
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Run `edgewatch run` and stop it with SIGTERM; raises SystemExit if it ends otherwise."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), _free_port()
        settings = folder / "edgewatch.toml"
        settings.write_text(_settings(folder, port, recorders))
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "edgewatch.daemon", "run", "--config", str(settings)),
                stdout=log,
                stderr=log,
            )
            try:
                await _listening(port, process)
                yield process, port
            finally:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
                code = await process.wait()
        if code:
            tail = (folder / "log").read_text(errors="replace")[-2000:]
            raise SystemExit(f"bench.soak: the daemon ended with {code}:\n{tail}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


async def _listening(port: int, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(30):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)
                continue
            writer.close()
            return


def _settings(folder: Path, port: int, recorders: Sequence[Recorder]) -> str:
    lines = [
        "[service]",
        'id = "soak"',
        f'data_dir = "{folder}"',
        f'control_socket = "{folder / "control.sock"}"',
        "[mqtt]",
        f"port = {port}",
    ]
    for number in range(CAMERAS):
        url = recorders[number % len(recorders)].url
        lines += ["[[cameras]]", f'name = "camera-{number}"', f'url = "{url}"']
    return "\n".join(lines) + "\n"


async def _listen(mqtt: aiomqtt.Client, observed: Observed) -> None:
    async for message in mqtt.messages:
        assert isinstance(message.payload, bytes)
        document = json.loads(message.payload)
        topic = str(message.topic).split("/")
        if topic[-1] == "health":
            observed.take(topic[1], document["state"])
        else:
            observed.stats = document


async def _sample(pid: int, steady_seconds: float, observed: Observed) -> None:
    process = Path(f"/proc/{pid}")
    while True:
        now_seconds = time.monotonic()
        since_seconds = observed.online_since_seconds
        status = (process / "status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        observed.samples.append(
            Sample(
                now_seconds,
                int(fields["VmRSS"].split()[0]) * 1024,
                int(fields["Threads"]),
                sum(1 for _ in (process / "fd").iterdir()),
                since_seconds is not None and now_seconds - since_seconds >= steady_seconds,
            )
        )
        await asyncio.sleep(1.0)


async def _revive(recorders: Sequence[Recorder], observed: Observed) -> None:
    while True:
        for recorder in recorders:
            if recorder.fell:
                observed.falls += 1
                await recorder.start()
        await asyncio.sleep(1.0)


async def _trouble(
    plan: Plan, recorders: Sequence[Recorder], observed: Observed, dice: random.Random
) -> None:
    """Strike one recorder after the other, each time waiting until all cameras are back."""
    while True:
        await asyncio.sleep(plan.calm_seconds)
        recorder = dice.choice(recorders)
        if dice.random() < plan.hang_share:
            observed.hangs += 1
            recorder.freeze()
            await asyncio.sleep(plan.hang_seconds)
        observed.kills += 1
        await recorder.kill()
        await observed.until(all_online=False)
        await asyncio.sleep(dice.uniform(*plan.down_seconds))
        await recorder.start()
        began_seconds = time.monotonic()
        await observed.until(all_online=True)
        observed.recovery_seconds.append(time.monotonic() - began_seconds)
        last = observed.samples[-1]
        _progress(
            f"{observed.kills} kills, {observed.hangs} hangs, back after "
            f"{observed.recovery_seconds[-1]:.1f} s; {last.resident_bytes / MEGABYTE:.1f} MB, "
            f"{last.threads} threads, {last.descriptors} descriptors"
        )


def figures_of(observed: Observed) -> dict[str, float]:
    """Sum a run up; slopes are of its second half, drifts of its steady states."""
    steady = [sample for sample in observed.samples if sample.steady]
    if len(steady) < 4:
        raise SystemExit("bench.soak: the cameras were hardly ever all online")
    drops: Mapping[str, float] = observed.stats.get("drops", {})
    return {
        **_slopes("memory_slope", _memory(observed.samples)),
        **_slopes("memory_slope_steady", _memory(steady)),
        "memory_median_mb": statistics.median(s.resident_bytes for s in steady) / MEGABYTE,
        "memory_peak_mb": max(s.resident_bytes for s in observed.samples) / MEGABYTE,
        **_drift("threads", [sample.threads for sample in steady]),
        **_drift("descriptors", [sample.descriptors for sample in steady]),
        "kills": observed.kills,
        "hangs": observed.hangs,
        "falls": observed.falls,
        "recovery_p50_seconds": statistics.median(observed.recovery_seconds or [0.0]),
        "recovery_max_seconds": max(observed.recovery_seconds, default=0.0),
        "clips_judged": observed.stats.get("clips_judged", 0),
        "clips_dropped": sum(drops.values()),
        "minutes": (observed.samples[-1].seconds - observed.samples[0].seconds) / 60,
    }


def _memory(samples: Sequence[Sample]) -> Series:
    return np.array([(sample.seconds, sample.resident_bytes) for sample in samples], np.float64)


def _slopes(name: str, memory: Series) -> dict[str, float]:
    late = second_half(memory)
    return {
        f"{name}_mb_per_hour": line_slope(late) / MEGABYTE * 3600,
        f"{name}_paired_mb_per_hour": paired_slope(late) / MEGABYTE * 3600,
    }


def _drift(name: str, counts: Sequence[int]) -> dict[str, float]:
    """Compare the steady states of the run's two halves, and say how far they ever differ."""
    half = len(counts) // 2
    return {
        f"{name}_steady": statistics.median(counts),
        f"{name}_drift": statistics.median(counts[half:]) - statistics.median(counts[:half]),
        f"{name}_spread": max(counts) - min(counts),
    }


def _write(samples: Sequence[Sample], path: Path) -> None:
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("seconds", "resident_bytes", "threads", "descriptors", "steady"))
        for sample in samples:
            rows.writerow(
                (
                    round(sample.seconds - samples[0].seconds, 2),
                    sample.resident_bytes,
                    sample.threads,
                    sample.descriptors,
                    int(sample.steady),
                )
            )


def _progress(step: str) -> None:
    print(f"bench.soak: {step}", file=sys.stderr, flush=True)


def _print(figures: Mapping[str, float]) -> None:
    table = Table("figure", "value", "goal")
    for name, figure in figures.items():
        table.add_row(name, f"{figure:g}", GOALS.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
