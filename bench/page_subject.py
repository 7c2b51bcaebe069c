"""The page's service in a process of its own: 16 cameras, 10,000 events, a week of nothing else.

    python -m bench.page_subject --cameras 16 --events 10000

Nothing is decoded and the engine costs nothing, so that what open pages cost can be seen: pictures
are real ones, made beforehand, four a second a camera; each camera has a clip every 2.5 s. Prints
one line of JSON with the port, then, for each line on its standard input, one with what it has
used.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from aiohttp import web

from edgewatch.config.settings import Settings
from edgewatch.daemon.logs import configure_logs
from edgewatch.daemon.reports import Reports, resident_bytes
from edgewatch.daemon.web.context import WebContext
from edgewatch.daemon.web.live import Live
from edgewatch.daemon.web.server import application
from edgewatch.pipeline.clock import SystemClock
from edgewatch.pipeline.event_rows import SAVE, encode_event, event_row
from edgewatch.pipeline.ids import uuid7
from edgewatch.pipeline.mailbox import Mailbox
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import (
    Answer,
    CameraName,
    Clip,
    Event,
    Frame,
    Health,
    Interval,
    SourceInfo,
    Verdict,
)
from edgewatch.pipeline.watch import Feed, live_feed
from edgewatch.pipeline.watch import Reports as CameraReports
from edgewatch.pipeline.wiring import Pipeline, assembled

SAMPLE = Path(__file__).parents[1] / "samples" / "walkway.mp4"
FPS = 4.0
SIDES = (294, 216)
"""Width and height that 640 x 480 is judged at, near enough."""
CLIP_FRAMES = 20
STRIDE_SECONDS = 2.5
HISTORY_SECONDS = 86_400.0


class Painter:
    """A camera whose pictures were made beforehand; keeps a camera thread's contract."""

    def __init__(
        self,
        pictures: Sequence[npt.NDArray[np.uint8]],
        feed: Feed,
        outlet: Mailbox[Clip],
        reports: CameraReports,
    ) -> None:
        self._pictures = pictures
        self._camera = feed.camera
        self._outlet = outlet
        self._reports = reports
        self._offset = hash(feed.camera) % len(pictures)
        self._newest: Frame | None = None
        self._ended = False

    @property
    def latest_frame(self) -> Frame | None:
        """The picture of this quarter of a second."""
        index = int(time.monotonic() * FPS)
        if self._newest is None or self._newest.index != index:
            self._newest = self._frame(index)
        return self._newest

    def start(self) -> None:
        """Be online."""
        self._reports.on_info(SourceInfo("h264", 640, 480, 10.0, decoding="every picture"))
        self._reports.on_health(Health(self._camera, "online", time.time()))

    def stop(self) -> None:
        """End at once."""
        if not self._ended:
            self._ended = True
            self._reports.on_end(None)
            self._outlet.close()

    def join(self, timeout_seconds: float) -> bool:
        """It has no thread."""
        return self._ended

    def hand_over(self) -> None:
        """Hand over the clip that ends now."""
        if self._ended:
            return
        last = int(time.monotonic() * FPS)
        frames = tuple(
            self._frame(last - CLIP_FRAMES + 1 + number) for number in range(CLIP_FRAMES)
        )
        start_seconds = frames[0].time_seconds
        self._outlet.offer(
            Clip(
                f"{self._camera}-{last}",
                self._camera,
                frames,
                FPS,
                start_seconds,
                frames[-1].time_seconds + 1 / FPS,
            )
        )

    def _frame(self, index: int) -> Frame:
        ago_seconds = time.monotonic() - index / FPS
        return Frame(
            camera=self._camera,
            index=index,
            slot=index,
            pixels=self._pictures[(index + self._offset) % len(self._pictures)],
            media_seconds=index / FPS,
            time_seconds=time.time() - ago_seconds,
            captured_seconds=index / FPS,
        )


class Guesser:
    """An engine that costs nothing and finds nothing."""

    name = "guess-1"
    max_batch = 8

    def __init__(self) -> None:
        self._random = np.random.default_rng(11)

    async def start(self) -> None:
        """Nothing to load."""

    async def judge(self, clips: Sequence[Clip]) -> list[Answer]:
        """Score at random, below every threshold."""
        return [Answer(float(self._random.uniform(0.02, 0.3))) for _ in clips]

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
        """Nothing to close."""


