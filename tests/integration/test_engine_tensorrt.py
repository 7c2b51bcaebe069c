"""The daemon with TensorRT-LLM (the strict stand-in) in a child process that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.messages import iso_to_seconds
from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName, Interval
from tests.fakes.tensorrt_llm.record import reported
from tests.integration.mosquitto import Mosquitto, Subscriber
from tests.integration.processes import (
    Program,
    daemon,
    file_camera,
    finished,
    footage,
    write_settings,
)
from tests.integration.subscriber import said, schemas_met
from tests.pipeline.engines.child.proc import children, command, ended
from tests.pipeline.engines.tensorrt.checkpoint import write_checkpoint, write_json

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
SEED = int(os.environ.get("EDGEWATCH_TEST_SEED", "20261121"))
CAMERAS = [f"cam{number}" for number in range(8)]
CATCH_UP_SECONDS = 3.0
RESUME_SECONDS = 5.0
"""Verdicts must come again so soon after the engine is back."""
WINDOW_SECONDS = 1.0
WAITING_SECONDS = 2.0
"""Footage that may be under way when the engine goes: a window, being judged and waiting."""
CHILD = "edgewatch.pipeline.engines.child"


@dataclass
class Site:
    """A daemon's settings and environment, and what the stand-in reports."""

    settings: Path
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def reported(self, what: str) -> list[dict[str, Any]]:
        return reported(self.folder / "report", what)

    def control(self, **rules: Any) -> None:
        write_json(self.folder / "control.new", rules)
        (self.folder / "control.new").rename(self.folder / "control")


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto) -> Site:
    video = footage(tmp_path / "bursts.mp4")
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[file_camera(name, video) for name in CAMERAS],
        sections={
            "engine": {
                "kind": "tensorrt",
                "model": str(write_checkpoint(tmp_path / "Cosmos-NVFP4")),
                "threshold": 0.5,
            }
        },
    )
    made = Site(
        settings,
        tmp_path,
        {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'fakes'}",
            "FAKE_TRTLLM_CONTROL": str(tmp_path / "control"),
            "FAKE_TRTLLM_REPORT": str(tmp_path / "report"),
        },
    )
    # About half of the time a batch is under way.
    made.control(step_seconds=0.05, submit_seconds=0.005)
    return made


def child_of(program: Program) -> int:
    (child,) = [one for one in children(program.pid) if CHILD in command(one)]
    return child


def verdicts(heard: Subscriber) -> list[dict[str, Any]]:
    return [
        {**json.loads(payload), "camera": topic.split("/")[1]}
        for topic, payload in heard.messages
        if topic.endswith("/verdict")
    ]


def judged_spans_ms(heard: Subscriber) -> dict[str, list[tuple[int, int]]]:
    """Return each camera's footage that a published verdict covers, merged."""
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    told = [(_ms(one["start"]), _ms(one["end"]), one["camera"]) for one in verdicts(heard)]
    for start_ms, end_ms, camera in sorted(told):
        if spans[camera] and start_ms <= spans[camera][-1][1]:
            start_ms, before_ms = spans[camera].pop()
            end_ms = max(end_ms, before_ms)
        spans[camera].append((start_ms, end_ms))
    return spans


def _ms(iso: str) -> int:
    return round(iso_to_seconds(iso) * 1000)


async def killed_and_back(
    program: Program, heard: Subscriber, draw: random.Random
) -> tuple[float, float]:
    """Kill the engine at a moment drawn; return when it was killed and when it was back."""
    wanted = len(verdicts(heard)) + draw.randint(1, 40)
    await heard.until(lambda: len(verdicts(heard)) >= wanted)
    ready = len(program.logged("engine state", state="ready"))
    killed_seconds = time.time()
    os.kill(child_of(program), signal.SIGKILL)
    await program.until(lambda: len(program.logged("engine state", state="ready")) > ready)
    back_seconds = time.time()
    before = len(verdicts(heard))
    await heard.until(lambda: len(verdicts(heard)) > before, timeout_seconds=RESUME_SECONDS)
    return killed_seconds, back_seconds


def coverage_of(site: Site, camera: str) -> list[Interval]:
    with closing(Store.open_readonly(site.folder / "data" / "edgewatch.db")) as records:
        return records.coverage(CameraName(camera), 0, 1 << 62)


def assert_holes_are_the_engines(
    intervals: list[Interval], outages: list[tuple[float, float]]
) -> None:
    """Check that what was not judged lies in an outage, and says so.

    Before the first clip and after the last it may be that there was too little for one.
    """
    judged = [number for number, one in enumerate(intervals) if one.coverage == "judged"]
    for one in intervals[judged[0] : judged[-1]]:
        if one.coverage == "judged":
            continue
        start_seconds, end_seconds = one.start_ms / 1000, one.end_ms / 1000
        if one.coverage == "too_short" and end_seconds - start_seconds < WINDOW_SECONDS:
            continue  # where a recording that loops ends in fewer frames than a clip has
        if one.coverage == "overload":
            # A busy machine takes a moment to catch up with eight cameras: footage that came
            # after the engine was back is no hole of the engine's
            assert any(back <= end_seconds <= back + CATCH_UP_SECONDS for _, back in outages), one
            continue
        assert one.coverage == "engine_down", (one, intervals)
        assert any(
            killed - WAITING_SECONDS <= start_seconds
            and end_seconds <= back + RESUME_SECONDS + WINDOW_SECONDS
            for killed, back in outages
        ), (one, outages)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.long)])
