"""One live run in a process of its own: the daemon's parts, file cameras in real time.

    python -m bench.live --cameras 4 --seconds 30 --settle 6 VIDEO

Prints two lines of JSON: the port of its embedded broker once that listens, and at the end what
was measured. Times are monotonic, so another process can hold its own against them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.stopwatch import Stopwatch
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.control import ControlSocket
from edgewatch.daemon.logs import configure_logs
from edgewatch.daemon.reports import Reports, resident_bytes
from edgewatch.pipeline.broker import EmbeddedBroker
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.watch import live_feed
from edgewatch.pipeline.wiring import Pipeline, assembled


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="measured, after --settle")
    parser.add_argument("--settle", type=float, required=True, help="not measured")
    parser.add_argument("video", type=Path)
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_run(options, Path(folder)))
    return 0


async def _run(options: argparse.Namespace, folder: Path) -> None:
    broker = EmbeddedBroker(port=0)
    await broker.start()
    settings = _settings(options, folder, broker.port)
    stopwatch = Stopwatch(create_engine(engine_setup(settings, baseline_dir=folder / "baseline")))
    try:
        async with assembled(
            settings,
            stopwatch,
            clock=SystemClock(),
            store_path=folder / "edgewatch.db",
            publish="live",
        ) as pipeline:
            _say({"port": broker.port})
            measured = await _watch(pipeline, options)
    finally:
        await broker.stop()
    _say(measured | {"clips": [asdict(timed) for timed in stopwatch.timed]})


async def _watch(pipeline: Pipeline, options: argparse.Namespace) -> dict[str, Any]:
    """Do what the daemon does, for a while; see `daemon.service`."""
    for plan in pipeline.settings.plans():
        pipeline.flow.add(live_feed(plan))
    reports = Reports(pipeline, SystemClock())
    control = ControlSocket(pipeline.settings.service.control_socket, pipeline, reports)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pipeline.run())
        helpers = [tasks.create_task(control.run()), tasks.create_task(reports.run())]
        await asyncio.sleep(options.settle)
        measured = await _measure(options.seconds)
        pipeline.flow.stop()
        await running
        for helper in helpers:
            helper.cancel()
    return measured | {"drops": sum(pipeline.stats.snapshot(time.monotonic()).drops.values())}


async def _measure(seconds: float) -> dict[str, Any]:
    """Look at the process once a second."""
    began_seconds, cpu_seconds = time.monotonic(), time.process_time()
    resident: list[tuple[float, int]] = []
    while (now_seconds := time.monotonic()) < began_seconds + seconds:
        resident.append((now_seconds, resident_bytes()))
        await asyncio.sleep(min(1.0, began_seconds + seconds - now_seconds))
    return {
        "began_seconds": began_seconds,
        "ended_seconds": time.monotonic(),
        "cpu_seconds": time.process_time() - cpu_seconds,
        "resident": [*resident, (time.monotonic(), resident_bytes())],
    }


def _settings(options: argparse.Namespace, folder: Path, port: int) -> Settings:
    return load_settings(
        environ={},
        default_files=(),
        overrides={
            "service": {"data_dir": str(folder), "control_socket": str(folder / "control.sock")},
            "mqtt": {"port": port},
            "cameras": [
                {"name": f"camera-{number}", "url": str(options.video.absolute()), "loop": True}
                for number in range(options.cameras)
            ],
        },
    )


def _say(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    sys.exit(main())
