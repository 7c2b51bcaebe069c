"""Playback: recordings judged in this process, and what became of them."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.daemon.exits import EX_FAILED, EX_OK, EX_SOFTWARE
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.engines import Engine
from edgewatch.pipeline.playlist import Playlist
from edgewatch.pipeline.recorder import Recorded, Recorder
from edgewatch.pipeline.types import CameraName
from edgewatch.pipeline.watch import Feed
from edgewatch.pipeline.wiring import assembled
from edgewatch.tools.labels import RecordingLabel
from edgewatch.tools.progress import ReplayProgress
from edgewatch.tools.recordings import Found, Recording
from edgewatch.tools.results import RecordingResult, Replay

PARALLEL_RECORDINGS = 2
"""Decoders at work: one feeds the engine while the other reads ahead."""

Labelled = Mapping[CameraName, RecordingLabel | None]


@dataclass(frozen=True, slots=True)
class Judged:
    """All that was found, and by what."""

    recorded: dict[str, Recorded]
    """By camera name."""
    engine: str
    dropped: int
    interrupted: bool = False


async def play(
    settings: Settings,
    engine: Engine,
    feeds: Sequence[Feed],
    *,
    store_path: Path | None = None,
    progress: ReplayProgress | None = None,
) -> Judged:
    """Judge recordings, losslessly; SIGINT and SIGTERM stop it. Raises EngineFailed, StoreError.

    `store_path`: where the books are kept of what is published; None publishes nothing.
    """
    recorded: dict[str, Recorded] = {}

    def keep(one: Recorded) -> None:
        recorded[one.camera] = one

    async with assembled(
        settings,
        engine,
        clock=SystemClock(),
        store_path=store_path,
        publish="replay" if store_path else None,
    ) as pipeline:
        playlist = Playlist(
            pipeline.flow,
            feeds,
            parallel=PARALLEL_RECORDINGS,
            observers=[Recorder(keep), *([progress] if progress else [])],
        )
        interrupted = asyncio.Event()

        def interrupt() -> None:
            interrupted.set()
            playlist.cancel()
            pipeline.flow.stop()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, interrupt)
        playlist.start()
        with progress or nullcontext():
            await pipeline.run()
        drops = pipeline.stats.snapshot(0.0).drops
        return Judged(
            recorded, pipeline.judge.engine.name, sum(drops.values()), interrupted.is_set()
        )


def replay_of(
    settings: Settings,
    plan: CameraPlan,
    found: Found,
    labels: Labelled,
    judged: Judged,
    wall_seconds: float,
) -> Replay:
    """Bring together what was found under one plan."""
    return Replay(
        results=tuple(
            _result(one, judged.recorded.get(one.camera), labels[one.camera])
            for one in found.recordings
        ),
        engine=judged.engine,
        wall_seconds=wall_seconds,
        finished_seconds=time.time(),
        open_after=plan.events.open_after,
        dropped=judged.dropped,
        not_found=found.failed,
        settings={
            "engine.kind": settings.engine.kind,
            "engine.threshold": plan.threshold,
            **{f"clips.{key}": value for key, value in plan.clips.model_dump().items()},
            **{f"events.{key}": value for key, value in plan.events.model_dump().items()},
            **({"ignore": plan.ignore} if plan.ignore else {}),
        },
    )


def exit_code(replay: Replay, judged: Judged) -> int:
    """Return how a replay went."""
    if any(one.engine_failed for one in judged.recorded.values()):
        return EX_SOFTWARE
    return EX_FAILED if replay.failed or judged.interrupted else EX_OK


def _result(
    recording: Recording, recorded: Recorded | None, label: RecordingLabel | None
) -> RecordingResult:
    if recorded is None:
        return RecordingResult(
            recording, error="not judged: the replay was interrupted", label=label
        )
    return RecordingResult(
        recording=recording,
        verdicts=recorded.verdicts,
        events=recorded.events,
        source=recorded.info,
        error=recorded.error,
        label=label,
        worst=recorded.worst,
    )
