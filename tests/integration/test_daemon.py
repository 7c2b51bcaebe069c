"""The daemon's life: starting, being stopped at any moment, reloading, sharing a box, secrets."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from edgewatch.pipeline.store import Store
from edgewatch.pipeline.types import Event
from tests.integration.conftest import RtspServer
from tests.integration.mosquitto import (
    Mosquitto,
    Subscriber,
    free_port,
    mosquitto,
    password_file,
    subscriber,
)
from tests.integration.processes import (
    EDGEWATCH,
    daemon,
    edgewatch,
    file_camera,
    finished,
    write_settings,
)
from tests.integration.subscriber import (
    STATUS,
    all_steps,
    assert_well_told,
    retained_at,
    said,
    schemas_met,
    statuses,
    steps_on,
)

pytestmark = pytest.mark.integration

FRONT_EVENTS = "edgewatch/front/events"
FRONT_VERDICTS = "edgewatch/front/verdict"


@contextmanager
def silent_server() -> Iterator[tuple[int, threading.Event]]:
    """Accept connections and never answer; yields the port, and what the first one sets."""
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(server.accept()[0])
                except OSError:
                    return
                connected.set()

        thread = threading.Thread(target=accept, name="silent server")
        thread.start()
        try:
            yield server.getsockname()[1], connected
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in held:
                connection.close()


async def until_event_open(heard: Subscriber, topic: str = FRONT_EVENTS) -> dict[str, Any]:
    """Wait until an event has just opened on a topic, and return its first step."""
    seen = len(heard.payloads(topic))
    await heard.until(lambda: any(step["type"] == "new" for step in said(heard, topic)[seen:]))
    step: dict[str, Any] = said(heard, topic)[-1]
    return step


# Stopping


async def test_stopped_daemon_ends_open_events_says_offline_and_exits_with_0(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[file_camera("front", video)],
        # So long that it must still be open at the stop.
        sections={"events": {"close_after_seconds": 60.0}},
    )
    async with daemon(settings) as program:
        opened = await until_event_open(heard)
        assert await program.stop() == 0
    await heard.until_message(STATUS, b"offline")
    assert heard.messages[-1] == (STATUS, b"offline")
    last = steps_on(heard, FRONT_EVENTS)[-1]
    assert (last["event_id"], last["type"], last["ended_by"]) == (
        opened["event_id"],
        "end",
        "stream_ended",
    )
    assert_well_told(heard)
    assert program.logged("stopped")
    assert (await retained_at(broker.port))[STATUS] == b"offline"


async def test_stop_at_any_moment_ends_with_0_and_leaves_no_event_open(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[file_camera(name, video) for name in ("front", "back")],
    )
    # The first line comes before the engine is loaded; with the last, events come and go.
    for lines in (1, *random.Random(20261121).sample(range(2, 16), 1)):
        async with edgewatch("run", "--config", settings) as program:
            assert await program.until_lines(lines)
            program.send(signal.SIGINT)  # an impatient person's, and then systemd's
            assert await program.stop() == 0, program.out
            assert program.logged("stopped")
        assert open_events(tmp_path) == []
    assert_well_told(heard)


async def test_stop_while_a_camera_never_answers_ends_with_0(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    with silent_server() as (port, connected):
        settings = write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[
                {"name": "mute", "url": f"rtsp://127.0.0.1:{port}/live"},
                {"name": "web", "url": f"http://127.0.0.1:{port}/video"},
                file_camera("front", video),
            ],
        )
        async with daemon(settings) as program:
            await asyncio.to_thread(connected.wait, 10.0)
            await heard.until(lambda: bool(heard.payloads(FRONT_VERDICTS)))
            assert await program.stop() == 0
    await heard.until_message(STATUS, b"offline")


async def test_stop_while_a_camera_is_unreachable_ends_with_0(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[
            {"name": "refused", "url": f"rtsp://127.0.0.1:{free_port()}/live"},
            # TEST-NET-1: nobody answers there, and nobody says so.
            {"name": "nowhere", "url": "rtsp://192.0.2.1/live"},
        ],
    )
    async with daemon(settings) as program:
        await heard.until_message(STATUS, b"online")  # else there is nothing to take back
        health = await program.until_logged("camera health", camera="refused", state="offline")
        assert health["reason"] == "unreachable"
        assert await program.stop() == 0
    await heard.until_message(STATUS, b"offline")
    schemas_met(heard)


async def test_stop_while_the_broker_never_answers_ends_with_0(tmp_path: Path, video: Path) -> None:
    with silent_server() as (port, connected):
        settings = write_settings(tmp_path, broker_port=port, cameras=[file_camera("a", video)])
        async with daemon(settings) as program:
            await asyncio.to_thread(connected.wait, 10.0)
            await program.until_logged("event opened")
            assert await program.stop() == 0
    assert open_events(tmp_path) == []
    assert outbox_size(tmp_path) > 0


# Killed


async def test_killed_daemon_is_offline_and_ends_its_event_when_it_is_back(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[file_camera("front", video)],
        sections={"events": {"close_after_seconds": 60.0}},
    )
    async with daemon(settings) as program:
        opened = await until_event_open(heard)
        await program.kill()
    await heard.until(lambda: statuses(heard)[-1] == b"offline")

    async with daemon(settings) as program:
        await program.until_logged("event ended", event_id=opened["event_id"])
        await heard.until(
            lambda: any(step["ended_by"] == "restart" for step in said(heard, FRONT_EVENTS))
        )
        assert statuses(heard) == [b"online", b"offline", b"online"]
        await until_event_open(heard)
        assert await program.stop() == 0
    await heard.until(lambda: statuses(heard)[-1] == b"offline")
    ends = [step for step in all_steps(heard) if step["type"] == "end"]
    assert (ends[0]["event_id"], ends[0]["ended_by"]) == (opened["event_id"], "restart")
    assert ends[0]["end"] >= opened["start"]
    assert_well_told(heard)
    assert outbox_size(tmp_path) == 0


async def status(socket: Path) -> dict[str, Any]:
    """Ask a daemon's control socket for its figures, which are those of its stats topic."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as session,
        session.get("http://edgewatch/status") as answer,
    ):
        figures: dict[str, Any] = await answer.json()
    return figures


