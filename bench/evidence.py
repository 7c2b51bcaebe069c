"""What evidence costs, and how soon it can be played; see README.md for what a figure means.

python -m bench.evidence [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from bench.decode import busy_share
from bench.encoded import P_ONLY, recording
from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.evidence.keeper import EvidenceKeeper
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.preroll import Coding, PreRoll
from edgewatch.pipeline.store_thread import StoreThread
from edgewatch.pipeline.types import CameraName, Clip, Event, EvidenceRow, Frame, Verdict

CAMERAS = 16
EVENT_EVERY_SECONDS = 60.0 / CAMERAS
"""One a minute of each camera, evenly spread."""
EVENT_SECONDS = 5.0
CLIP_FRAMES = 20
GOALS = {"ready_after_post_worst_seconds": "<= 3", "remux_core_share": "<= 0.02"}


@dataclass(slots=True)
class Feeder:
    """One thread that hands over the packets of all cameras, at the pace of their video."""

    rings: Sequence[PreRoll]
    video: Path
    cpu_seconds: float = 0.0
    """Of its thread: what copying into the rings costs, its own pacing included."""
    bits_per_second: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Feed until stopped."""
        with av.open(str(self.video)) as container:
            stream = container.streams.video[0]
            context = stream.codec_context
            base = stream.time_base or Fraction(1, 90_000)
            coding = Coding(
                context.name, context.width, context.height, context.extradata or b"", base
            )
            packets = [one for one in container.demux(stream) if one.size]
        seconds = len(packets) / P_ONLY.fps
        self.bits_per_second = 8 * sum(one.size for one in packets) / seconds
        for ring in self.rings:
            ring.begin(coding)
        began_seconds, began_wall = time.monotonic(), time.time()
        number = 0
        while not self.stopping.is_set():
            turn, at = divmod(number, len(packets))
            due_seconds = number / P_ONLY.fps
            self.stopping.wait(max(0.0, began_seconds + due_seconds - time.monotonic()))
            packet = packets[at]
            stamp = (packet.pts or 0) + round(turn * seconds / base)
            now_seconds = time.monotonic()
            for ring in self.rings:
                ring.add(
                    bytes(packet),
                    key=packet.is_keyframe,
                    stamp=stamp,
                    duration=packet.duration or 0,
                    now_seconds=now_seconds,
                )
                if packet.is_keyframe:
                    at_seconds = float(stamp * base)
                    ring.tie(at_seconds, began_wall + at_seconds)
            number += 1
            self.cpu_seconds = time.thread_time()


class Unremembering:
    """An engine without a memory."""

    async def memory_of(self, camera: CameraName, clip_id: str) -> bytes | None:
        """There is none."""
        return None


@dataclass
class NotedStore:
    """The real store, and when each event's evidence was ready."""

    store: StoreThread
    ready_seconds: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    async def save_evidence(self, row: EvidenceRow) -> None:
        """Keep a row; its video is in place by then."""
        if row.state == "ready":
            self.ready_seconds.setdefault(row.event_id, time.time())
        elif row.state == "failed":
            self.failed.append(row.detail)
        await self.store.save_evidence(row)

    async def evidence(self, event_id: str) -> EvidenceRow | None:
        """Pass it on."""
        return await self.store.evidence(event_id)

    async def delete_evidence(self, event_id: str) -> None:
        """Pass it on."""
        await self.store.delete_evidence(event_id)

    async def evidence_oldest(self, limit: int) -> list[EvidenceRow]:
        """Pass it on."""
        return await self.store.evidence_oldest(limit)

    async def evidence_in_state(self, state: str) -> list[EvidenceRow]:
        """Pass it on."""
        return await self.store.evidence_in_state(state)

    async def evidence_bytes(self) -> int:
        """Pass it on."""
        return await self.store.evidence_bytes()