def sample_pictures() -> list[npt.NDArray[np.uint8]]:
    """Return uint8 RGB pictures of the sample footage, at the size of sampled frames."""
    pictures = []
    with av.open(str(SAMPLE)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 3 == 0:
                picture = np.asarray(cv2.resize(frame.to_ndarray(format="rgb24"), SIDES), np.uint8)
                picture.flags.writeable = False
                pictures.append(picture)
    return pictures


def fill(path: Path, cameras: Sequence[str], events: int) -> None:
    """Write a day of verdicts and coverage of each camera, and so many events of four weeks."""
    random = np.random.default_rng(5)
    now_seconds = time.time()
    store = Store(path)
    for name in map(CameraName, cameras):
        ends = np.arange(now_seconds - HISTORY_SECONDS, now_seconds, 5 * STRIDE_SECONDS)
        scores = np.clip(random.gamma(1.2, 0.08, len(ends)), 0, 1)
        store.save_verdicts(
            [
                _verdict(name, float(end), float(score))
                for end, score in zip(ends, scores, strict=True)
            ]
        )
        store.save_coverage(_coverage(name, now_seconds, random))
    store.close()
    _write_events(path, cameras, events, now_seconds)


def _write_events(path: Path, cameras: Sequence[str], count: int, now_seconds: float) -> None:
    """Write all events in one transaction; one by one would take longer than what is measured."""
    rows = []
    for number in range(count):
        start_seconds = now_seconds - 28 * 86_400.0 * (1 - number / count)
        event = _event(CameraName(cameras[number % len(cameras)]), start_seconds)
        rows.append(event_row(event, encode_event(event), number + 1))
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(SAVE, rows)
        database.execute("UPDATE changes SET latest = ?", (count,))


def _verdict(camera: CameraName, end_seconds: float, score: float) -> Verdict:
    return Verdict(
        clip_id=f"{camera}-{end_seconds:.1f}",
        camera=camera,
        label="Anomaly" if score >= 0.5 else "Normal",
        score=score,
        threshold=0.5,
        start_seconds=end_seconds - 5.0,
        end_seconds=end_seconds,
        media_start_seconds=0.0,
        media_end_seconds=5.0,
        engine="guess-1",
        latency_ms=100.0,
    )


def _event(camera: CameraName, start_seconds: float) -> Event:
    return Event(
        event_id=uuid7(start_seconds),
        type="end",
        revision=3,
        camera=camera,
        score=0.4,
        peak_score=0.8,
        peak_clip_id="",
        threshold=0.5,
        start_seconds=start_seconds,
        end_seconds=start_seconds + 12.0,
        clips=4,
        engine="guess-1",
        description="Somebody runs across the walkway and drops a bag near the lamp post.",
        ended_by="quiet",
    )


def _coverage(
    camera: CameraName, now_seconds: float, random: np.random.Generator
) -> list[Interval]:
    """A day with some fifty short holes."""
    start_ms, end_ms = round((now_seconds - HISTORY_SECONDS) * 1000), round(now_seconds * 1000)
    intervals, at_ms = [], start_ms
    for hole_ms in sorted(random.integers(start_ms, end_ms - 60_000, 50).tolist()):
        if hole_ms > at_ms:
            intervals.append(Interval(camera, at_ms, hole_ms, "judged"))
            at_ms = hole_ms + 4000
            intervals.append(Interval(camera, hole_ms, at_ms, "offline"))
    return [*intervals, Interval(camera, at_ms, end_ms, "judged")]


async def serve(cameras: int, events: int, folder: Path) -> None:
    """Serve until standard input ends."""
    names = [f"camera-{number:02d}" for number in range(cameras)]
    database = folder / "edgewatch.db"
    await asyncio.to_thread(fill, database, names, events)
    settings = Settings.model_validate(
        {
            "service": {"data_dir": folder},
            "cameras": tuple({"name": name, "url": f"rtsp://10.0.0.9/{name}"} for name in names),
        }
    )
    pictures = sample_pictures()
    painters: list[Painter] = []

    def open_camera(
        feed: Feed, first_index: int, outlet: Mailbox[Clip], reports: CameraReports
    ) -> Painter:
        painters.append(Painter(pictures, feed, outlet, reports))
        return painters[-1]

    async with assembled(
        settings,
        Guesser(),
        clock=SystemClock(),
        store_path=database,
        publish=None,
        open_camera=open_camera,
    ) as pipeline:
        for plan in settings.plans():
            pipeline.flow.add(live_feed(plan))
        await _serve(settings, pipeline, painters)


async def _serve(settings: Settings, pipeline: Pipeline, painters: Sequence[Painter]) -> None:
    clock = SystemClock()
    context = WebContext(pipeline, Reports(pipeline, clock), clock, settings)
    live = Live(context)
    runner = web.AppRunner(application(context, live), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pipeline.run())
        helpers = [tasks.create_task(live.run()), tasks.create_task(_feed(painters))]
        _say({"port": runner.addresses[0][1]})
        while await asyncio.to_thread(sys.stdin.readline):
            used = {"cpu_seconds": time.process_time(), "memory_bytes": resident_bytes()}
            _say({**used, **live.figures()})
        for helper in helpers:
            helper.cancel()
        pipeline.flow.stop()
        await running
    await runner.cleanup()


async def _feed(painters: Sequence[Painter]) -> None:
    """Hand over the clips, spread evenly over the stride."""
    while True:
        for painter in painters:
            painter.hand_over()
            await asyncio.sleep(STRIDE_SECONDS / len(painters))


def _say(message: dict[str, float]) -> None:
    print(json.dumps(message), flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--events", type=int, default=10_000)
    options = parser.parse_args(argv)
    with open(os.devnull, "w") as nowhere, tempfile.TemporaryDirectory() as folder:
        configure_logs(default="info", stream=nowhere)  # as the daemon does, for a journal
        asyncio.run(serve(options.cameras, options.events, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
