"""`edgewatch replay` as a command: the same each time, the same as live; bad recordings."""

from __future__ import annotations

import json
import re
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import CameraName
from tests.fakes.videos import truncate, write_sound
from tests.integration.mosquitto import free_port, mosquitto, subscriber
from tests.integration.processes import (
    daemon,
    edgewatch,
    file_camera,
    finished,
    footage,
    write_settings,
)
from tests.integration.subscriber import assert_well_told, schemas_met

pytestmark = pytest.mark.integration

CLIPS = 11
"""Of 1 s every 0.5 s, in the 6 s of footage."""


async def reported(video: Path, settings: Path, folder: Path, *more: str | Path) -> bytes:
    """Replay a recording and return its verdicts.jsonl."""
    ended = await finished("replay", video, "--config", settings, "--report", folder, *more)
    assert ended.code == 0, ended.err
    return (folder / "verdicts.jsonl").read_bytes()


def verdicts(lines: bytes) -> list[tuple[float, float, float]]:
    """Return (media start, media end, score) of each verdict."""
    keys = ("media_start_seconds", "media_end_seconds", "score")
    read: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    return [(one[keys[0]], one[keys[1]], one[keys[2]]) for one in read]


async def test_replay_of_one_file_gives_the_same_bytes_twice_and_the_verdicts_of_the_live_run(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=free_port(),
        cameras=[file_camera("bursts", video, loop=False)],
    )
    first = await reported(video, settings, tmp_path / "first")
    async with daemon(settings) as program:
        # The daemon works meanwhile: what else goes on must change nothing.
        second = await reported(video, settings, tmp_path / "second")
        await program.until_logged("camera health", camera="bursts", reason="ended")
        assert await program.stop() == 0
    assert len(verdicts(first)) == CLIPS
    assert first == second

    with closing(Store.open_readonly(tmp_path / "data" / "edgewatch.db")) as records:
        live = [
            (round(one.media_start_seconds, 6), round(one.media_end_seconds, 6), one.score)
            for one in records.verdicts(CameraName("bursts"), 0.0, 1e12)
        ]
    dropped = len(program.logged("clip dropped"))
    assert len(live) == CLIPS - dropped
    if dropped:
        pytest.skip(f"this machine is too busy for live video: {dropped} clips were dropped")
    assert live == verdicts(first)


async def test_daemon_judges_recordings_handed_over_as_a_local_replay_does_each_time(
    tmp_path: Path, video: Path
) -> None:
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as heard:
        settings = write_settings(
            tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
        )
        local = await reported(video, settings, tmp_path / "local")
        socket = tmp_path / "control.sock"
        async with daemon(settings) as program:
            handed = [
                await reported(video, settings, tmp_path / name, "--to", socket)
                for name in ("once", "again")
            ]
            refused = await finished(
                "replay", video, "--config", settings, "--to", socket, "--camera", "cellar"
            )
            assert await program.stop() == 0
        await heard.until_message("edgewatch/status", b"offline")
    assert verdicts(handed[0]) == verdicts(local)
    assert handed == [local, local]
    assert refused.code == 78
    assert "cellar" in refused.err
    topics = {topic for topic, _ in heard.messages}
    assert not [topic for topic in topics if topic.startswith("edgewatch/bursts/")]
    assert_well_told(heard)
    schemas_met(heard)