def open_events(folder: Path) -> list[Event]:
    with closing(Store.open_readonly(folder / "data" / "edgewatch.db")) as records:
        return records.open_events()


def outbox_size(folder: Path) -> int:
    database = folder / "data" / "edgewatch.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
        size: int = db.execute("SELECT count(*) FROM outbox").fetchone()[0]
    return size


# Reloading


async def test_reload_adds_removes_and_changes_cameras_and_keeps_the_engine(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    def settings(*cameras: dict[str, Any]) -> Path:
        return write_settings(tmp_path, broker_port=broker.port, cameras=cameras)

    file = settings(file_camera("front", video), file_camera("gone", video))
    async with daemon(file) as program:
        await heard.until(lambda: bool(heard.payloads("edgewatch/gone/verdict")))
        settings(file_camera("front", video, threshold=0.99), file_camera("added", video))
        program.send(signal.SIGHUP)
        await program.until_logged("reloaded", cameras=2)
        await heard.until(lambda: bool(heard.payloads("edgewatch/added/verdict")))
        await heard.until(lambda: said(heard, FRONT_VERDICTS)[-1]["threshold"] == 0.99)
        assert said(heard, "edgewatch/front/settings")[-1]["threshold"] == 0.99
        kept = await retained_at(broker.port)
        assert not [topic for topic in kept if topic.startswith("edgewatch/gone/")]
        # The engine did not start again, the connection stayed, and the unchanged source was not
        # opened anew.
        assert len(program.logged("engine state", state="ready")) == 1
        assert len(program.logged("broker connected")) == 1
        assert len(program.logged("camera opened", camera="front")) == 1

        write_settings(
            tmp_path,
            broker_port=broker.port,
            cameras=[file_camera("front", video, threshold=0.99)],
            sections={"mqtt": {"base_topic": "elsewhere"}},
        )
        program.send(signal.SIGHUP)
        needed = await program.until_logged("restart needed")
        assert needed["changed_sections"] == ["mqtt"]

        file.write_text("[engine]\nthreshhold = 0.5\n", "utf-8")
        program.send(signal.SIGHUP)
        refused = await program.until_logged("reload refused")
        assert "threshhold" in refused["reason"]
        assert str(file) in refused["reason"]
        judged = len(heard.payloads(FRONT_VERDICTS))
        await heard.until(lambda: len(heard.payloads(FRONT_VERDICTS)) > judged)
        assert said(heard, FRONT_VERDICTS)[-1]["threshold"] == 0.99
        assert await program.stop() == 0
    assert_well_told(heard)
    schemas_met(heard)


# Starting


async def test_second_daemon_on_the_same_data_names_the_first_and_exits_with_75(
    tmp_path: Path, video: Path
) -> None:
    settings = write_settings(
        tmp_path, broker_port=free_port(), cameras=[file_camera("front", video)]
    )
    async with daemon(settings) as first:
        second = await finished("run", "--config", settings)
        assert second.code == 75
        assert f"process {first.pid}" in second.out
        assert "service.data_dir" in second.out
        assert await first.stop() == 0


async def test_embedded_broker_serves_subscribers_and_a_taken_port_exits_with_75(
    tmp_path: Path, video: Path
) -> None:
    port = free_port()
    settings = write_settings(
        tmp_path,
        broker_port=None,
        cameras=[file_camera("front", video)],
        sections={"mqtt": {"port": port}},
    )
    async with daemon(settings) as program, subscriber(port) as heard:
        await heard.until(lambda: bool(heard.payloads(FRONT_VERDICTS)))
        other = tmp_path / "other"
        other.mkdir()
        second = await finished(
            "run",
            "--config",
            write_settings(other, broker_port=None, sections={"mqtt": {"port": port}}),
        )
        assert second.code == 75
        assert f"port {port}" in second.out
        assert "mqtt.host" in second.out
        assert await program.stop() == 0
    schemas_met(heard)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[engine]\nkind = 'magic'\n", "kind"),
        ("[mqtt\n", "TOML"),
        ("[[cameras]]\nname = 'a'\nurl = '/a.mp4'\n" * 2, '"a"'),
        ("[[cameras]]\nname = 'a'\nurl = 'rtsp://me:hush-hush@10.0.0.9/'\n", "password_file"),
    ],
)
async def test_wrong_settings_exit_with_78_and_name_file_and_cure(
    tmp_path: Path, text: str, named: str
) -> None:
    settings = tmp_path / "edgewatch.toml"
    settings.write_text(text, "utf-8")
    ended = await finished("run", "--config", settings)
    assert ended.code == 78
    assert str(settings) in ended.err
    assert named in ended.err
    assert "hush-hush" not in ended.err + ended.out
    assert "Traceback" not in ended.err


