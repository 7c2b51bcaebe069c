"""How soon an alert is in a subscriber's hands; see README.md for what a figure means.

python -m bench.alerts [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.flow import Feeder, SlowEngine
from bench.flow import Observed as Batches
from edgewatch.config.settings import Settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Answer, CameraName, Clip, Verdict
from edgewatch.pipeline.watch import Observer, live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled

CAMERAS = 16
EVERY_SECONDS = 0.5
"""Between two clips of a camera."""
CYCLE_CLIPS = 4
"""One of so many clips is anomalous: it opens an event, which ends before the next."""
SETTLE_SECONDS = 2.0
DAY_SECONDS = 86_400.0
READERS = 5
"""Timelines of a day that are asked for at the same time, one after the other without a pause."""
PICTURE_BYTES = 100_000
PICTURES_PER_SECOND = 8.0
START_SECONDS = 10.0

GOALS = {
    "calm_new_p50_ms": "<= 100",
    "calm_new_p95_ms": "<= 100",
    "busy_new_p50_ms": "<= 100",
    "busy_new_p95_ms": "<= 100",
}


@dataclass(slots=True)
class Told:
    """When what happened, in Unix time: the verdicts that open events, and the alerts' arrivals."""

    judged: dict[tuple[str, int], float] = field(default_factory=dict)
    """By camera and the milliseconds at which the clip starts, which is where its event starts."""
    arrived: list[tuple[str, int, float]] = field(default_factory=list)


class AlertingEngine(SlowEngine):
    """Finds one clip of each camera's cycle anomalous."""

    def __init__(self, batch_seconds: float) -> None:
        super().__init__(Batches(), batch_seconds)
        self._seen: dict[CameraName, int] = {}

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Take a batch's time."""
        await super().judge(clips)
        return [Answer(self._score(clip.camera)) for clip in clips]

    def _score(self, camera: CameraName) -> float:
        self._seen[camera] = self._seen.get(camera, -1) + 1
        return 0.9 if self._seen[camera] % CYCLE_CLIPS == 0 else 0.1


