"""One replay in a process of its own, and what it is made of: decoding alone, the engine alone.

    python -m bench.replaying replay --files 4 VIDEO

Prints one JSON object: what was done, its wall-clock and its CPU seconds. Loading the engine is
not part of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import av

from bench.recording import clips_of
from edgewatch.config.settings import Settings, load_settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engine_setup import engine_setup
from edgewatch.pipeline.engines import create_engine
from edgewatch.pipeline.engines.setup import EngineSetup
from edgewatch.pipeline.playlist import Playlist, recording_feed
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.wiring import assembled
from edgewatch.tools.playback import PARALLEL_RECORDINGS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("replay", "decode", "engine"))
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("video", type=Path)
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    works: dict[str, Callable[[Path, int], Awaitable[dict[str, Any]]]] = {
        "replay": replay,
        "decode": decode,
        "engine": judge,
    }
    print(json.dumps(asyncio.run(_run(works[options.what], options))))
    return 0


async def _run(
    work: Callable[[Path, int], Awaitable[dict[str, Any]]], options: argparse.Namespace
) -> dict[str, Any]:
    return await work(options.video, options.files)


async def replay(video: Path, files: int) -> dict[str, Any]:
    """Push the video through the flow as so many recordings, as `edgewatch replay` does."""
    settings = _settings()
    plan = settings.plan_for(None)
    async with assembled(
        settings,
        create_engine(engine_setup(settings, baseline_dir=None)),
        clock=SystemClock(),
        store_path=None,
        publish=None,
    ) as pipeline:
        lap = Lap()
        feeds = [
            recording_feed(plan, video, CameraName(f"file-{number}"), None)
            for number in range(files)
        ]
        Playlist(pipeline.flow, feeds, parallel=PARALLEL_RECORDINGS, observers=[]).start()
        await pipeline.run()
        clips = pipeline.stats.snapshot(time.monotonic()).clips_judged
        return lap.end() | {"clips": clips}


async def decode(video: Path, files: int) -> dict[str, Any]:
    """Decode the video in one thread and throw the pictures away."""
    lap = Lap()
    for _ in range(files):
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            stream.thread_count = 1
            for _frame in container.decode(stream):
                pass
    return lap.end()


async def judge(video: Path, files: int) -> dict[str, Any]:
    """Give the engine the video's clips, made beforehand."""
    clips = clips_of(video, _settings().clips)
    engine = create_engine(EngineSetup())
    await engine.start()
    try:
        lap = Lap()
        for _ in range(files):
            for first in range(0, len(clips), engine.max_batch):
                await engine.judge(clips[first : first + engine.max_batch])
            await engine.forget(clips[0].camera)
        return lap.end() | {"clips": files * len(clips)}
    finally:
        await engine.close()


class Lap:
    """Wall-clock and CPU time since it was made."""

    def __init__(self) -> None:
        self._wall_seconds, self._cpu_seconds = time.monotonic(), time.process_time()

    def end(self) -> dict[str, Any]:
        """Return both, in seconds."""
        return {
            "wall_seconds": time.monotonic() - self._wall_seconds,
            "cpu_seconds": time.process_time() - self._cpu_seconds,
        }


def _settings() -> Settings:
    return load_settings(environ={}, default_files=())


if __name__ == "__main__":
    sys.exit(main())