async def test_engine_killed_at_random_moments_costs_only_the_holes_it_leaves(
    site: Site, heard: Subscriber, kills: int
) -> None:
    draw = random.Random(SEED)
    outages: list[tuple[float, float]] = []
    async with daemon(site.settings, **site.variables) as program:
        for _ in range(kills):
            outage = await killed_and_back(program, heard, draw)
            outages.append(outage)
        await heard.until(lambda: said(heard, "edgewatch/stats")[-1]["engine"]["restarts"] == kills)
        for name in CAMERAS:
            before = len(heard.payloads(f"edgewatch/{name}/verdict"))
            await heard.until(
                lambda name=name, before=before: (  # type: ignore[misc]
                    len(heard.payloads(f"edgewatch/{name}/verdict")) > before
                )
            )
        assert await program.stop() == 0
    await heard.until_message("edgewatch/status", b"offline")

    assert len(program.logged("engine failed")) == kills
    assert all("signal 9" in line["reason"] for line in program.logged("engine failed"))
    repeated = [
        key for key, count in Counter(v["clip_id"] for v in verdicts(heard)).items() if count > 1
    ]
    assert repeated == []
    schemas_met(heard)

    # The ledger adds up, and says of each hole whose it is.
    done = await finished("coverage", "--config", site.settings, "--json", "--since=-10m")
    assert done.code == 0, done.err
    published = judged_spans_ms(heard)
    for camera in done.document["cameras"]:
        window_ms = round(camera["window_seconds"] * 1000)
        sums = [camera["judged"], *camera["not_judged"].values()]
        assert sum(round(1000 * seconds) for seconds in sums) == window_ms
        intervals = coverage_of(site, camera["camera"])
        # The camera is on the ledger a moment after its first picture, and until its thread ends.
        since_ms, until_ms = intervals[0].start_ms, intervals[-1].end_ms
        judged_ms = sum(
            max(0, min(end_ms, until_ms) - max(start_ms, since_ms))
            for start_ms, end_ms in published[camera["camera"]]
        )
        assert round(1000 * camera["judged"]) == judged_ms, (
            intervals,
            published[camera["camera"]],
        )
        assert_holes_are_the_engines(intervals, outages)
    # Each start loaded one engine in a process of its own, and every call was right.
    loaded = site.reported("loaded")
    assert len(loaded) == len({line["pid"] for line in loaded}) == kills + 1
    assert program.pid not in {line["pid"] for line in site.reported("imported")}
    assert site.reported("broken") == []


async def test_engine_that_takes_clips_and_answers_none_is_replaced(
    site: Site, heard: Subscriber
) -> None:
    """A failed forward pass leaves a zombie; the next engine goes on."""
    # Of each engine's requests the 60th runs out of memory.
    site.control(step_seconds=0.02, faults=[{"request": 60, "do": "oom"}])
    async with daemon(site.settings, **site.variables) as program:
        failed = await program.until_logged("engine failed")
        assert "CUDA out of memory" in failed["reason"]
        site.control(step_seconds=0.02)
        await program.until(lambda: len(program.logged("engine state", state="ready")) > 1)
        before = len(verdicts(heard))
        await heard.until(lambda: len(verdicts(heard)) > before, timeout_seconds=RESUME_SECONDS)
        assert await program.stop() == 0
    assert len({one["clip_id"] for one in verdicts(heard)}) == len(verdicts(heard))
    assert site.reported("broken") == []


async def test_daemon_that_is_stopped_or_killed_leaves_no_engine_behind(
    site: Site, heard: Subscriber
) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        async with daemon(site.settings, **site.variables) as program:
            child = child_of(program)
            before = len(verdicts(heard))
            await heard.until(lambda before=before: len(verdicts(heard)) > before)  # type: ignore[misc]
            if number == signal.SIGTERM:
                assert await program.stop() == 0
            else:
                await program.kill()
        async with asyncio.timeout(5.0):
            while not ended(child):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert site.reported("broken") == []


async def test_checkpoint_that_lacks_a_file_ends_the_start_with_its_name(site: Site) -> None:
    (site.folder / "Cosmos-NVFP4" / "hf_quant_config.json").unlink()
    done = await finished("run", "--config", site.settings, log_level="info")
    assert done.code == 75
    assert "hf_quant_config.json" in done.out + done.err