class Listener(Observer):
    """Notes the moment of each verdict that opens an event, before anything is made of it."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def on_verdict(self, clip: Clip, verdict: Verdict) -> None:
        """Note it."""
        if verdict.anomalous:
            start_ms = round(verdict.start_seconds * 1000)
            self._told.judged[verdict.camera, start_ms] = time.time()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures within 40 s")
    parser.add_argument("--json", action="store_true", help="one flat JSON object")
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    missing = [name for name in ("mosquitto", "mosquitto_sub") if _program(name) is None]
    if missing:
        print(f"{', '.join(missing)}: apt install mosquitto mosquitto-clients", file=sys.stderr)
        return 1
    seconds, history = (10.0, 50_000) if options.quick else (60.0, 1_000_000)
    figures: dict[str, float] = {}
    for name, is_busy in (("calm", False), ("busy", True)):
        print(f"alerts, {name}: {seconds:g} s", file=sys.stderr)
        told = asyncio.run(measure(seconds, history=history if is_busy else 0))
        figures |= {f"{name}_{key}": value for key, value in figures_of(told).items()}
    if options.json:
        print(json.dumps(figures))
    else:
        Console().print(_table(figures))
    return 0


async def measure(seconds: float, *, history: int) -> Told:
    """Let events open for a while; with `history`, while a page reads so many verdicts."""
    told = Told()
    feeder = Feeder(EVERY_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        store_path = Path(folder) / "edgewatch.db"
        if history:
            await asyncio.to_thread(_fill, store_path, history)
        async with _broker(Path(folder)) as port:
            settings = _settings(port)
            async with assembled(
                settings,
                AlertingEngine(batch_seconds=0.02),
                clock=SystemClock(),
                store_path=store_path,
                publish="live",
                open_camera=feeder.open_camera,
            ) as pipeline:
                for plan in settings.plans():
                    pipeline.flow.add(live_feed(plan), [Listener(told)])
                async with asyncio.TaskGroup() as tasks, _subscriber(port, told):
                    tasks.create_task(pipeline.run())
                    load = tasks.create_task(_load(pipeline, busy=bool(history)))
                    feeder.start()
                    await asyncio.sleep(SETTLE_SECONDS)
                    told.judged.clear()
                    await asyncio.sleep(seconds)
                    load.cancel()
                    await asyncio.to_thread(feeder.stop)
                    pipeline.flow.stop()
    return told


def figures_of(told: Told) -> dict[str, float]:
    """Return how long alerts took from the verdict to the subscriber, and how many are missing."""
    arrived = {(camera, start_ms): seconds for camera, start_ms, seconds in told.arrived}
    took_ms = [
        1000 * (arrived[alert] - seconds)
        for alert, seconds in told.judged.items()
        if alert in arrived
    ]
    return {
        "new_p50_ms": float(np.percentile(took_ms, 50)) if took_ms else math.nan,
        "new_p95_ms": float(np.percentile(took_ms, 95)) if took_ms else math.nan,
        "new_worst_ms": max(took_ms, default=math.nan),
        "alerts": len(took_ms),
        "alerts_missing": len(told.judged) - len(took_ms),
    }


async def _load(pipeline: Pipeline, *, busy: bool) -> None:
    """Do what must not hold alerts up, until cancelled."""
    if not busy:
        return
    picture = b"\xff\xd8\xff" + bytes(PICTURE_BYTES)

    async def read() -> None:
        while True:
            now_seconds = time.time()
            await pipeline.store.timeline(
                CameraName("camera-0"), now_seconds - DAY_SECONDS, now_seconds, 300
            )

    async def show() -> None:
        number = 0
        while True:
            pipeline.announcer.thumbnail(CameraName(f"camera-{number % CAMERAS}"), picture)
            number += 1
            await asyncio.sleep(1 / PICTURES_PER_SECOND)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(READERS):
            tasks.create_task(read())
        tasks.create_task(show())


def _settings(port: int) -> Settings:
    cameras = [{"name": f"camera-{n}", "url": "rtsp://10.0.0.9/"} for n in range(CAMERAS)]
    return Settings.model_validate(
        {
            "mqtt": {"host": "127.0.0.1", "port": port, "thumbnails": True},
            "engine": {"explain_tokens": 0},
            "events": {
                "open_after": 1,
                "open_within": 1,
                "close_after_seconds": EVERY_SECONDS,
                "cooldown_seconds": 0.0,
            },
            "cameras": tuple(cameras),
        }
    )


def _fill(path: Path, count: int) -> None:
    """Put verdicts of the last day into the books, as one busy camera would have left them."""
    store = Store(path)
    end_seconds, step_seconds = time.time(), DAY_SECONDS / count
    for first in range(0, count, 10_000):
        store.save_verdicts(
            [
                Verdict(
                    clip_id=f"old-{number}",
                    camera=CameraName("camera-0"),
                    label="Normal",
                    score=0.1,
                    threshold=0.5,
                    start_seconds=end_seconds - (count - number) * step_seconds - 5.0,
                    end_seconds=end_seconds - (count - number) * step_seconds,
                    media_start_seconds=0.0,
                    media_end_seconds=5.0,
                    engine="old-1",
                    latency_ms=20.0,
                )
                for number in range(first, min(count, first + 10_000))
            ]
        )
    store.close()


@asynccontextmanager
async def _broker(folder: Path) -> AsyncIterator[int]:
    """Run a Mosquitto on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    broker = await asyncio.create_subprocess_exec(
        str(_program("mosquitto")),
        *("-c", str(config)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _listens(port)
        yield port
    finally:
        broker.terminate()
        await broker.wait()


async def _listens(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@asynccontextmanager
async def _subscriber(port: int, told: Told) -> AsyncIterator[None]:
    """Have another process note when each event arrives."""
    listener = await asyncio.create_subprocess_exec(
        str(_program("mosquitto_sub")),
        *("-p", str(port), "-q", "1", "-t", "edgewatch/+/events", "-F", "%U %p"),
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert listener.stdout is not None
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(_read(listener.stdout, told))
            yield
            # What was sent is on its way still.
            await asyncio.sleep(0.5)
            listener.terminate()
            await reading
    finally:
        await listener.wait()


async def _read(lines: asyncio.StreamReader, told: Told) -> None:
    async for line in lines:
        seconds, _, text = line.partition(b" ")
        step = json.loads(text)
        if step["type"] == "new":
            start = np.datetime64(step["start"].removesuffix("Z"), "ms")
            told.arrived.append((step["camera"], int(start.astype(np.int64)), float(seconds)))


def _program(name: str) -> str | None:
    # Debian keeps daemons in sbin, which is not on everybody's path.
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _table(figures: Mapping[str, float]) -> Table:
    table = Table("figure", "value", "goal")
    for name, value in figures.items():
        table.add_row(
            name, f"{value:.1f}" if name.endswith("_ms") else f"{value:g}", GOALS.get(name, "")
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