async def test_recording_handed_over_under_a_watched_cameras_name_is_refused_with_the_cure(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(
        tmp_path, broker_port=free_port(), cameras=[file_camera("bursts", video)]
    )
    async with daemon(settings) as program:
        socket = tmp_path / "control.sock"
        ended = await finished("replay", video, "--config", settings, "--to", socket)
        assert await program.stop() == 0
    assert ended.code == 78
    assert "bursts: a camera of this name is being watched" in ended.err


async def test_socket_without_a_daemon_exits_with_78_and_says_how_to_start_one(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(tmp_path, broker_port=free_port())
    nobody = tmp_path / "nobody.sock"
    ended = await finished("replay", video, "--config", settings, "--to", nobody)
    assert ended.code == 78
    assert str(nobody) in ended.err
    assert "edgewatch run" in ended.err
    assert "Traceback" not in ended.err


async def test_daemon_stopped_during_a_handed_over_replay_tells_the_command(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(tmp_path, broker_port=free_port())
    arguments = ("--config", settings, "--to", tmp_path / "control.sock", "--speed", "0.5")
    async with daemon(settings) as program, edgewatch("replay", video, *arguments) as replay:
        await program.until_logged("camera opened", camera="bursts")
        assert await program.stop() == 0
        # Either the part that was judged still came over, or nothing did.
        assert await replay.ended() in (1, 75)
    assert re.search("interrupted|broke off", "\n".join((*replay.out, *replay.err)))


async def test_handed_over_replay_whose_command_was_killed_is_not_judged_to_its_end(
    tmp_path: Path,
) -> None:
    long = footage(tmp_path / "long.mp4", seconds=30.0)
    settings = write_settings(
        tmp_path, broker_port=free_port(), sections={"events": {"close_after_seconds": 60.0}}
    )
    # To the end it would take a quarter of a minute.
    arguments = ("--config", settings, "--to", tmp_path / "control.sock", "--speed", "2")
    async with daemon(settings) as program:
        async with edgewatch("replay", long, *arguments) as replay:
            await program.until_logged("event opened", camera="long")
            await replay.kill()
        await program.until(lambda: bool(program.logged("event ended")), timeout_seconds=10.0)
        assert await program.stop() == 0


def make_bad_recordings(folder: Path, video: Path) -> None:
    """Put a good recording among all kinds of bad ones."""
    folder.mkdir()
    (folder / "notes.mp4").write_text("this is no video\n" * 100, "utf-8")
    (folder / "empty.mp4").touch()
    write_sound(folder / "sound.mp4")
    whole = video.read_bytes()
    (folder / "good.mp4").write_bytes(whole)
    (folder / "cut-index.mp4").write_bytes(whole)
    truncate(folder / "cut-index.mp4", keep=0.6)
    truncate(footage(folder / "cut-end.mkv"), keep=0.6)


async def test_bad_recordings_are_listed_with_reasons_and_the_others_judged(
    tmp_path: Path, video: Path
) -> None:
    folder = tmp_path / "recordings"
    make_bad_recordings(folder, video)
    settings = write_settings(tmp_path, broker_port=free_port())
    missing = folder / "missing.mp4"
    ended = await finished("replay", folder, missing, "--config", settings, "--json")
    assert ended.code == 1
    document = ended.document
    reasons = {Path(one["file"]).name: one["reason"] for one in document["failed"]}
    assert set(reasons) == {
        *("notes.mp4", "empty.mp4", "sound.mp4", "cut-index.mp4", "cut-end.mkv", "missing.mp4"),
    }
    assert all(reasons.values())
    clips = {one["file"]: one["clips"] for one in document["results"]}
    assert clips["good.mp4"] == CLIPS
    assert 0 < clips["cut-end.mkv"] < CLIPS
    assert document["dropped"] == 0
    assert "Traceback" not in ended.err


async def test_nothing_to_replay_exits_with_1_and_says_why(tmp_path: Path) -> None:
    settings = write_settings(tmp_path, broker_port=free_port())
    ended = await finished("replay", tmp_path / "nothing.mp4", "--config", settings)
    assert ended.code == 1
    assert "nothing.mp4" in ended.out + ended.err
    assert "Traceback" not in ended.err


async def test_two_published_replays_at_once_on_one_data_folder_are_refused(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(tmp_path, broker_port=free_port())
    arguments = ("replay", video, "--config", settings, "--publish")
    async with edgewatch(*arguments, "--speed", "0.5", log_level="info") as first:
        await first.until_logged("camera opened")
        second = await finished(*arguments)
        assert second.code == 75
        assert f"process {first.pid}" in second.err


async def test_interrupted_replay_ends_its_events_and_exits_with_1(
    tmp_path: Path, video: Path
) -> None:
    async with mosquitto(tmp_path) as broker, subscriber(broker.port) as heard:
        settings = write_settings(tmp_path, broker_port=broker.port)
        arguments = ("--config", settings, "--publish", "--speed", "1")
        async with edgewatch("replay", video, *arguments, log_level="info") as program:
            await program.until_logged("event opened")
            assert await program.stop(signal.SIGINT) == 1
        events = "edgewatch/replay/bursts/events"
        await heard.until(lambda: b'"type":"end"' in b"".join(heard.payloads(events)))
    assert_well_told(heard)
    assert "interrupted" in "\n".join((*program.out, *program.err))
