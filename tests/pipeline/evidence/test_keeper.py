from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgewatch.config.settings import CameraPlan, Settings
from edgewatch.pipeline.evidence.folder import EvidenceFolder
from edgewatch.pipeline.evidence.keeper import EvidenceKeeper
from edgewatch.pipeline.evidence.observer import CameraEvidence
from edgewatch.pipeline.evidence.order import Order
from edgewatch.pipeline.evidence.pictures import clip_hash, pixel_hash
from edgewatch.pipeline.types import CameraName, Clip, Event, EvidenceRow, Health, Verdict
from tests.fakes.camera import make_plan
from tests.fakes.clips import FRONT, make_clip
from tests.fakes.clock import ManualClock
from tests.fakes.engine import FakeEngine
from tests.fakes.events import make_event
from tests.fakes.evidence_books import FakeEvidenceBooks
from tests.fakes.packets import Sender

LONG_SECONDS = 20.0
DAY_SECONDS = 86_400.0


class RoomyFolder(EvidenceFolder):
    """Real files, on a disk that has as much left as the test says."""

    free = 10**12

    def free_bytes(self) -> int:
        return self.free


@dataclass
class Rig:
    keeper: EvidenceKeeper
    books: FakeEvidenceBooks
    engine: FakeEngine
    clock: ManualClock
    folder: RoomyFolder
    pictures: list[tuple[str, str]] = field(default_factory=list)
    cameras: dict[str, Camera] = field(default_factory=dict)

    def camera(self, name: str = "front", **packets: Any) -> Camera:
        if name not in self.cameras:
            self.cameras[name] = Camera(self, make_plan(name), packets)
        return self.cameras[name]

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_SECONDS):
            while not holds():  # noqa: ASYNC110 - threads, and files of theirs
                await asyncio.sleep(0.01)

    def state(self, event_id: str) -> str | None:
        row = self.books.rows.get(event_id)
        return row.state if row else None

    async def done(self, *event_ids: str) -> None:
        await self.until(lambda: all(self.state(one) in ("ready", "failed") for one in event_ids))

    def file(self, event_id: str, suffix: str) -> Path:
        return self.folder.path(self.books.rows[event_id].folder, event_id, suffix)

    def told(self, event_id: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.file(event_id, ".json").read_text())
        return told


class Camera:
    """A camera's packets, clips and events, as the flow would tell of them."""

    def __init__(self, rig: Rig, plan: CameraPlan, packets: dict[str, Any]) -> None:
        self.rig = rig
        self.name = CameraName(plan.name)
        self.evidence: CameraEvidence = rig.keeper.observer(plan)
        self.sender = Sender(rig.keeper.ring(plan), rig.clock, **packets)
        self.events: dict[str, Event] = {}
        self.index = 0

    def clip(self, score: float) -> tuple[Clip, Verdict]:
        """A clip of the last second, and its verdict."""
        start_seconds = self.rig.clock.wall_seconds() - 1.0
        clip = make_clip(start_seconds, camera=self.name, first_index=self.index)
        noise = np.random.default_rng(self.index).integers(0, 256, (28, 28, 3), np.uint8)
        noise.flags.writeable = False
        frames = (*clip.frames[:-1], replace(clip.frames[-1], pixels=noise))
        clip = replace(clip, frames=frames)
        self.index += len(frames)
        verdict = Verdict(
            clip.clip_id,
            self.name,
            "Anomaly" if score >= 0.5 else "Normal",
            score,
            0.5,
            clip.start_seconds,
            clip.end_seconds,
            0.0,
            1.0,
            "fake-1",
            1.0,
            prompt_hash="cafe",
        )
        self.evidence.on_verdict(clip, verdict)
        return clip, verdict

    def open(self, event_id: str, score: float = 0.8, **changes: Any) -> Event:
        """Two anomalous clips, and the event that they open."""
        first, _ = self.clip(score - 0.1)
        self.sender.send(0.5)
        peak, _ = self.clip(score)
        event = replace(
            make_event(event_id, first.start_seconds, camera=self.name),
            peak_clip_id=peak.clip_id,
            peak_score=score,
            **changes,
        )
        self.events[event_id] = event
        self.evidence.on_event(event)
        return event

    def end(self, event_id: str, ended_by: Any = "quiet") -> Event:
        event = self.events[event_id]
        over = replace(
            event,
            type="end",
            revision=event.revision + 1,
            end_seconds=self.rig.clock.wall_seconds(),
            ended_by=ended_by,
        )
        self.evidence.on_event(over)
        return over