class Incident:
    """One event of a camera, told as the flow would."""

    def __init__(self, keeper: EvidenceKeeper, plan: CameraPlan) -> None:
        self._observer = keeper.observer(plan)
        self._camera = CameraName(plan.name)
        self._pixels = np.random.default_rng(1).integers(0, 256, (196, 336, 3), np.uint8)
        self._index = 0
        self.told_seconds: list[float] = []
        """How long the observer kept the loop, each time."""

    async def happen(self) -> tuple[str, float]:
        """Open, go on and end; return the event's id and its end."""
        first = self._clip()
        second = self._clip()
        event = Event(
            event_id=uuid7(time.time()),
            type="new",
            revision=1,
            camera=self._camera,
            score=0.9,
            peak_score=0.9,
            peak_clip_id=second.clip_id,
            threshold=0.5,
            start_seconds=first.start_seconds,
            end_seconds=None,
            clips=2,
            engine="bench",
        )
        self._tell(event)
        last = second
        for _ in range(2):
            await asyncio.sleep(EVENT_SECONDS / 2)
            last = self._clip()
        self._tell(
            replace(event, type="end", revision=2, end_seconds=last.end_seconds, ended_by="quiet")
        )
        return event.event_id, last.end_seconds

    def _tell(self, event: Event) -> None:
        began_seconds = time.perf_counter()
        self._observer.on_event(event)
        self.told_seconds.append(time.perf_counter() - began_seconds)

    def _clip(self) -> Clip:
        end_seconds = time.time()
        frames = tuple(
            Frame(
                self._camera,
                self._index + number,
                number,
                self._pixels,
                number / 4,
                end_seconds - (CLIP_FRAMES - number) / 4,
                0.0,
            )
            for number in range(CLIP_FRAMES)
        )
        self._index += CLIP_FRAMES
        clip = Clip(
            f"{self._camera}-{self._index}",
            self._camera,
            frames,
            4.0,
            frames[0].time_seconds,
            end_seconds,
        )
        verdict = Verdict(
            clip.clip_id,
            self._camera,
            "Anomaly",
            0.9,
            0.5,
            clip.start_seconds,
            clip.end_seconds,
            0.0,
            5.0,
            "bench",
            1.0,
        )
        began_seconds = time.perf_counter()
        self._observer.on_verdict(clip, verdict)
        self.told_seconds.append(time.perf_counter() - began_seconds)
        return clip


def main(argv: Sequence[str] | None = None) -> int:
    """Run the bench; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3 events in half a minute")
    parser.add_argument("--json", action="store_true", help="one flat object and nothing else")
    options = parser.parse_args(argv)
    configure_logs(default="error", stream=sys.stderr)
    figures: dict[str, float] = {"machine_busy_share": busy_share()}
    with tempfile.TemporaryDirectory() as folder:
        events = 3 if options.quick else 32
        video = recording(P_ONLY, 8.0)
        figures |= asyncio.run(_measured(Path(folder), video, events, quick=options.quick))
    if options.json:
        print(json.dumps(figures))
    else:
        _tell(figures)
    return 0


async def _measured(folder: Path, video: Path, events: int, *, quick: bool) -> dict[str, float]:
    names = [f"cam-{number}" for number in range(CAMERAS)]
    post_seconds = 3.0 if quick else 10.0
    settings = Settings.model_validate(
        {
            "service": {"data_dir": folder},
            "evidence": {"post_seconds": post_seconds, "reserve_bytes": 0},
            "cameras": tuple({"name": name, "url": f"rtsp://10.0.0.1/{name}"} for name in names),
        }
    )
    async with StoreThread(folder / "edgewatch.db") as store:
        books = NotedStore(store)
        keeper = EvidenceKeeper(settings, books=books, engine=Unremembering(), clock=SystemClock())
        await keeper.open()
        plans = settings.plans()
        feeder = Feeder([keeper.ring(plan) for plan in plans], video)
        feeding = threading.Thread(target=feeder.run, name="feeder")
        feeding.start()
        try:
            incidents = [Incident(keeper, plan) for plan in plans]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keeper.run())
                ends = await _happening(incidents, events, settle_seconds=12.0)
                await asyncio.sleep(post_seconds + 4.0)
                cpu_seconds = keeper.writer.cpu_seconds
                await keeper.stop(5.0)
        finally:
            feeder.stopping.set()
            feeding.join()
            await keeper.close()
    lags = [
        books.ready_seconds[event_id] - end_seconds - post_seconds
        for event_id, end_seconds in ends
        if event_id in books.ready_seconds
    ]
    told = [seconds for one in incidents for seconds in one.told_seconds]
    sizes = _video_sizes(folder)
    return {
        "events": len(ends),
        "events_without_video": len(ends) - len(lags),
        "stream_mbit_per_second": feeder.bits_per_second / 1e6,
        "video_mean_mb": sum(sizes) / max(1, len(sizes)) / 1e6,
        "ready_after_post_mean_seconds": sum(lags) / len(lags),
        "ready_after_post_worst_seconds": max(lags),
        "remux_cpu_ms_per_event": 1000 * cpu_seconds / len(ends),
        "remux_core_share": cpu_seconds / len(ends) / EVENT_EVERY_SECONDS,
        "loop_held_worst_ms": 1000 * max(told),
    }


async def _happening(
    incidents: Sequence[Incident], events: int, *, settle_seconds: float
) -> list[tuple[str, float]]:
    """Let events begin evenly spread over the cameras; the rings are filled before."""
    await asyncio.sleep(settle_seconds)
    async with asyncio.TaskGroup() as tasks:
        under_way = []
        for number in range(events):
            happening = incidents[number % len(incidents)].happen()
            under_way.append(tasks.create_task(happening))
            await asyncio.sleep(EVENT_EVERY_SECONDS if number + 1 < events else 0)
    return [task.result() for task in under_way]


def _video_sizes(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*.mp4")]


def _tell(figures: dict[str, float]) -> None:
    table = Table("figure", "value", "goal")
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}", GOALS.get(name, ""))
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
