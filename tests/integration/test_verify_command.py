"""`edgewatch verify`, and what a killed daemon leaves of a recording, by real processes."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.engines.calibration import Calibration
from edgewatch.pipeline.engines.calibration_file import write_calibration
from tests.integration.clock_cameras import probed
from tests.integration.processes import (
    WAIT_SECONDS,
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

EVIDENCE = {"pre_seconds": 2.0, "post_seconds": 1.0, "reserve_bytes": 0}


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is missing: apt install ffmpeg")
    video = footage(tmp_path / "gate.mp4", seconds=90.0)
    return write_settings(
        tmp_path,
        broker_port=1,
        cameras=[file_camera("gate", video)],
        sections={"evidence": EVIDENCE},
    )


def evidence_of(folder: Path) -> dict[str, tuple[str, str]]:
    """State and detail by event, from the database."""
    with sqlite3.connect(f"file:{folder / 'data' / 'edgewatch.db'}?mode=ro", uri=True) as db:
        return {
            row[0]: row[1:] for row in db.execute("SELECT event_id, state, detail FROM evidence")
        }


def file_of(folder: Path, event_id: str, suffix: str) -> Path:
    (path,) = (folder / "data" / "evidence").glob(f"gate/*/{event_id}{suffix}")
    return path


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - another process's files
            await asyncio.sleep(0.05)


async def verify(settings: Path, event_id: str) -> tuple[int, dict[str, Any]]:
    done = await finished("verify", event_id, "--json", "--config", settings)
    return done.code, json.loads(done.out)


async def test_the_score_of_kept_evidence_stands_until_the_evidence_is_touched(
    settings: Path, tmp_path: Path
) -> None:
    async with daemon(settings) as program:
        # Not the first event: what the engine has learnt by then is needed to judge again
        await program.until(lambda: len(program.logged("evidence ready")) >= 4)
        event_id = program.logged("evidence ready")[3]["event_id"]
        await until(lambda: evidence_of(tmp_path).get(event_id, ("",))[0] == "ready")
        code, told = await verify(settings, event_id)  # beside the running daemon
        assert (code, told["stands"]) == (0, True), told
        assert {clip["pixels"] for clip in told["clips"]} == {"same"}
        for clip in told["clips"]:
            assert clip["score_again"] == pytest.approx(clip["score"], abs=1e-4)
        assert told["engine"] == told["engine_then"] == "builtin-1"
    done = await finished("verify", event_id[:30], "--config", settings)
    assert done.code == 0
    assert "stands" in done.out

    video = file_of(tmp_path, event_id, ".mp4")
    probed(video)
    other = next(
        path for path in video.parent.glob("*.mp4") if path != video and path.stat().st_size
    )
    whole = video.read_bytes()
    video.write_bytes(other.read_bytes())
    code, told = await verify(settings, event_id)
    assert (code, told["stands"]) == (1, False)
    assert told["reasons"]
    video.write_bytes(whole)
    # A calibration since then is no reason for another score: it is judged as it was.
    calibration = Calibration("platt", "builtin-1", slope=0.5, offset=-2.0)
    write_calibration(calibration, tmp_path / "data" / "edgewatch-calibration.json")
    code, told = await verify(settings, event_id)
    assert (code, told["engine"]) == (0, "builtin-1"), told
    assert told["notes"][0].startswith("the event was judged before its engine was calibrated")

    sidecar = file_of(tmp_path, event_id, ".json")
    text = sidecar.read_text()
    forged = json.loads(text)
    peak = max(forged["clips"], key=lambda clip: clip["score"])
    peak["score"] = (peak["score"] + 0.5) % 1
    sidecar.write_text(json.dumps(forged))
    code, told = await verify(settings, event_id)
    assert code == 1
    assert any(f"now, {peak['score']:.3f} then" in reason for reason in told["reasons"])
    sidecar.write_text("{")
    code, told = await verify(settings, event_id)
    assert code == 1
    assert "damaged" in told["reasons"][0]
    assert (await finished("verify", "no-such-event", "--config", settings)).code == 1


async def test_what_a_killed_daemon_leaves_can_be_played_and_is_finished_at_the_next_start(
    settings: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data" / "evidence"

    def parts() -> list[Path]:
        # Enough of it that a fragment with pictures is on the disk, and told when it begins
        return [
            one
            for one in root.glob("gate/*/*.mp4.part")
            if one.stat().st_size > 4_000 and begins(one) is not None
        ]

    def begins(part: Path) -> float | None:
        sidecar = part.with_name(part.name.replace(".mp4.part", ".json"))
        video = json.loads(sidecar.read_text())["video"] if sidecar.exists() else None
        start_seconds: float | None = video["start_seconds"] if video else None
        return start_seconds

    async with daemon(settings) as program:
        await until(lambda: bool(parts()))
        await program.kill()
    (part,) = parts()
    event_id = part.name.removesuffix(".mp4.part")
    probed(part)
    killed_seconds = time.time()
    async with daemon(settings) as program:
        await program.until_logged("evidence mended", event_id=event_id, state="ready")
        assert evidence_of(tmp_path)[event_id] == ("ready", "")
    assert not part.exists()
    assert float(probed(file_of(tmp_path, event_id, ".mp4"))["format"]["duration"]) > 0.5
    told = json.loads(file_of(tmp_path, event_id, ".json").read_text())
    assert told["state"] == "ready"
    assert told["video"]["truncated"] == "restart"
    assert told["video"]["start_seconds"] < killed_seconds
    listed = await finished("events", "--json", "--config", settings)
    (event,) = [one for one in listed.document if one["event_id"] == event_id]
    assert event["ended_by"] == "restart"
    assert event["evidence"]["video"] == f"gate/{part.parent.name}/{event_id}.mp4"