@asynccontextmanager
async def rig(
    tmp_path: Path,
    *,
    books: FakeEvidenceBooks | None = None,
    root: Path | None = None,
    **evidence: Any,
) -> AsyncIterator[Rig]:
    settings = Settings.model_validate(
        {
            "service": {"data_dir": tmp_path},
            "evidence": {"pre_seconds": 3.0, "post_seconds": 2.0, **evidence},
        }
    )
    clock, engine = ManualClock(), FakeEngine()
    books = books or FakeEvidenceBooks()
    await engine.start()
    folder = RoomyFolder(root or tmp_path / "evidence")
    pictures: list[tuple[str, str]] = []
    keeper = EvidenceKeeper(
        settings,
        books=books,
        engine=engine,
        clock=clock,
        on_thumbnail=lambda camera, event_id, jpeg: pictures.append((camera, event_id)),
        folder=folder,
    )
    await keeper.open()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keeper.run())
        yield Rig(keeper, books, engine, clock, folder, pictures)
        await keeper.stop(5.0)
    await keeper.close()


async def test_an_event_leaves_a_video_a_picture_and_all_that_made_its_verdicts(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        event = camera.open("e1")
        assert r.keeper.files_of(event)[0] is None
        camera.sender.send(1.0)
        calm, _ = camera.clip(0.2)
        camera.sender.send(1.0)
        over = camera.end("e1")
        video, thumbnail = r.keeper.files_of(over)
        camera.sender.send(4.0)
        await r.done("e1")
        row = r.books.rows["e1"]
        assert video == f"{row.folder}/e1.mp4"
        assert thumbnail == f"{row.folder}/e1.jpg"
        files = [r.file("e1", suffix) for suffix in (".mp4", ".jpg", ".json")]
        assert row.size_bytes == sum(path.stat().st_size for path in files)
        assert r.pictures[-1] == ("front", "e1")
        told = r.told("e1")
    assert told["state"] == "ready"
    assert told["event"]["type"] == "end"
    assert told["video"]["truncated"] is None
    assert [clip["label"] for clip in told["clips"]] == ["Anomaly", "Anomaly", "Normal"]
    assert {clip["prompt_hash"] for clip in told["clips"]} == {"cafe"}
    last = told["clips"][-1]
    assert last["pixels"] == clip_hash(pixel_hash(frame.pixels) for frame in calm.frames)
    assert last["in_video"] is not None
    assert len(told["frames"]) == 12
    assert told["camera"]["sampling"]["fps"] == 4.0
    assert "rtsp" not in json.dumps(told)


async def test_what_the_engine_knew_before_the_first_clip_is_kept_beside(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        first, _ = camera.clip(0.7)
        r.engine.memories[first.clip_id] = b"all that was normal"
        camera.sender.send(0.5)
        peak, _ = camera.clip(0.9)
        event = replace(
            make_event("e1", first.start_seconds), peak_clip_id=peak.clip_id, peak_score=0.9
        )
        camera.events["e1"] = event
        camera.evidence.on_event(event)
        await asyncio.sleep(0)
        camera.sender.send(1.0)
        camera.end("e1")
        camera.sender.send(4.0)
        await r.done("e1")
        await r.until(lambda: r.told("e1")["memory"] is not None)
        assert r.told("e1")["memory"] == {"file": "e1.npz", "before_clip": first.clip_id}
        assert r.file("e1", ".npz").read_bytes() == b"all that was normal"


async def test_a_higher_peak_is_the_new_thumbnail(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        camera.open("e1", 0.6)
        await r.until(lambda: len(r.pictures) == 1)
        before = r.file("e1", ".jpg").read_bytes()
        camera.sender.send(1.0)
        camera.clip(0.55)
        camera.clip(0.9)
        await r.until(lambda: len(r.pictures) == 2)
        assert r.file("e1", ".jpg").read_bytes() != before
        camera.end("e1", "camera_lost")
        await r.done("e1")


async def test_the_thumbnail_of_a_suppressed_event_is_kept_and_not_shown_until_it_is_sent(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        event = camera.open("e1", suppressed_by="snooze")
        await r.until(lambda: "e1" in r.books.rows and r.file("e1", ".jpg").exists())
        await asyncio.sleep(0)
        assert r.pictures == []
        camera.evidence.on_event(replace(event, revision=2, suppressed_by=None))
        await r.until(lambda: r.pictures == [("front", "e1")])
        camera.end("e1", "disabled")
        await r.done("e1")


async def test_a_camera_that_is_lost_or_switched_off_ends_its_videos_at_once(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as r:
        lost, off = r.camera("lost"), r.camera("off")
        for camera in (lost, off):
            camera.sender.send(8.0)
        lost.open("e1")
        off.open("e2")
        lost.end("e1", "camera_lost")
        off.end("e2")
        off.evidence.on_health(Health(off.name, "off", r.clock.wall_seconds(), "disabled"))
        await r.done("e1", "e2")  # the clock stands still: nobody waits for what comes after
        assert [r.told(one)["video"]["truncated"] for one in ("e1", "e2")] == ["camera", "camera"]
        assert r.state("e1") == r.state("e2") == "ready"


async def test_a_stop_finishes_what_is_being_recorded(tmp_path: Path) -> None:
    books = FakeEvidenceBooks()
    async with rig(tmp_path, books=books) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        camera.open("e1")
        camera.end("e1", "stream_ended")
        camera.open("e2")  # not even its end is heard of
    assert books.rows["e1"].state == "ready"
    assert books.rows["e2"].state == "ready"
    assert json.loads(r.file("e2", ".json").read_text())["video"]["truncated"] == "stopped"


async def test_a_thousand_events_in_a_minute_delay_nobody_and_are_all_on_record(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, max_recordings=4) as r:
        cameras = [r.camera(f"cam-{number}") for number in range(10)]
        for camera in cameras:
            camera.sender.send(5.0)
        taken_seconds: list[float] = []
        for turn in range(100):
            for number, camera in enumerate(cameras):
                event_id = f"e{turn}-{number}"
                began_seconds = time.monotonic()
                camera.open(event_id)
                camera.end(event_id)
                taken_seconds.append(time.monotonic() - began_seconds)
            await asyncio.sleep(0)
        ids = [f"e{turn}-{number}" for turn in range(100) for number in range(10)]
        for camera in cameras:
            camera.sender.send(4.0)
        await r.done(*ids)
        figures = r.keeper.figures()
        assert figures["refused"] + figures["ready"] + figures["failed"] == 1000
        assert figures["ready"] >= 4
        assert figures["recording"] == 0
        refused = [row for row in r.books.rows.values() if row.state == "failed"]
        assert all("max_recordings" in row.detail for row in refused if "under way" in row.detail)
    # The machine may stall a few; a loop that waits for the disk would wait for nearly all
    assert sorted(taken_seconds)[989] < 0.25
    assert max(taken_seconds) < 1.0


async def test_a_clock_set_back_an_hour_leaves_evidence_before_and_after(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        camera.open("e1")
        camera.sender.send(1.0)
        r.clock.set_wall(r.clock.wall_seconds() - 3600.0)
        camera.sender.clock_was_set()
        camera.sender.send(2.0)
        camera.clip(0.9)
        camera.end("e1")
        camera.sender.send(5.0)
        await r.done("e1")
        told = r.told("e1")
        assert told["state"] == "ready"
        assert 6.0 <= told["video"]["seconds"] <= 12.0
        assert len(told["video"]["stretches"]) == 2
        camera.open("e2")
        camera.end("e2")
        camera.sender.send(5.0)
        await r.done("e2")
        assert r.state("e2") == "ready"


async def test_a_full_disk_stops_evidence_and_no_event_and_it_resumes_by_itself(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, reserve_bytes=1_000_000_000) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        before = camera.open("before")
        r.folder.free = 999_000_000
        r.clock.advance(5.1)
        await r.until(lambda: r.keeper.paused is not None)
        await r.until(lambda: r.told("before")["state"] == "ready")  # finished, and cut short
        assert r.told("before")["video"]["truncated"] == "disk"
        assert r.keeper.files_of(before)[1] is not None
        camera.end("before")
        during = camera.open("during")
        assert r.keeper.files_of(during) == (None, None)
        camera.end("during")
        await r.done("during")
        assert r.state("during") == "failed"
        assert "evidence.reserve_bytes" in r.books.rows["during"].detail
        assert r.keeper.figures()["state"] == "paused"
        r.folder.free = 10**12
        r.clock.advance(40.0)
        await r.until(lambda: r.keeper.paused is None)
        camera.sender.send(8.0)
        camera.open("after")
        camera.end("after", "camera_lost")
        await r.done("after")
        assert r.state("after") == "ready"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 256 KiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    path = tmp_path / "small"
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


async def test_a_disk_that_is_really_full_fails_the_video_and_nothing_else(
    tmp_path: Path, small_disk: Path
) -> None:
    async with rig(tmp_path, root=small_disk / "evidence", reserve_bytes=0) as r:
        camera = r.camera(width=320)
        camera.sender.send(8.0)
        camera.open("e1")
        (small_disk / "ballast").write_bytes(bytes(200_000))
        for _ in range(20):
            camera.sender.send(1.0)
            camera.clip(0.9)
        camera.end("e1")
        await r.done("e1")
        assert "the disk is full" in (r.keeper.paused or "")
        (small_disk / "ballast").unlink()
        r.clock.advance(40.0)
        await r.until(lambda: r.keeper.paused is None)
        camera.sender.send(6.0)
        camera.open("e2")
        camera.end("e2", "camera_lost")
        await r.done("e2")
        assert r.state("e2") == "ready"
        # Whatever the video of the first one became, it is told now
        await r.until(lambda: r.told("e1")["video"].get("truncated") == "disk")


def kept(
    folder: EvidenceFolder, event_id: str, size_bytes: int, created_seconds: float, **changes: Any
) -> EvidenceRow:
    """Evidence that lies on disk already."""
    where = "front/2026-11-01"
    folder.write(folder.path(where, event_id, ".mp4"), bytes(size_bytes))
    return EvidenceRow(event_id, FRONT, "ready", "", where, size_bytes, created_seconds, **changes)


async def test_the_oldest_that_nobody_protects_goes_first(tmp_path: Path) -> None:
    books, now_seconds = FakeEvidenceBooks(), ManualClock().wall_seconds()
    folder = EvidenceFolder(tmp_path / "evidence")
    for number in range(6):
        row = kept(
            folder, f"e{number}", 3_000_000, now_seconds - 100 + number, protected=number == 1
        )
        books.rows[row.event_id] = row
    async with rig(tmp_path, books=books, max_bytes=10_000_000) as r:
        assert sorted(books.rows) == ["e1", "e4", "e5"]
        left = sorted(path.stem for path in r.folder.root.rglob("*.mp4"))
        assert left == ["e1", "e4", "e5"]
        assert r.keeper.figures()["removed"] == 3
        assert r.keeper.paused is None


async def test_what_is_too_old_goes_unless_it_is_protected(tmp_path: Path) -> None:
    books, now_seconds = FakeEvidenceBooks(), ManualClock().wall_seconds()
    folder = EvidenceFolder(tmp_path / "evidence")
    for event_id, days, protected in (("old", 15, False), ("kept", 15, True), ("new", 13, False)):
        books.rows[event_id] = kept(
            folder, event_id, 10, now_seconds - days * DAY_SECONDS, protected=protected
        )
    async with rig(tmp_path, books=books, max_age_days=14):
        assert sorted(books.rows) == ["kept", "new"]


async def test_space_that_is_protected_to_the_last_byte_stops_evidence(tmp_path: Path) -> None:
    books, now_seconds = FakeEvidenceBooks(), ManualClock().wall_seconds()
    folder = EvidenceFolder(tmp_path / "evidence")
    books.rows["e1"] = kept(folder, "e1", 11_000_000, now_seconds, protected=True)
    async with rig(tmp_path, books=books, max_bytes=10_000_000) as r:
        assert r.keeper.paused is not None
        assert "protect" in r.keeper.paused
        assert list(books.rows) == ["e1"]


async def test_a_database_in_trouble_costs_no_evidence(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        r.books.broken = True
        event = camera.open("e1")
        camera.end("e1", "camera_lost")
        video = r.folder.root / (r.keeper.files_of(event)[1] or "").replace(".jpg", ".mp4")
        await r.until(video.exists)
        assert r.books.rows == {}
        r.books.broken = False
        r.clock.advance(6.0)
        camera.sender.send(0.1)
        await r.done("e1")
        assert r.state("e1") == "ready"


async def test_nothing_is_kept_where_evidence_is_switched_off(tmp_path: Path) -> None:
    async with rig(tmp_path, enabled=False) as r:
        camera = r.camera()
        camera.sender.send(8.0)
        event = camera.open("e1")
        assert r.keeper.files_of(event) == (None, None)
        camera.end("e1")
    assert r.books.rows == {}
    assert not list(tmp_path.rglob("*.mp4*"))  # noqa: ASYNC240 - a handful of files


async def test_a_recording_that_a_crash_left_without_its_video_is_marked(tmp_path: Path) -> None:
    books = FakeEvidenceBooks()
    books.rows["e1"] = replace(
        EvidenceRow("e1", FRONT, "recording", "", "front/2026-11-01", 0, 0.0, False),
        created_seconds=ManualClock().wall_seconds(),
    )
    async with rig(tmp_path, books=books) as r:
        assert r.state("e1") == "failed"
        assert "killed" in r.books.rows["e1"].detail
        event = make_event("e1", end_seconds=1_001.0)
        assert r.keeper.files_of(event) == (None, None)


async def test_books_that_were_away_at_the_start_hear_of_what_was_mended(tmp_path: Path) -> None:
    books = FakeEvidenceBooks()
    for event_id in ("e1", "e2"):
        books.rows[event_id] = EvidenceRow(
            event_id, FRONT, "recording", "", "front/2026-11-01", 0, 1.7e9, False
        )
    books.broken = True
    async with rig(tmp_path, books=books) as r:
        assert r.state("e1") == "recording"
        books.broken = False
        r.camera().open("e3")  # anything that is to be written down
        await r.done("e1", "e2")


async def test_a_video_at_its_greatest_length_makes_room_though_its_event_goes_on(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path, max_recordings=1, max_seconds=10.0) as r:
        first, second = r.camera("front"), r.camera("back")
        first.sender.send(8.0)
        first.open("e1")
        first.sender.send(12.0)
        first.clip(0.9)
        await r.done("e1")
        assert r.keeper.figures()["recording"] == 0
        second.sender.send(8.0)
        second.open("e2")
        second.sender.send(1.0)
        refused = r.camera("yard")
        refused.sender.send(8.0)
        refused.open("e3")  # the room of one is taken
        second.end("e2", "camera_lost")
        await r.done("e2", "e3")
        assert (r.state("e2"), r.state("e3")) == ("ready", "failed")
        over = first.end("e1")
        where = r.books.rows["e1"].folder
        assert r.keeper.files_of(over) == (f"{where}/e1.mp4", f"{where}/e1.jpg")
        await r.until(lambda: r.told("e1")["event"]["type"] == "end")
        assert r.told("e1")["video"]["truncated"] == "max_seconds"


class HungBooks(FakeEvidenceBooks):
    """They take a row, and never come back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    async def save_evidence(self, row: EvidenceRow) -> None:
        self.asked.set()
        await asyncio.Event().wait()


async def test_a_stop_waits_for_nobody_for_good(tmp_path: Path) -> None:
    books, folder = HungBooks(), EvidenceFolder(tmp_path / "evidence")
    settings = Settings.model_validate(
        {"service": {"data_dir": tmp_path}, "evidence": {"reserve_bytes": 0}}
    )
    engine = FakeEngine()
    clock = ManualClock()
    keeper = EvidenceKeeper(settings, books=books, engine=engine, clock=clock)
    await keeper.open()
    await engine.start()
    pictures: list[tuple[str, str]] = []
    r = Rig(keeper, books, engine, clock, RoomyFolder(tmp_path / "evidence"), pictures)
    async with asyncio.timeout(LONG_SECONDS), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(keeper.run())
        camera = r.camera()
        camera.sender.send(8.0)
        camera.open("e1")
        await books.asked.wait()
        began_seconds = time.monotonic()
        await keeper.stop(0.1)
        await running
    assert time.monotonic() - began_seconds < 5.0
    await keeper.close()
    ring, path = keeper.ring(make_plan("front")), folder.path("front", "e2", ".mp4")
    order = Order("e2", FRONT, ring, path, 0.0, 0.0, most_seconds=1.0, most_bytes=1)
    assert not keeper.writer.begin(order)


async def test_what_was_kept_goes_in_its_time_where_evidence_is_switched_off(
    tmp_path: Path,
) -> None:
    books, now_seconds = FakeEvidenceBooks(), ManualClock().wall_seconds()
    folder = EvidenceFolder(tmp_path / "evidence")
    for event_id, days in (("old", 15), ("new", 13)):
        books.rows[event_id] = kept(folder, event_id, 10, now_seconds - days * DAY_SECONDS)
    async with rig(tmp_path, books=books, enabled=False, max_age_days=14) as r:
        assert list(books.rows) == ["new"]
        assert r.keeper.figures()["state"] == "off"


async def test_no_password_of_a_camera_gets_to_disk_or_into_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(tmp_path) as r:
        plan = make_plan("gate", url="rtsp://admin@10.0.0.1/live?token=tr0ub4dor")
        plan = replace(plan, password="hunter2")
        camera = r.cameras["gate"] = Camera(r, plan, {})
        camera.sender.send(8.0)
        camera.open("e1")
        camera.end("e1", "camera_lost")
        await r.done("e1")
    files = [path for path in r.folder.root.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".mp4", ".jpg"}
    for path in files:
        for secret in (b"hunter2", b"tr0ub4dor", b"10.0.0.1"):
            assert secret not in path.read_bytes()
    rows = repr(list(r.books.rows.values()))
    told = capsys.readouterr()
    assert "evidence ready" in told.out + told.err
    for text in (rows, told.out, told.err):
        assert "hunter2" not in text
        assert "tr0ub4dor" not in text


async def test_a_camera_that_looks_back_further_by_new_settings_has_the_packets_for_it(
    tmp_path: Path,
) -> None:
    async with rig(tmp_path) as r:
        camera = r.camera()
        ring = r.keeper.ring(make_plan("front"))
        camera.sender.send(60.0)
        before_seconds = ring.kept_seconds
        plan = make_plan("front")
        plan = replace(plan, events=plan.events.model_copy(update={"open_within": 12}))
        r.keeper.replan(plan)
        camera.sender.send(60.0)
        assert r.keeper.ring(plan) is ring
        assert ring.kept_seconds > before_seconds + 5.0
        camera.evidence.on_end(camera.name, None)
        assert r.keeper.ring(plan) is not ring  # one of the same name is another camera