async def test_unusable_data_folder_is_named_with_its_cure(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder", "utf-8")
    ended = await finished("run", "--config", write_settings(tmp_path, broker_port=free_port()))
    assert ended.code == 75
    assert "service.data_dir" in ended.out
    assert "Traceback" not in ended.out


# Trouble that must not end it


async def test_file_camera_that_cannot_be_read_is_offline_and_the_others_are_judged(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    (tmp_path / "notes.mp4").write_text("this is no video\n" * 100, "utf-8")
    (tmp_path / "empty.mp4").touch()
    settings = write_settings(
        tmp_path,
        broker_port=broker.port,
        cameras=[
            file_camera("notes", tmp_path / "notes.mp4"),
            file_camera("empty", tmp_path / "empty.mp4"),
            file_camera("missing", tmp_path / "missing.mp4"),
            file_camera("front", video),
        ],
    )
    async with daemon(settings) as program:
        await heard.until(
            lambda: all(
                "offline" in [one["state"] for one in said(heard, f"edgewatch/{name}/health")]
                for name in ("notes", "empty", "missing")
            )
        )
        await heard.until(lambda: bool(heard.payloads(FRONT_VERDICTS)))
        for name in ("notes", "empty", "missing"):
            health = said(heard, f"edgewatch/{name}/health")[-1]
            assert name in health["detail"]
            assert said(heard, f"edgewatch/{name}/state")[-1]["state"] == "unknown"
        assert await program.stop() == 0
    schemas_met(heard)


async def test_full_disk_holds_no_event_back_and_shows_in_stats(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
    )
    async with daemon(settings) as program:
        await until_event_open(heard)
        # Not a byte more in any file: what a full disk does, to this process alone.
        no_more = (0, resource.RLIM_INFINITY)
        as_before = resource.prlimit(program.pid, resource.RLIMIT_FSIZE, no_more)
        await program.until_logged("database in trouble")
        await until_event_open(heard)
        figures = await status(tmp_path / "control.sock")
        assert str(tmp_path / "data" / "edgewatch.db") in figures["store"]["trouble"]
        assert figures["store"]["events_waiting"] > 0
        assert program.process.returncode is None
        resource.prlimit(program.pid, resource.RLIMIT_FSIZE, as_before)
        await program.until_logged("database writable again")
        await until_event_open(heard)
        assert await program.stop() == 0
    await heard.until_message(STATUS, b"offline")
    assert_well_told(heard)
    schemas_met(heard)
    told = {step["event_id"] for step in steps_on(heard, FRONT_EVENTS)}
    assert open_events(tmp_path) == []
    with closing(Store.open_readonly(tmp_path / "data" / "edgewatch.db")) as records:
        assert {event.event_id for event in records.events()} == told
    assert outbox_size(tmp_path) == 0


@pytest.mark.parametrize("kind", ["closed pipe", "full disk"])
async def test_log_that_nobody_takes_does_not_end_the_daemon(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path, kind: str
) -> None:
    settings = write_settings(
        tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
    )
    if kind == "full disk":
        output = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, output = os.pipe()
        os.close(reader)
    process = await asyncio.create_subprocess_exec(
        EDGEWATCH, "run", "--config", settings, stdout=output, stderr=asyncio.subprocess.PIPE
    )
    os.close(output)
    try:
        await until_event_open(heard)
    finally:
        process.send_signal(signal.SIGTERM)
        _, complaints = await process.communicate()
    assert process.returncode == 0, complaints
    assert complaints == b""
    await heard.until_message(STATUS, b"offline")


async def test_reload_does_not_wait_for_a_hung_camera_to_be_gone(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    with silent_server() as (port, connected):
        mute = {"name": "mute", "url": f"rtsp://127.0.0.1:{port}/live"}
        settings = write_settings(tmp_path, broker_port=broker.port, cameras=[mute])
        async with daemon(settings) as program:
            await asyncio.to_thread(connected.wait, 10.0)
            write_settings(tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)])
            program.send(signal.SIGHUP)
            await heard.until(lambda: bool(heard.payloads(FRONT_VERDICTS)))
            await program.until_logged("reloaded")
            assert await program.stop() == 0
    await heard.until_message(STATUS, b"offline")


async def test_stop_while_the_broker_hangs_ends_with_0(
    tmp_path: Path, broker: Mosquitto, heard: Subscriber, video: Path
) -> None:
    settings = write_settings(
        tmp_path, broker_port=broker.port, cameras=[file_camera("front", video)]
    )
    async with daemon(settings) as program:
        await until_event_open(heard)
        broker.freeze()
        try:
            count = len(program.logged("event opened"))
            await program.until(lambda: len(program.logged("event opened")) > count)
            assert await program.stop() == 0
        finally:
            broker.thaw()
    assert outbox_size(tmp_path) > 0


# Secrets

CAMERA_PASSWORD = "p@ss/w:rd#1"
MQTT_PASSWORD = "br0ker-s3cret"


async def test_no_password_gets_into_log_database_topics_or_command_line(
    tmp_path: Path, video: Path, rtsp_available: None
) -> None:
    server = RtspServer(password=CAMERA_PASSWORD)
    server.start()
    secrets = [CAMERA_PASSWORD, "p%40ss%2Fw%3Ard%231", MQTT_PASSWORD, "wr0ng-s3cret"]
    for name, text in (
        ("camera.password", CAMERA_PASSWORD),
        ("mqtt.password", MQTT_PASSWORD),
        ("wrong.password", "wr0ng-s3cret"),
    ):
        (tmp_path / name).write_text(text + "\n", "utf-8")
        (tmp_path / name).chmod(0o600)
    users = password_file(tmp_path, "edgewatch", MQTT_PASSWORD)
    rules = (f"password_file {users}", "allow_anonymous true")
    try:
        async with mosquitto(tmp_path, settings=rules) as broker, subscriber(broker.port) as heard:
            address = f"rtsp://admin@127.0.0.1:{server.port}"
            settings = write_settings(
                tmp_path,
                broker_port=broker.port,
                cameras=[
                    {
                        "name": "front",
                        "url": f"{address}/live",
                        "password_file": "camera.password",
                        # Everything is an event: those, too, must not tell.
                        "threshold": 0.001,
                    },
                    {
                        "name": "denied",
                        "url": f"{address}/live",
                        "password_file": "wrong.password",
                    },
                    {
                        "name": "lost",
                        "url": f"{address}/nothing",
                        "password_file": "camera.password",
                    },
                ],
                sections={"mqtt": {"username": "edgewatch", "password_file": "mqtt.password"}},
            )
            async with edgewatch("run", "--config", settings, log_level="debug") as program:
                await until_event_open(heard)
                await program.until_logged("camera health", camera="denied", state="offline")
                await program.until_logged("camera health", camera="lost", state="offline")
                command_line = program.command_line()
                # A camera that dies says more than one that never was there.
                server.stop()
                await heard.until(lambda: steps_on(heard, FRONT_EVENTS)[-1]["type"] == "end")
                assert steps_on(heard, FRONT_EVENTS)[-1]["ended_by"] == "camera_lost"
                await heard.until(
                    lambda: (
                        said(heard, "edgewatch/front/health")[-1]["state"] == "offline"
                        and said(heard, "edgewatch/front/state")[-1]["state"] == "unknown"
                    )
                )
                assert await program.stop() == 0
            await heard.until_message(STATUS, b"offline")
            schemas_met(heard)
    finally:
        server.stop()
    written = {
        "log": "\n".join((*program.out, *program.err)).encode(),
        "command line": command_line,
        "topics": b"\n".join(topic.encode() + b" " + payload for topic, payload in heard.messages),
        **{
            str(file): file.read_bytes()
            for file in (tmp_path / "data").rglob("*")
            if file.is_file()
        },
    }
    assert len(written) > 3
    told = [
        (place, secret)
        for place, content in written.items()
        for secret in secrets
        if secret.encode() in content
    ]
    assert told == []
    denied = program.logged("camera health", camera="denied", state="offline")[0]
    assert denied["reason"] == "authentication"
